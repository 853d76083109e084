//! Buffers for bodies, kept between requests: a fresh megabyte costs its page faults each time.

use std::ops::{Deref, DerefMut};

use parking_lot::Mutex;

/// Buffers that are kept.
const SPARE: usize = 8;
/// Larger ones are given back to the system.
const LARGEST: usize = 2 << 20;

#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<Vec<Vec<u8>>>);

/// An empty buffer of a pool, which it returns to. What is put into it is raw, so it has no `Debug`.
pub(super) struct Pooled<'a> {
    pool: &'a Pool,
    buffer: Vec<u8>,
}

impl Pool {
    pub(super) fn take(&self) -> Pooled<'_> {
        Pooled { pool: self, buffer: self.0.lock().pop().unwrap_or_default() }
    }
}

impl Deref for Pooled<'_> {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.buffer
    }
}

impl DerefMut for Pooled<'_> {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }
}

impl Drop for Pooled<'_> {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut spare = self.pool.0.lock();
        if (1..=LARGEST).contains(&buffer.capacity()) && spare.len() < SPARE {
            buffer.clear();
            spare.push(buffer);
        }
    }
}
