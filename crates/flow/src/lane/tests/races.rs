//! Moments that only chance brings about, brought about here on the engine's core, step by step.

use super::core::{Action, Core, Event};
use super::*;
use crate::log::{LogBackend, Slice};
use crate::units::RowRange;

struct Steps {
    core: Core,
    disk: MemorySegments,
    log: Arc<MemoryLog>,
    shared: Arc<inbox::Shared>,
    clock: Clock,
}

impl Steps {
    fn new() -> Self {
        Self::with_segments(40)
    }

    /// A core over a log with segments of so many blocks.
    fn with_segments(blocks: usize) -> Self {
        let clock = Clock::simulated(WALL);
        let directory = Directory::new(PARTITIONS, UnknownOrgs::Accept);
        let (notify, inbox) = inbox(PARTITIONS);
        let disk = MemorySegments::new(PARTITIONS, blocks);
        let (log, recovered) = MemoryLog::open(&disk, &directory, notify, &clock, 1 << 20).unwrap();
        let backend: Arc<dyn LogBackend> = Arc::<MemoryLog>::clone(&log);
        let settings = LaneSettings::new(7, 1, 1);
        let core = Core::new(backend, directory, settings, Arc::clone(&inbox.0), recovered, clock.now());
        Self { core, disk, log, shared: inbox.0, clock }
    }

    fn apply(&mut self, specs: Vec<SinkSpec>) {
        let (reply, _applied) = tokio::sync::oneshot::channel();
        self.core.apply(specs.into(), reply, self.clock.now());
    }

    fn take_marks(&mut self) {
        let now = self.clock.now();
        let Self { core, shared, .. } = self;
        shared
            .take_marks(&mut inbox::Marks::default(), |partition, marks| core.marked(partition, marks, now));
    }

    /// Runs a turn and gives the deliveries that it starts.
    fn deliveries(&mut self) -> Vec<Delivery> {
        self.core.turn(self.clock.now());
        let started = self.core.actions.drain(..).filter_map(|action| match action {
            Action::Deliver(_, delivery) => Some(delivery),
            _ => None,
        });
        started.collect()
    }

    /// Runs a turn and gives the rows of the deliveries that it starts; they stay open.
    fn turn(&mut self) -> Vec<u64> {
        let mut started = Vec::new();
        for delivery in self.deliveries() {
            delivery.rows().for_each(|row| started.push(row.row.0));
            // Dropping it would tell the core; this test only looks at what was cut.
            std::mem::forget(delivery);
        }
        started
    }

    fn end(&mut self, delivery: Delivery, verdict: Verdict) {
        let ended = Attempt::Settled(delivery.settle(verdict));
        self.core.handle(Event::Ended(ended), self.clock.now());
    }

    /// Runs a turn and counts what it asks to be counted, if anything.
    async fn measure(&mut self) -> bool {
        self.core.turn(self.clock.now());
        let mut any = false;
        for action in std::mem::take(&mut self.core.actions) {
            if let Action::Measure(lane, partition, scope, row) = action {
                any = true;
                let log: Arc<dyn LogBackend> = Arc::<MemoryLog>::clone(&self.log);
                let counted = jobs::records_before(log, partition, scope, row).await;
                self.core.handle(Event::Measured(lane, counted), self.clock.now());
            }
        }
        any
    }
}

/// A read from disk finds nothing, rows are appended and told, and only then its answer arrives. The lane must not take
/// itself for caught up: the next rows would make it jump over these.
#[tokio::test(start_paused = true)]
async fn an_answer_that_is_older_than_what_was_told_is_not_the_end() {
    let mut steps = Steps::new();
    let sink = Scripted::new(&steps.clock);
    let now = steps.clock.now();
    steps.apply(vec![SinkSpec { begin: Begin::Earliest, ..spec("acme", "soc", &sink) }]);
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

/// A plan changes while the lane's read is still queued, and the lane asks again. It must not be read for twice: the
/// second answer would take the lane from where it stands by then.
#[tokio::test(start_paused = true)]
async fn a_read_that_was_queued_before_a_change_is_void() {
    let mut steps = Steps::new();
    let sink = Scripted::new(&steps.clock);
    let soc = |plan_epoch| SinkSpec { plan_epoch, begin: Begin::Earliest, ..spec("acme", "soc", &sink) };
    steps.apply(vec![soc(1)]);
    let read = table::Job::Read { from: Row(0), max_bytes: 100 };
    steps.core.queue_job(0, read);
    steps.apply(vec![soc(2)]);
    steps.core.queue_job(0, read);
    let now = steps.clock.now();
    steps.core.turn(now);
    let asked = steps.core.actions.drain(..).filter_map(|action| match action {
        Action::Read(lane, _) => Some(lane),
        _ => None,
    });
    let asked = asked.collect::<Vec<_>>();
    steps.log.put("acme", 2, 100).unwrap();
    steps.take_marks();
    for lane in &asked {
        steps.core.handle(Event::Read(*lane, Ok(Slice::NotYet)), now);
    }
    assert_eq!(steps.turn(), [0, 1], "after {} answers", asked.len());
    assert_eq!(asked.len(), 1);
}

/// Retention goes on between the question how many records a gap holds and the answer. What has gone meanwhile is not
/// part of that gap: the attempt that holds it may still be taken.
#[tokio::test(start_paused = true)]
async fn what_expires_while_a_gap_is_counted_is_not_counted_twice() {
    // Small segments, and a log that holds all of them in memory.
    let mut steps = Steps::with_segments(20);
    let (a, _, _) = neighbours();
    let sink = Scripted::new(&steps.clock);
    sink.shape.lock().max_events = 30;
    let parallel =
        SinkSpec { concurrency: 2, lane_concurrency: 2, begin: Begin::Earliest, ..spec(&a, "soc", &sink) };
    steps.apply(vec![parallel]);
    for _ in 0..200 {
        steps.log.put(&a, 1, 100).unwrap();
    }
    steps.take_marks();
    let mut open = steps.deliveries();
    assert_eq!(open.len(), 2);
    let (second, first) = (open.pop().unwrap(), open.pop().unwrap());
    steps.end(first, Verdict::Retry { after: Some(Duration::from_secs(600)), cause: cause("down") });

    let partition = PartitionId(0);
    let keep = |steps: &mut Steps, rows: std::ops::Range<u64>| {
        for segments in (1..20).rev() {
            steps.disk.keep_segments(0, Some(segments));
            steps.log.maintain(partition).unwrap();
            let oldest = steps.log.oldest(partition).0;
            assert!(oldest.0 < rows.end, "{oldest}");
            if rows.contains(&oldest.0) {
                return oldest;
            }
        }
        panic!("no segment begins there")
    };
    keep(&mut steps, 1..30);
    steps.take_marks();
    steps.core.turn(steps.clock.now());
    // Counted only now.
    let oldest = keep(&mut steps, 60..100);
    steps.measure().await;
    steps.end(second, Verdict::Accepted);
    steps.take_marks();
    while steps.measure().await {}
    let lane = steps.core.lane(0).unwrap();
    assert_eq!((lane.ledger.counts().delivered, lane.ledger.counts().expired), (30, oldest.0 - 30));
    assert_eq!(lane.ledger.scan(), oldest);
}

/// Ten thousand lanes that have nothing to send are not counted for each time that retention removes other
/// organisations' rows.
#[tokio::test(start_paused = true)]
async fn a_lane_that_has_read_everything_passes_what_expires() {
    let mut steps = Steps::with_segments(20);
    let (a, b, _) = neighbours();
    let sink = Scripted::new(&steps.clock);
    steps.apply(vec![SinkSpec { begin: Begin::Earliest, ..spec(&a, "soc", &sink) }]);
    assert!(steps.turn().is_empty());
    for _ in 0..100 {
        steps.log.put(&b, 1, 100).unwrap();
    }
    steps.disk.keep_segments(0, Some(1));
    steps.log.maintain(PartitionId(0)).unwrap();
    let oldest = steps.log.oldest(PartitionId(0)).0;
    assert!(oldest > Row(50));
    steps.take_marks();
    assert!(!steps.measure().await, "nothing to count");
    let lane = steps.core.lane(0).unwrap();
    assert_eq!((lane.ledger.scan(), lane.next_row(), lane.is_caught_up()), (oldest, oldest, true));

    // Its own rows may come and go before the engine looks: these it has not read.
    steps.disk.keep_segments(0, None);
    steps.log.put_all(&[(&a, 3), (&b, 1)], 100).unwrap();
    for _ in 0..100 {
        steps.log.put(&b, 1, 100).unwrap();
    }
    steps.disk.keep_segments(0, Some(1));
    steps.log.maintain(PartitionId(0)).unwrap();
    steps.take_marks();
    while steps.measure().await {}
    let lane = steps.core.lane(0).unwrap();
    assert_eq!(lane.ledger.counts().expired, 3);
    assert_eq!(lane.ledger.gaps().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn counting_does_not_hold_up_reading() {
    let mut steps = Steps::new();
    let sink = Scripted::new(&steps.clock);
    steps.apply(
        (0..20)
            .map(|n| spec(&format!("org-{n}"), "soc", &sink))
            .map(|spec| SinkSpec { begin: Begin::Earliest, ..spec })
            .collect(),
    );
    assert!(steps.turn().is_empty());
    let rows = RowRange { start: Row(0), end: Row(1) };
    for lane in 0..19 {
        let reason = crate::log::GapReason::Retention;
        steps.core.queue_job(lane, table::Job::Measure { rows, measured: Row(1), reason });
    }
    steps.core.queue_job(19, table::Job::Read { from: Row(0), max_bytes: 100 });
    steps.core.turn(steps.clock.now());
    let count = |which: fn(&Action) -> bool| steps.core.actions.iter().filter(|action| which(action)).count();
    assert_eq!(count(|action| matches!(action, Action::Read(..))), 1);
    let counted = count(|action| matches!(action, Action::Measure(..)));
    assert!((1..19).contains(&counted), "{counted} at one time");
}

/// Two lanes have each read a part of what they have to send again, and wait for the memory that the other one holds.
#[tokio::test(start_paused = true)]
async fn reads_that_wait_for_each_others_memory_go_on() {
    let mut steps = Steps::new();
    let sink = Scripted::new(&steps.clock);
    let sinks = ["acme", "other"].map(|org| SinkSpec { begin: Begin::Earliest, ..spec(org, "soc", &sink) });
    steps.apply(sinks.into());
    assert!(steps.turn().is_empty());
    let all = steps.core.settings.memory;
    for index in 0..2 {
        steps.core.queue_job(index, table::Job::Read { from: Row(5), max_bytes: 100 });
        let stash = cut::Stash { next: Row(5), charged: all, ..cut::Stash::default() };
        steps.core.lane_mut(index).unwrap().stash = Some(Box::new(stash));
        steps.core.hold(index, all);
    }
    for index in 0..2 {
        steps.core.turn(steps.clock.now());
        let asked: Vec<_> = steps.core.actions.drain(..).collect();
        let [Action::Read(lane, _)] = asked.as_slice() else { panic!("{} actions", asked.len()) };
        assert_eq!(lane.index, index, "in turn");
        steps.core.handle(Event::Read(*lane, Ok(Slice::NotYet)), steps.clock.now());
    }
}
