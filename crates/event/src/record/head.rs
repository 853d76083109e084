//! The stamped part of a record, which only the partition's owner can write.

use super::hex16;

/// The longest head, in bytes.
pub const MAX_HEAD: usize =
    br#"{"v":1,"seq":18446744073709551615,"group":"00000000000000000000000000000000","id_reused":true,"#
        .len();

/// The bytes before a record's tail.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    bytes: [u8; MAX_HEAD],
    len: usize,
}

impl Head {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    #[inline(always)]
    fn put(&mut self, bytes: &[u8]) {
        if let Some(slot) = self.bytes.get_mut(self.len..self.len + bytes.len()) {
            slot.copy_from_slice(bytes);
            self.len += bytes.len();
        } else {
            debug_assert!(false, "longer than the longest head");
        }
    }
}

/// Writes the stamped part: `{"v":1,"seq":N,`, the group's id if the record belongs to one, and the mark of an id
/// that came before with other content.
#[must_use]
pub fn head(seq: u64, group: Option<u128>, id_reused: bool) -> Head {
    let mut head = Head { bytes: [0; MAX_HEAD], len: 0 };
    head.put(b"{\"v\":1,\"seq\":");
    head.put(itoa::Buffer::new().format(seq).as_bytes());
    if let Some(group) = group {
        head.put(b",\"group\":\"");
        #[allow(clippy::cast_possible_truncation, reason = "the two halves of the number")]
        let (high, low) = ((group >> 64) as u64, group as u64);
        head.put(&hex16(high));
        head.put(&hex16(low));
        head.put(b"\"");
    }
    head.put(if id_reused { b",\"id_reused\":true,".as_slice() } else { b"," });
    head
}
