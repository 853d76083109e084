//! What the engine is told from other threads: appended rows, ended attempts, finished reads. Bounded without a queue
//! per event: appends leave one mark per organisation, everything else is as many as the engine itself has started.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use event::OrgId;
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;

use super::core::Event;
use crate::block::Block;
use crate::local::Observer;
use crate::partition::OwnerFault;
use crate::segment::Expired;
use crate::sink::{Abandon, TicketId};
use crate::units::{PartitionId, Row};

/// Makes the engine's inbox, and the handle with which the partition owners fill it.
#[must_use]
pub fn inbox(partitions: u16) -> (Notify, Inbox) {
    let shared = Arc::new(Shared {
        orgs: RwLock::default(),
        partitions: (0..partitions).map(|_| Mutex::default()).collect(),
        events: Mutex::default(),
        is_marked: AtomicBool::new(false),
        wake: tokio::sync::Notify::new(),
    });
    (Notify(Arc::clone(&shared)), Inbox(shared))
}

/// Tells the engine what the owners did. Cheap to clone; never waits.
#[derive(Debug, Clone)]
pub struct Notify(Arc<Shared>);

/// The engine's side.
#[derive(Debug, Clone)]
pub struct Inbox(pub(super) Arc<Shared>);

#[derive(Debug)]
pub(super) struct Shared {
    /// The organisations that sinks are about, and the number of each in the marks.
    orgs: RwLock<FxHashMap<OrgId, u32>>,
    partitions: Vec<Mutex<Marks>>,
    events: Mutex<Vec<Event>>,
    is_marked: AtomicBool,
    wake: tokio::sync::Notify,
}

/// What changed in one partition since the engine last looked.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// One past the last durable row.
    pub(super) end: Row,
    /// Everything before this row has expired.
    pub(super) expired: Row,
    /// Organisations with new rows, and the first of those.
    pub(super) touched: Vec<(u32, Row)>,
    marked: Vec<bool>,
}

impl Notify {
    /// A block is durable, and [`crate::log::LogBackend::read_tail`] finds it: in this order, or a lane would look
    /// before it is there and not look again.
    pub fn appended(&self, partition: PartitionId, block: &Arc<Block>) {
        let Some(marks) = self.0.partitions.get(usize::from(partition.0)) else { return };
        let header = block.header();
        {
            let orgs = self.0.orgs.read();
            let mut marks = marks.lock();
            marks.end = marks.end.max(header.end_row());
            if !orgs.is_empty() {
                for run in block.runs() {
                    if let Some(slot) = orgs.get(run.org) {
                        marks.mark(*slot, Row(header.base_row.0 + u64::from(run.first)));
                    }
                }
            }
        }
        self.0.signal_marks();
    }

    /// Rows before `end` can no longer be read.
    pub fn expired(&self, partition: PartitionId, end: Row) {
        let Some(marks) = self.0.partitions.get(usize::from(partition.0)) else { return };
        {
            let mut marks = marks.lock();
            marks.expired = marks.expired.max(end);
        }
        self.0.signal_marks();
    }
}

/// Forwards what the owners of a [`crate::local::LocalLog`] do; `failed` is the process's own.
pub struct LogObserver<F> {
    notify: Notify,
    failed: F,
}

impl<F> std::fmt::Debug for LogObserver<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogObserver")
    }
}

impl<F: Fn(&OwnerFault) + Send + Sync + 'static> LogObserver<F> {
    /// `failed` is called when an owner cannot go on: the process must stop.
    #[must_use]
    pub fn new(notify: Notify, failed: F) -> Arc<Self> {
        Arc::new(Self { notify, failed })
    }
}

impl<F: Fn(&OwnerFault) + Send + Sync + 'static> Observer for LogObserver<F> {
    fn appended(&self, partition: PartitionId, block: &Arc<Block>) {
        self.notify.appended(partition, block);
    }
    fn expired(&self, partition: PartitionId, expired: Expired) {
        self.notify.expired(partition, expired.rows.end);
    }
    fn failed(&self, fault: &OwnerFault) {
        (self.failed)(fault);
    }
}

impl Marks {
    fn mark(&mut self, slot: u32, row: Row) {
        let at = slot as usize;
        if self.marked.len() <= at {
            self.marked.resize(at + 1, false);
        }
        if let Some(marked) = self.marked.get_mut(at)
            && !*marked
        {
            *marked = true;
            self.touched.push((slot, row));
        }
    }

    /// Moves what is marked into `other` (whose list is empty) and clears the marks.
    fn move_into(&mut self, other: &mut Self) {
        other.end = self.end;
        other.expired = self.expired;
        std::mem::swap(&mut self.touched, &mut other.touched);
        for (slot, _) in &other.touched {
            if let Some(marked) = self.marked.get_mut(*slot as usize) {
                *marked = false;
            }
        }
    }
}

impl Shared {
    fn signal_marks(&self) {
        // One wake-up serves everything that was marked until the engine looks.
        if !self.is_marked.swap(true, Ordering::AcqRel) {
            self.wake.notify_one();
        }
    }

    pub(super) fn push(&self, event: Event) {
        self.events.lock().push(event);
        self.wake.notify_one();
    }

    /// The number of an organisation in the marks; it keeps it for the life of the process.
    pub(super) fn slot(&self, org: &OrgId) -> u32 {
        let mut orgs = self.orgs.write();
        let next = u32::try_from(orgs.len()).unwrap_or(u32::MAX);
        *orgs.entry(org.clone()).or_insert(next)
    }

    /// Swaps the waiting events with an empty list.
    pub(super) fn take_events(&self, into: &mut Vec<Event>) {
        std::mem::swap(&mut *self.events.lock(), into);
    }

    /// Calls `each` for every partition if anything is marked.
    pub(super) fn take_marks(&self, scratch: &mut Marks, mut each: impl FnMut(PartitionId, &Marks)) {
        if !self.is_marked.swap(false, Ordering::AcqRel) {
            return;
        }
        for (partition, marks) in (0u16..).zip(&self.partitions) {
            scratch.touched.clear();
            marks.lock().move_into(scratch);
            each(PartitionId(partition), scratch);
        }
    }

    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }
}

impl Abandon for Shared {
    fn abandoned(&self, ticket: TicketId) {
        self.push(Event::Abandoned(ticket));
    }
}
