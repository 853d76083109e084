//! A list of slots in the order in which they were last used, with links that live in the slots themselves: every step
//! is constant, and nothing is allocated.

const NONE: u32 = u32::MAX;

/// A slot's neighbours in one list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Links {
    older: u32,
    newer: u32,
}

impl Default for Links {
    fn default() -> Self {
        Self { older: NONE, newer: NONE }
    }
}

impl Links {
    pub(super) fn newer(&self) -> Option<u32> {
        (self.newer != NONE).then_some(self.newer)
    }
}

/// Finds the links of a slot in one list.
pub(super) trait Linked {
    fn links(&mut self, at: u32) -> Option<&mut Links>;
}

/// The ends of a list.
#[derive(Debug)]
pub(super) struct List {
    oldest: u32,
    newest: u32,
    len: u32,
}

impl Default for List {
    fn default() -> Self {
        Self { oldest: NONE, newest: NONE, len: 0 }
    }
}

impl List {
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    pub(super) fn oldest(&self) -> Option<u32> {
        (self.oldest != NONE).then_some(self.oldest)
    }

    /// Adds a slot as the newest.
    pub(super) fn push(&mut self, at: u32, slots: &mut impl Linked) {
        if let Some(own) = slots.links(at) {
            *own = Links { older: self.newest, newer: NONE };
        }
        match slots.links(self.newest) {
            Some(before) => before.newer = at,
            None => self.oldest = at,
        }
        self.newest = at;
        self.len += 1;
    }

    pub(super) fn remove(&mut self, at: u32, slots: &mut impl Linked) {
        let Some(own) = slots.links(at).map(|own| *own) else { return };
        match slots.links(own.older) {
            Some(older) => older.newer = own.newer,
            None => self.oldest = own.newer,
        }
        match slots.links(own.newer) {
            Some(newer) => newer.older = own.older,
            None => self.newest = own.older,
        }
        self.len = self.len.saturating_sub(1);
    }

    pub(super) fn touch(&mut self, at: u32, slots: &mut impl Linked) {
        if self.newest != at {
            self.remove(at, slots);
            self.push(at, slots);
        }
    }
}
