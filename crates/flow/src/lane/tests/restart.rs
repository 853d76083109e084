//! Crashes at random moments: nothing acknowledged is lost, nothing is invented, repeats are bounded.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Put {
        org: u8,
        count: u32,
    },
    Wait(u64),
    Crash,
    /// The sink does this from now on.
    Mood(u8),
    Expire,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0u8..3, 1u32..40).prop_map(|(org, count)| Step::Put { org, count }),
        4 => (0u64..400).prop_map(Step::Wait),
        2 => Just(Step::Crash),
        2 => (0u8..6).prop_map(Step::Mood),
        1 => Just(Step::Expire),
    ];
    proptest::collection::vec(step, 1..60)
}

fn mood(sink: &Scripted, mood: u8) {
    sink.does(move |seen| {
        let first = seen.records.first().and_then(|got| got.seq).map_or(0, |seq| seq.0);
        let slow = Duration::from_millis(first * 37 % 900);
        match mood {
            0 => Act::Settle(Verdict::Accepted),
            1 => Act::Later(slow, Verdict::Accepted),
            2 => retry(),
            3 if seen.records.len() > 3 => Act::Settle(Verdict::Split(cause("too large"))),
            3 => Act::Later(slow, Verdict::Accepted),
            4 if seen.attempt == 1 => Act::Later(
                slow,
                Verdict::PerRow {
                    accepted_prefix: seen.records.len() as u64 / 2,
                    refused: None,
                    cause: cause("half"),
                },
            ),
            4 => Act::Settle(Verdict::Accepted),
            _ if seen.attempt == 1 => Act::Drop,
            _ => Act::Settle(Verdict::Accepted),
        }
    });
}

async fn judge(steps: Vec<Step>, concurrency: u16) {
    let orgs: [String; 3] = neighbours().into();
    let mut machine = Machine::with(20 << 10, LaneSettings::new(7, 2, 42));
    let sinks = [Scripted::new(&machine.clock), Scripted::new(&machine.clock), Scripted::new(&machine.clock)];
    for sink in &sinks {
        *sink.shape.lock() = BatchShape { max_events: 9, max_bytes: 4_000, overhead: 20 };
    }
    let specs = || {
        vec![
            SinkSpec { concurrency, lane_concurrency: concurrency, ..spec(&orgs[0], "one", &sinks[0]) },
            SinkSpec {
                owner: None,
                scope: Scope::Orgs(Arc::new(BTreeSet::from([org(&orgs[1]), org(&orgs[2])]))),
                concurrency,
                lane_concurrency: concurrency,
                ..spec("x", "some", &sinks[1])
            },
            SinkSpec { concurrency, lane_concurrency: concurrency, ..shared("all", &sinks[2]) },
        ]
    };
    machine.put(&orgs[0], 3);
    machine.lanes.apply(specs()).await.unwrap();
    let mut put: BTreeMap<String, u64> = BTreeMap::from([(orgs[0].clone(), 3)]);
    let mut crashes = 0;
    for step in steps {
        match step {
            Step::Put { org, count } => {
                let org = &orgs[usize::from(org)];
                machine.log.put(org, count, 150).unwrap();
                *put.entry(org.clone()).or_default() += u64::from(count);
            }
            Step::Wait(millis) => machine.millis(millis).await,
            Step::Crash => {
                crashes += 1;
                machine = machine.crash().await;
                machine.lanes.apply(specs()).await.unwrap();
            }
            Step::Mood(number) => sinks.iter().for_each(|sink| mood(sink, number)),
            Step::Expire => {
                for partition in 0..PARTITIONS {
                    machine.disk.keep_segments(usize::from(partition), Some(3));
                    machine.log.maintain(PartitionId(partition)).unwrap();
                }
            }
        }
        for name in ["one", "some", "all"] {
            machine.status(name).await;
        }
    }
    sinks.iter().for_each(|sink| sink.accepts());
    machine.wait(Duration::from_secs(1_500)).await;
    let covers: [&[usize]; 3] = [&[0], &[1, 2], &[0, 1, 2]];
    for ((sink, covers), name) in sinks.iter().zip(covers).zip(["one", "some", "all"]) {
        let status = machine.status(name).await;
        assert_eq!((status.pending, status.state), (0, SinkState::Live), "{name}: {status:?}");
        let wanted: u64 = covers.iter().map(|at| put.get(&orgs[*at]).copied().unwrap_or(0)).sum();
        assert_eq!(status.stamped, wanted);
        let mut missing = 0;
        for (at, org) in orgs.iter().enumerate() {
            let got = sink.seqs(org);
            if !covers.contains(&at) {
                assert!(got.is_empty(), "{name} got a foreign organisation's records");
                continue;
            }
            let first = if at == 0 { 3 } else { 0 };
            let set: BTreeSet<u64> = got.iter().copied().collect();
            let end = put.get(org).copied().unwrap_or(0);
            assert!(set.iter().all(|seq| (first..end).contains(seq)), "{name}: nothing is invented");
            missing += (end - first.min(end)) - set.len() as u64;
            if concurrency == 1 && crashes == 0 {
                assert!(got.is_sorted(), "{name}: in order");
                assert_eq!(got.len(), set.len(), "{name}: without a crash, once");
            }
        }
        assert!(
            missing <= status.counts.expired,
            "{name}: {missing} missing, {} told as gap",
            status.counts.expired
        );
        for got in sink.accepted().iter().filter(|got| got.seq.is_some()) {
            let seq = got.seq.unwrap().0;
            let first = if got.org == orgs[0] { 3 } else { 0 };
            let prev = if seq == first { None } else { Some(Seq(seq - 1)) };
            assert_eq!(got.prev, Some(prev), "{name}: null only on the first, also after restarts");
        }
    }
    assert_eq!(machine.held().await, 0, "all memory is given back");
    let states = machine.states();
    assert!(states.iter().all(|state| state.resolved.is_empty()), "{states:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_or_invented_over_crashes(steps in steps(), concurrency in 1u16..4) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(judge(steps, concurrency));
    }
}

/// A lane that got a free place of its sink and then had nothing to send kept it, and the next one waited for ever.
#[test]
fn a_place_that_a_lane_does_not_need_is_the_next_ones() {
    let put = |org, count| Step::Put { org, count };
    let steps = [
        vec![put(0, 1), put(2, 1), put(0, 1), put(0, 1), Step::Crash, put(0, 1), Step::Crash, Step::Crash],
        vec![Step::Expire, Step::Mood(2), Step::Crash, Step::Wait(200), Step::Crash],
        vec![put(0, 1), Step::Wait(0), Step::Wait(0), Step::Expire, put(0, 9)],
    ];
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(judge(steps.concat(), 2));
}
