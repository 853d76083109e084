//! A map with a bound on its weight that forgets what was used longest ago.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

/// The cache. Values are shared; one that is in use lives on after it was forgotten here.
pub(crate) struct Cache<K, V: ?Sized> {
    inner: Mutex<Inner<K, V>>,
    limit: usize,
}

struct Inner<K, V: ?Sized> {
    entries: FxHashMap<K, Entry<V>>,
    weight: usize,
    tick: u64,
}

struct Entry<V: ?Sized> {
    value: Arc<V>,
    weight: usize,
    used: u64,
}

impl<K, V: ?Sized> fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.inner.lock();
        write!(f, "Cache({} entries, {} of {})", inner.entries.len(), inner.weight, self.limit)
    }
}

impl<K: Hash + Eq + Copy, V: ?Sized> Cache<K, V> {
    pub(crate) fn new(limit: usize) -> Self {
        Self { inner: Mutex::new(Inner { entries: FxHashMap::default(), weight: 0, tick: 0 }), limit }
    }

    pub(crate) fn get(&self, key: K) -> Option<Arc<V>> {
        let mut inner = self.inner.lock();
        inner.tick += 1;
        let tick = inner.tick;
        let entry = inner.entries.get_mut(&key)?;
        entry.used = tick;
        Some(Arc::clone(&entry.value))
    }

    /// Keeps `value`; what is heavier than the whole cache is not kept.
    pub(crate) fn put(&self, key: K, value: &Arc<V>, weight: usize) {
        if weight > self.limit {
            return;
        }
        let mut inner = self.inner.lock();
        inner.tick += 1;
        let entry = Entry { value: Arc::clone(value), weight, used: inner.tick };
        inner.weight += weight;
        if let Some(old) = inner.entries.insert(key, entry) {
            inner.weight -= old.weight;
        }
        // A linear search: the entries are segments, hundreds at most, and this happens after a read from disk.
        while inner.weight > self.limit {
            let Some(oldest) = inner.entries.iter().min_by_key(|(_, e)| e.used).map(|(k, _)| *k) else {
                break;
            };
            if let Some(old) = inner.entries.remove(&oldest) {
                inner.weight -= old.weight;
            }
        }
    }

    pub(crate) fn forget(&self, key: K) {
        let mut inner = self.inner.lock();
        if let Some(old) = inner.entries.remove(&key) {
            inner.weight -= old.weight;
        }
    }
}
