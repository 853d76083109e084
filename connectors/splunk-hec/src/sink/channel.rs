//! The channel id that a collector wants on requests: a random GUID, renewed when the collector refuses it.

use http::HeaderValue;
use parking_lot::Mutex;

#[derive(Debug)]
pub(super) struct Channel(Mutex<State>);

#[derive(Debug)]
struct State {
    id: HeaderValue,
    /// Renewed since the last batch that was accepted.
    renewed: bool,
}

impl Channel {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State { id: guid(), renewed: false }))
    }

    /// The id, and whether the one before was refused and no batch accepted since.
    pub(super) fn get(&self) -> (HeaderValue, bool) {
        let state = self.0.lock();
        (state.id.clone(), state.renewed)
    }

    /// Takes a new id in place of `refused`. Of several requests that were refused at once, one renews.
    pub(super) fn renew(&self, refused: &HeaderValue) {
        let mut state = self.0.lock();
        if state.id == *refused {
            *state = State { id: guid(), renewed: true };
        }
    }

    /// A batch was accepted on `id`.
    pub(super) fn accepted(&self, id: &HeaderValue) {
        let mut state = self.0.lock();
        if state.renewed && state.id == *id {
            state.renewed = false;
        }
    }
}

/// A random UUID, version 4.
fn guid() -> HeaderValue {
    let random: u128 = rand::random();
    let bits = (random & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    let mut text = String::with_capacity(36);
    for (at, digit) in hex.chars().enumerate() {
        if matches!(at, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(digit);
    }
    // Hexadecimal digits and dashes are always a header value.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("00000000-0000-4000-8000-000000000000"))
}
