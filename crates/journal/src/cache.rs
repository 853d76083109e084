//! A map with a bound on its weight that forgets what was not used lately.
//!
//! Two generations: what is put or used goes to the young one; when that holds half of the limit it becomes the old
//! one, and the old one is forgotten. So no use costs more than two look-ups, however many entries there are.

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
    young: FxHashMap<K, Entry<V>>,
    old: FxHashMap<K, Entry<V>>,
    /// Of the young generation.
    weight: usize,
}

struct Entry<V: ?Sized> {
    value: Arc<V>,
    weight: usize,
}

impl<K, V: ?Sized> fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.inner.lock();
        write!(f, "Cache({} entries, limit {})", inner.young.len() + inner.old.len(), self.limit)
    }
}

impl<K: Hash + Eq + Copy, V: ?Sized> Cache<K, V> {
    pub(crate) fn new(limit: usize) -> Self {
        let inner = Inner { young: FxHashMap::default(), old: FxHashMap::default(), weight: 0 };
        Self { inner: Mutex::new(inner), limit }
    }

    pub(crate) fn get(&self, key: K) -> Option<Arc<V>> {
        let mut inner = self.inner.lock();
        if let Some(entry) = inner.young.get(&key) {
            return Some(Arc::clone(&entry.value));
        }
        let entry = inner.old.remove(&key)?;
        let value = Arc::clone(&entry.value);
        inner.add(key, entry, self.limit);
        Some(value)
    }

    /// Keeps `value`; what is heavier than half of the cache is not kept.
    pub(crate) fn put(&self, key: K, value: &Arc<V>, weight: usize) {
        if weight <= self.limit / 2 {
            self.inner.lock().add(key, Entry { value: Arc::clone(value), weight }, self.limit);
        }
    }

    pub(crate) fn forget(&self, key: K) {
        let mut inner = self.inner.lock();
        inner.old.remove(&key);
        if let Some(entry) = inner.young.remove(&key) {
            inner.weight -= entry.weight;
        }
    }
}

impl<K: Hash + Eq + Copy, V: ?Sized> Inner<K, V> {
    fn add(&mut self, key: K, entry: Entry<V>, limit: usize) {
        if self.weight + entry.weight > limit / 2 {
            self.old = std::mem::take(&mut self.young);
            self.weight = 0;
        }
        self.weight += entry.weight;
        if let Some(before) = self.young.insert(key, entry) {
            self.weight -= before.weight;
        }
    }
}

#[cfg(test)]
mod tests;
