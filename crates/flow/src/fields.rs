//! Little-endian fields for the bodies of snapshots and control blocks.

/// The bytes ended early or hold something impossible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is cut short or malformed")]
pub struct BadField(pub &'static str);

/// Reads fields one after the other; nothing panics on short or hostile bytes.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn take(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], BadField> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(BadField(what))?;
        self.rest = rest;
        Ok(head)
    }

    pub(crate) fn u8(&mut self, what: &'static str) -> Result<u8, BadField> {
        self.take(1, what)?.first().copied().ok_or(BadField(what))
    }

    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32, BadField> {
        self.take(4, what)?.try_into().map(u32::from_le_bytes).map_err(|_| BadField(what))
    }

    pub(crate) fn u64(&mut self, what: &'static str) -> Result<u64, BadField> {
        self.take(8, what)?.try_into().map(u64::from_le_bytes).map_err(|_| BadField(what))
    }

    pub(crate) fn i64(&mut self, what: &'static str) -> Result<i64, BadField> {
        self.u64(what).map(u64::cast_signed)
    }

    /// A length (u32) and as many bytes.
    pub(crate) fn bytes(&mut self, what: &'static str) -> Result<&'a [u8], BadField> {
        let len = self.u32(what)?;
        self.take(len as usize, what)
    }

    pub(crate) fn text(&mut self, what: &'static str) -> Result<&'a str, BadField> {
        std::str::from_utf8(self.bytes(what)?).map_err(|_| BadField(what))
    }
}

pub(crate) fn put_u32(out: &mut Vec<u8>, value: usize) {
    debug_assert!(value <= u32::MAX as usize);
    out.extend_from_slice(&u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes());
}

pub(crate) fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// A length (u32) and the bytes.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u32(out, bytes.len());
    out.extend_from_slice(bytes);
}
