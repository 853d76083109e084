//! The loop of an owner thread: it runs several owners, one commit at a time.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

use super::inbox::{Item, Taken};
use super::{Observer, Shared};
use crate::clock::{Clock, Instant};
use crate::log::{AppendFault, Position};
use crate::partition::{BLOCK_TARGET, Owner, OwnerFault, Queued};

/// After a sync without another write for this long, the watermark is written down.
const IDLE: Duration = Duration::from_millis(200);
/// How often retention is looked at.
const MAINTENANCE: Duration = Duration::from_secs(5);
/// A thread without work looks up this often.
const NAP: Duration = Duration::from_secs(1);

struct Driven {
    owner: Owner,
    /// When the last block with content was synced.
    last_write: Instant,
    next_maintenance: Instant,
}

pub(super) fn spawn(
    number: usize,
    owners: Vec<Owner>,
    shared: Arc<Shared>,
    clock: Clock,
    observer: Arc<dyn Observer>,
) -> io::Result<JoinHandle<()>> {
    let run = move || {
        let now = clock.now().instant;
        let mut driven: Vec<Driven> = owners
            .into_iter()
            // Retention is looked at first of all: a process that is started again and again, each time for a few seconds,
            // would otherwise never remove what idle partitions hold, and what is newer than that neither.
            .map(|owner| Driven { owner, last_write: now, next_maintenance: now })
            .collect();
        for driven in &driven {
            shared.note(driven.owner.id(), driven.owner.memory());
        }
        // A panic is a fault like any other: whoever waits for the owner has to learn of it, and the process to stop.
        let driving = || drive(number, &mut driven, &shared, &clock, observer.as_ref());
        let ended = catch_unwind(AssertUnwindSafe(driving))
            .unwrap_or_else(|panic| Err(OwnerFault::Panicked { thread: number, what: words(&*panic) }));
        if let Err(fault) = ended {
            tracing::error!(%fault, "the journal failed");
            for owner in &driven {
                if let Some(inbox) = shared.inboxes.get(usize::from(owner.owner.id().0)) {
                    inbox.abandon();
                }
            }
            observer.failed(&fault);
        }
    };
    std::thread::Builder::new().name(format!("owner-{number}")).spawn(run)
}

/// What a panic says.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no words".to_owned())
}

fn drive(
    number: usize,
    owners: &mut [Driven],
    shared: &Shared,
    clock: &Clock,
    observer: &dyn Observer,
) -> Result<(), OwnerFault> {
    let Some(waker) = shared.wakers.get(number) else { return Ok(()) };
    loop {
        let (mut worked, mut open, mut nap) = (false, false, NAP);
        for driven in owners.iter_mut() {
            let Some(inbox) = shared.inboxes.get(usize::from(driven.owner.id().0)) else { continue };
            let Taken { items, bytes } = inbox.take(BLOCK_TARGET);
            if !items.is_empty() {
                worked = true;
                let writing = shared.writers.enter(bytes);
                serve(driven, items, shared, clock, observer)?;
                drop(writing);
                inbox.done(bytes);
                shared.note(driven.owner.id(), driven.owner.memory());
            }
            let now = clock.now();
            if driven.owner.is_unproven() {
                let idle = now.instant.saturating_duration_since(driven.last_write);
                if idle >= IDLE || inbox.is_done() {
                    driven.owner.prove(now)?;
                } else {
                    nap = nap.min(IDLE.saturating_sub(idle));
                }
            }
            if now.instant >= driven.next_maintenance {
                driven.next_maintenance = now.instant + MAINTENANCE;
                maintain(driven, clock, observer)?;
            }
            open |= !inbox.is_done();
        }
        if !open {
            return Ok(());
        }
        if !worked {
            waker.wait(nap);
        }
    }
}

fn serve(
    driven: &mut Driven,
    items: Vec<Item>,
    shared: &Shared,
    clock: &Clock,
    observer: &dyn Observer,
) -> Result<(), OwnerFault> {
    let owner = &mut driven.owner;
    let (mut batches, mut states, mut recorded) = (Vec::new(), Vec::new(), Vec::new());
    let mut questions = Vec::new();
    for item in items {
        match item {
            Item::Rows(rows, reply) => batches.push(Queued { rows, reply }),
            Item::States(state, reply) => {
                states.push(state);
                recorded.push(reply);
            }
            Item::OrgSeqs(scope, reply) => questions.push((scope, reply)),
        }
    }
    if !batches.is_empty() || !states.is_empty() {
        let committed = owner.commit(batches, states, clock.now())?;
        let counters = &shared.counters;
        counters.syncs.fetch_add(1, Ordering::Relaxed);
        counters.reused.fetch_add(committed.reused, Ordering::Relaxed);
        if let Some(block) = committed.block {
            counters.blocks.fetch_add(1, Ordering::Relaxed);
            counters.bytes.fetch_add(block.header().total_len() as u64, Ordering::Relaxed);
            counters.rows.fetch_add(u64::from(block.header().rows), Ordering::Relaxed);
            counters.count_block_rows(u64::from(block.header().rows));
            shared.tail.push(owner.id(), Arc::clone(&block), committed.orgs.into_boxed_slice());
            observer.appended(owner.id(), &block);
        }
        driven.last_write = clock.now().instant;
        for (reply, result) in committed.answers {
            if let Ok(position) = &result {
                counters.duplicates.fetch_add(u64::from(position.duplicates), Ordering::Relaxed);
            }
            fail::fail_point!("owner::answer::before");
            answer(reply, result);
        }
        let position = Position { end: owner.tip(), next_row: owner.next_row(), accepted: 0, duplicates: 0 };
        for reply in recorded {
            answer(reply, committed.recorded.map(|()| position).map_err(AppendFault::Refused));
        }
        maintain_if_full(driven, clock, observer)?;
    }
    for (scope, reply) in questions {
        answer(reply, (driven.owner.next_row(), driven.owner.org_seqs(&scope)));
    }
    Ok(())
}

/// The one who asked may have gone away (a closed connection): the rows are stored all the same.
fn answer<T>(reply: oneshot::Sender<T>, value: T) {
    drop(reply.send(value));
}

fn maintain_if_full(driven: &mut Driven, clock: &Clock, observer: &dyn Observer) -> Result<(), OwnerFault> {
    if driven.owner.is_full() { maintain(driven, clock, observer) } else { Ok(()) }
}

fn maintain(driven: &mut Driven, clock: &Clock, observer: &dyn Observer) -> Result<(), OwnerFault> {
    if let Some(expired) = driven.owner.maintain(clock.now())? {
        observer.expired(driven.owner.id(), expired);
    }
    Ok(())
}
