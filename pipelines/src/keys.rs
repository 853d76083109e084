//! Keyed hashes. Every key derives from the one master secret, under a label of its own.

use std::fmt;
use std::hash::Hasher as _;

use hkdf::Hkdf;
use sha2::Sha256;
use siphasher::sip::SipHasher13;
use siphasher::sip128::{Hasher128 as _, SipHasher13 as SipHasher13x128};
use xxhash_rust::xxh3::xxh3_64_with_secret;

/// Length of the secrets of the fast hash, as its authors use it.
const SECRET_LEN: usize = 192;

/// Room for an organisation and an event id of the usual lengths, such as two UUIDs.
const USUAL_PIECE: usize = 128;

/// The derived keys. Whoever knows them can look for known texts behind the hashes, so they are not shown.
#[derive(Clone)]
pub struct Keys {
    dedupe: [u8; 16],
    group: [u8; 16],
    value: [u8; 16],
    content: Box<[u8; SECRET_LEN]>,
    app: Box<[u8; SECRET_LEN]>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

/// A hash of (producer, organisation, id) that has seen the first.
pub(crate) type DedupeState = SipHasher13x128;

impl Keys {
    /// Derives all keys from the master secret of this installation.
    #[must_use]
    pub fn derive(master: &[u8; 32]) -> Self {
        Self {
            dedupe: expand(master, b"dedupe v1"),
            group: expand(master, b"group v1"),
            value: expand(master, b"value v1"),
            content: Box::new(expand(master, b"content v1")),
            app: Box::new(expand(master, b"app v1")),
        }
    }

    /// The beginning of what recognises an event that is sent again: the producer, which a request has one of.
    pub(crate) fn dedupe_start(&self, producer: &str) -> DedupeState {
        let mut state = SipHasher13x128::new_with_key(&self.dedupe);
        feed(&mut state, producer.as_bytes());
        state
    }

    /// The key of the duplicate window for the event `id` of an organisation.
    pub(crate) fn dedupe(start: &DedupeState, org: &[u8], id: &[u8]) -> u128 {
        let mut state = *start;
        // One piece is hashed faster than three; the bytes are the same.
        let mut piece = [0; USUAL_PIECE];
        let len = 8 + org.len() + id.len();
        if let Some(piece) = piece.get_mut(..len) {
            let (prefix, rest) = piece.split_at_mut(8);
            let (first, second) = rest.split_at_mut(org.len());
            prefix.copy_from_slice(&(org.len() as u64).to_le_bytes());
            first.copy_from_slice(org);
            second.copy_from_slice(id);
            state.write(piece);
        } else {
            feed(&mut state, org);
            state.write(id);
        }
        state.finish128().as_u128()
    }

    /// The hash of a tail without its `received_at`.
    #[must_use]
    pub fn content(&self, tail: &[u8]) -> u64 {
        xxh3_64_with_secret(tail, self.content.as_slice())
    }

    /// The hash of an app's id (or key, when it has no id) as it stands in the row meta; 0 for none.
    #[must_use]
    pub fn app(&self, app: &[u8]) -> u64 {
        if app.is_empty() { 0 } else { xxh3_64_with_secret(app, self.app.as_slice()).max(1) }
    }

    /// The hash of a declared group key, which is one organisation's and one app's.
    pub(crate) fn group(&self, org: &[u8], app: &[u8], key: &[u8]) -> u64 {
        let mut state = SipHasher13::new_with_key(&self.group);
        feed(&mut state, org);
        feed(&mut state, app);
        state.write(key);
        state.finish().max(1)
    }

    /// The hash that stands in a record in place of a value: the same value of the same organisation gives the same.
    pub(crate) fn value(&self, org: &[u8], value: &[u8]) -> u64 {
        let mut state = SipHasher13::new_with_key(&self.value);
        feed(&mut state, org);
        state.write(value);
        state.finish()
    }
}

/// Tells two master secrets apart, and nothing else about them: 128 bits under a label of their own, so that they may lie
/// beside a journal.
#[must_use]
pub fn key_check(master: &[u8; 32]) -> [u8; 16] {
    expand(master, b"key check v1")
}

/// Feeds a text and its length, so that what follows cannot be taken for its end.
fn feed(state: &mut impl std::hash::Hasher, text: &[u8]) {
    state.write(&(text.len() as u64).to_le_bytes());
    state.write(text);
}

fn expand<const N: usize>(master: &[u8; 32], label: &[u8]) -> [u8; N] {
    let mut key = [0; N];
    Hkdf::<Sha256>::new(Some(b"trailwire"), master)
        .expand(label, &mut key)
        .expect("HKDF-SHA256 gives up to 8,160 bytes, and no key has more than 192");
    key
}

#[cfg(test)]
mod tests;
