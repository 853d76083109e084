//! The queue of one owner. All of them together are bounded in bytes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use event::OrgId;
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::allowance::Allowance;
use crate::lane_state::LaneStates;
use crate::log::{AppendFault, Position, Scope};
use crate::prepared::Prepared;
use crate::units::{Row, Seq};

/// What an owner is asked.
#[derive(Debug)]
pub(super) enum Item {
    Rows(Prepared, oneshot::Sender<Result<Position, AppendFault>>),
    States(LaneStates, oneshot::Sender<Result<Position, AppendFault>>),
    OrgSeqs(Scope, oneshot::Sender<(Row, Vec<(OrgId, Seq)>)>),
}

impl Item {
    fn bytes(&self) -> usize {
        match self {
            Self::Rows(rows, _) => rows.stored_bytes(),
            // Lane state must get through a full queue: without it nothing is ever committed.
            Self::States(..) | Self::OrgSeqs(..) => 0,
        }
    }
}

#[derive(Debug)]
pub(super) enum PushError {
    Full,
    Closed,
}

#[derive(Debug)]
pub(super) struct Inbox {
    queue: Mutex<Queue>,
    allowance: Arc<Allowance>,
}

#[derive(Debug, Default)]
struct Queue {
    /// Lane state and questions: taken first, for they must not wait behind the rows of a loaded owner.
    first: Vec<Item>,
    rows: VecDeque<Item>,
    /// Of what waits, and of what was taken and is not durable yet.
    bytes: usize,
    closed: bool,
}

/// What an owner has taken, and how much that is.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) items: Vec<Item>,
    pub(super) bytes: usize,
}

impl Inbox {
    pub(super) fn new(allowance: Arc<Allowance>) -> Self {
        Self { queue: Mutex::default(), allowance }
    }

    pub(super) fn push(&self, item: Item) -> Result<(), PushError> {
        let bytes = item.bytes();
        let mut queue = self.queue.lock();
        if queue.closed {
            return Err(PushError::Closed);
        }
        if bytes > 0 && !self.allowance.take(bytes) {
            return Err(PushError::Full);
        }
        queue.bytes += bytes;
        match item {
            Item::Rows(..) => queue.rows.push_back(item),
            Item::States(..) | Item::OrgSeqs(..) => queue.first.push(item),
        }
        Ok(())
    }

    /// Takes lane state and questions, and rows of about `max_bytes`, at least one batch if there is any. They count until they are [`Inbox::done`].
    pub(super) fn take(&self, max_bytes: usize) -> Taken {
        let mut queue = self.queue.lock();
        let (mut bytes, mut count) = (0, 0);
        for item in &queue.rows {
            if count > 0 && bytes + item.bytes() > max_bytes {
                break;
            }
            bytes += item.bytes();
            count += 1;
        }
        let mut items = std::mem::take(&mut queue.first);
        items.extend(queue.rows.drain(..count));
        Taken { items, bytes }
    }

    /// What was taken is durable, and its memory given back.
    pub(super) fn done(&self, bytes: usize) {
        let mut queue = self.queue.lock();
        let bytes = bytes.min(queue.bytes);
        queue.bytes -= bytes;
        self.allowance.give_back(bytes);
    }

    pub(super) fn close(&self) {
        self.queue.lock().closed = true;
    }

    /// Closes and drops everything: those who wait learn that the owner has stopped.
    pub(super) fn abandon(&self) {
        let mut queue = self.queue.lock();
        queue.closed = true;
        self.allowance.give_back(std::mem::take(&mut queue.bytes));
        queue.first.clear();
        queue.rows.clear();
    }

    pub(super) fn is_done(&self) -> bool {
        let queue = self.queue.lock();
        queue.closed && queue.first.is_empty() && queue.rows.is_empty()
    }

    /// Bytes that are not durable yet.
    pub(super) fn bytes(&self) -> usize {
        self.queue.lock().bytes
    }
}

/// Wakes one owner thread.
#[derive(Debug, Default)]
pub(super) struct Waker {
    woken: Mutex<bool>,
    condition: Condvar,
}

impl Waker {
    pub(super) fn wake(&self) {
        let mut woken = self.woken.lock();
        if !*woken {
            *woken = true;
            self.condition.notify_one();
        }
    }

    /// Waits until woken, or until `timeout` has passed.
    pub(super) fn wait(&self, timeout: Duration) {
        let mut woken = self.woken.lock();
        if !*woken {
            self.condition.wait_for(&mut woken, timeout);
        }
        *woken = false;
    }
}
