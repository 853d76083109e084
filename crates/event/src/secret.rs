//! Texts that may be secrets.

/// Whether a JSON web token or an API token may stand in the text. (The other secret shapes, `Basic …`, `Bearer …`,
/// `name=value` and e-mail addresses, have characters that are kept nowhere.)
#[must_use]
pub fn has_token_shape(text: &[u8]) -> bool {
    // Each shape has a capital J or T; ids mostly have none.
    memchr::memchr2(b'J', b'T', text).is_some()
        && [b"eyJ".as_slice(), b"ATATT", b"ATCTT", b"ATSTT"]
            .iter()
            .any(|shape| memchr::memmem::find(text, shape).is_some())
}
