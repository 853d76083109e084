//! Moments that only chance brings about, brought about here on the engine's core, step by step.

use super::core::{Action, Core, Event};
use super::*;
use crate::log::{LogBackend, Slice};

struct Steps {
    core: Core,
    log: Arc<MemoryLog>,
    shared: Arc<inbox::Shared>,
    clock: Clock,
}

impl Steps {
    /// A core over a log whose tail keeps nothing older than the last block.
    fn new() -> Self {
        let clock = Clock::simulated(WALL);
        let directory = Directory::new(PARTITIONS, UnknownOrgs::Accept);
        let (notify, inbox) = inbox(PARTITIONS);
        let disk = MemorySegments::new(PARTITIONS, 40);
        let (log, recovered) = MemoryLog::open(&disk, &directory, notify, &clock, 1 << 20).unwrap();
        let backend: Arc<dyn LogBackend> = Arc::<MemoryLog>::clone(&log);
        let settings = LaneSettings::new(7, 1, 1);
        let core = Core::new(backend, directory, settings, Arc::clone(&inbox.0), recovered, clock.now());
        Self { core, log, shared: inbox.0, clock }
    }

    fn take_marks(&mut self) {
        let now = self.clock.now();
        let Self { core, shared, .. } = self;
        shared
            .take_marks(&mut inbox::Marks::default(), |partition, marks| core.marked(partition, marks, now));
    }

    /// Runs a turn and gives the rows of the deliveries that it starts; they stay open.
    fn turn(&mut self) -> Vec<u64> {
        self.core.turn(self.clock.now());
        let mut started = Vec::new();
        for action in self.core.actions.drain(..) {
            if let Action::Deliver(_, delivery) = action {
                delivery.rows().for_each(|row| started.push(row.row.0));
                // Dropping it would tell the core; this test only looks at what was cut.
                std::mem::forget(delivery);
            }
        }
        started
    }
}

/// A read from disk finds nothing, rows are appended and told, and only then its answer arrives. The lane must not take
/// itself for caught up: the next rows would make it jump over these.
#[tokio::test(start_paused = true)]
async fn an_answer_that_is_older_than_what_was_told_is_not_the_end() {
    let mut steps = Steps::new();
    let sink = Scripted::new(&steps.clock);
    let (reply, _applied) = tokio::sync::oneshot::channel();
    let now = steps.clock.now();
    let sinks = vec![SinkSpec { begin: Begin::Earliest, ..spec("acme", "soc", &sink) }];
    steps.core.apply(sinks.into(), reply, now);
    // As if its rows had left the tail: the lane has asked the journal.
    steps.core.queue_job(0, table::Job::Read { from: Row(0), max_bytes: 100 });
    assert!(steps.turn().is_empty());
    let lane = steps.core.lane(0).unwrap().id();
    steps.log.put("acme", 2, 100).unwrap();
    steps.take_marks();
    steps.core.handle(Event::Read(lane, Ok(Slice::NotYet)), now);
    steps.log.put("acme", 3, 100).unwrap();
    steps.take_marks();
    assert_eq!(steps.turn(), [0, 1, 2, 3, 4]);
}
