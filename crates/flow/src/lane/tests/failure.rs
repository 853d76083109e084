//! When sinks fail: nothing is skipped, nothing grows, nobody else waits.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_receiver_that_is_down_for_six_hours_costs_nothing_and_gets_everything_in_order() {
    let machine = Machine::with(64 << 10, LaneSettings::new(7, 2, 42));
    let sink = Scripted::new(&machine.clock);
    let well = Scripted::new(&machine.clock);
    machine.lanes.apply(vec![spec("acme", "soc", &sink), spec("other", "well", &well)]).await.unwrap();
    sink.does(|_| retry());
    let (mut most, mut most_at_first) = (0, 0);
    for minute in 0..360u32 {
        machine.put("acme", 5);
        machine.put("other", 1);
        machine.wait(Duration::from_secs(60)).await;
        most = most.max(machine.held().await);
        assert!(machine.log.tail_bytes() <= 64 << 10, "the tail keeps to its bound whoever has not read it");
        if minute == 60 {
            most_at_first = most;
        }
        if minute == 300 {
            let status = machine.status("soc").await;
            assert_eq!((status.state, status.pending), (SinkState::BackingOff, 5 * 301));
            assert!(status.lag_ms >= 300 * 60_000 && status.next_attempt.is_some());
            assert_eq!(status.last_error.unwrap().cause.what, "down");
        }
    }
    assert!(most <= 2_000, "a lane in backoff holds a range, not buffers: {most} bytes");
    assert!(most <= most_at_first, "five more hours cost nothing: {most_at_first}, then {most} bytes");
    let attempts = sink.seen().len();
    assert!((70..=400).contains(&attempts), "{attempts} attempts in six hours");
    assert_eq!(well.seqs("other").len(), 360, "the other sink never noticed");
    sink.accepts();
    machine.wait(Duration::from_secs(400)).await;
    assert_eq!(sink.seqs("acme"), (0..1_800).collect::<Vec<_>>(), "everything, in order, once");
    let status = machine.status("soc").await;
    assert_eq!((status.state, status.pending, status.counts.delivered), (SinkState::Live, 0, 1_800));
    assert!(machine.lanes.counters().await.unwrap().0.reads > 0, "it was read from disk");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_token_blocks_and_the_sink_resumes_alone() {
    let machine = Machine::new();
    let (sink, well) = (Scripted::new(&machine.clock), Scripted::new(&machine.clock));
    machine.lanes.apply(vec![spec("acme", "soc", &sink), spec("other", "well", &well)]).await.unwrap();
    machine.put("acme", 3);
    machine.millis(300).await;
    sink.does(|_| Act::Settle(Verdict::Blocked(cause("the token is not accepted"))));
    machine.put("acme", 4);
    for _ in 0..60 {
        machine.put("other", 1);
        machine.wait(Duration::from_secs(60)).await;
        assert!(machine.held().await <= 2_000, "a blocked sink holds nothing");
    }
    assert_eq!(well.seqs("other").len(), 60, "the other organisation's sink never noticed");
    let status = machine.status("soc").await;
    assert_eq!((status.state, status.pending), (SinkState::Blocked, 4));
    assert_eq!(status.last_error.unwrap().cause.what, "the token is not accepted");
    let probes = sink.seen().len() - 1;
    assert!((12..=61).contains(&probes), "{probes} probes in an hour");
    machine.put("acme", 5);
    sink.accepts();
    machine.wait(Duration::from_secs(301)).await;
    assert_eq!(sink.seqs("acme"), (0..12).collect::<Vec<_>>(), "nothing skipped, nothing twice");
    assert_eq!(machine.status("soc").await.state, SinkState::Live);
}

#[tokio::test(start_paused = true)]
async fn a_changed_setting_is_tried_at_once() {
    let machine = Machine::new();
    let sink = Scripted::new(&machine.clock);
    machine.lanes.apply(vec![spec("acme", "soc", &sink)]).await.unwrap();
    sink.does(|_| Act::Settle(Verdict::Blocked(cause("no"))));
    machine.put("acme", 4);
    machine.millis(10).await;
    assert_eq!(machine.status("soc").await.state, SinkState::Blocked);
    let other = Scripted::new(&machine.clock);
    machine.lanes.apply(vec![spec("acme", "soc", &other)]).await.unwrap();
    machine.millis(10).await;
    assert_eq!(other.seqs("acme"), [0, 1, 2, 3]);
    assert_eq!(machine.status("soc").await.state, SinkState::Live);
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_kept() {
    let machine = Machine::new();
    let sink = Scripted::new(&machine.clock);
    machine.lanes.apply(vec![spec("acme", "soc", &sink)]).await.unwrap();
    sink.does(|seen| match seen.attempt {
        1 => Act::Settle(Verdict::Retry { after: Some(Duration::from_secs(120)), cause: cause("busy") }),
        _ => Act::Settle(Verdict::Accepted),
    });
    machine.put("acme", 1);
    machine.wait(Duration::from_secs(200)).await;
    let seen = sink.seen();
    let waited = seen[1].at.instant - seen[0].at.instant;
    assert!(waited >= Duration::from_secs(120) && waited < Duration::from_secs(122), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_or_panicking_delivery_is_not_delivered() {
    let machine = Machine::new();
    let sink = Scripted::new(&machine.clock);
    sink.does(|seen| match seen.attempt {
        1 => Act::Drop,
        2 => Act::Panic,
        _ => Act::Settle(Verdict::Accepted),
    });
    machine.lanes.apply(vec![spec("acme", "soc", &sink)]).await.unwrap();
    machine.put("acme", 3);
    machine.wait(Duration::from_secs(30)).await;
    assert_eq!(sink.seqs("acme"), [0, 1, 2]);
    assert_eq!(machine.lanes.counters().await.unwrap().0.abandoned, 2);
    assert_eq!(machine.held().await, 0);
    machine.status("soc").await;
}

#[tokio::test(start_paused = true)]
async fn sinks_that_hang_delay_nobody() {
    let mut settings = LaneSettings::new(7, 2, 42);
    settings.memory = 1 << 18;
    let machine = Machine::with(8 << 20, settings);
    let dead: Vec<_> = (0..20).map(|_| Scripted::new(&machine.clock)).collect();
    let well = Scripted::new(&machine.clock);
    let mut specs: Vec<_> =
        dead.iter().enumerate().map(|(n, sink)| spec(&format!("dead-{n}"), "soc", sink)).collect();
    specs.push(spec("well", "well", &well));
    machine.lanes.apply(specs).await.unwrap();
    for sink in &dead {
        sink.shape.lock().max_bytes = 20_000;
        sink.does(|_| {
            Act::Later(Duration::from_secs(30), Verdict::Retry { after: None, cause: cause("time-out") })
        });
    }
    for round in 0..300u64 {
        for n in 0..20 {
            machine.log.put(&format!("dead-{n}"), 1, 15_000).unwrap();
        }
        machine.log.put("well", 1, 1_000).unwrap();
        machine.millis(250).await;
        let held = machine.held().await;
        // Reads under way, four at most, come on top of the budget.
        assert!(held <= (1 << 18) + 4 * 60_000, "{held} bytes in round {round}");
        // Twenty sinks that nobody knows to be dead may each take memory once, until their first attempts end: that is two
        // times 30 s. After that they share half of it.
        if round > 260 {
            // Everything that was put before is there: the longest wait is less than one round.
            assert!(well.seqs("well").len() as u64 > round, "round {round}");
        }
    }
    machine.status("well").await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_too_large_is_halved_down_to_the_poison() {
    let machine = Machine::new();
    let sink = Scripted::new(&machine.clock);
    sink.does(|seen| {
        if seen.records.iter().any(|got| got.seq == Some(Seq(11))) {
            Act::Settle(Verdict::Split(cause("bad request")))
        } else {
            Act::Settle(Verdict::Accepted)
        }
    });
    machine.lanes.apply(vec![spec("acme", "soc", &sink)]).await.unwrap();
    machine.put("acme", 32);
    machine.wait(Duration::from_secs(2)).await;
    assert_eq!(sink.seqs("acme"), (0..11).collect::<Vec<_>>(), "what comes before it, in order");
    let status = machine.status("soc").await;
    assert_eq!((status.state, status.counts.delivered, status.pending), (SinkState::Blocked, 11, 21));
    assert!(status.last_error.unwrap().cause.what.contains("bad request"));
    assert_eq!(machine.states().remove(0).next_row, Row(11), "the accepted prefix is committed");
    sink.accepts();
    machine.wait(Duration::from_secs(301)).await;
    assert_eq!(sink.seqs("acme"), (0..32).collect::<Vec<_>>());
    assert_eq!(machine.status("soc").await.state, SinkState::Live);
}

#[tokio::test(start_paused = true)]
async fn an_accepted_prefix_is_taken_and_the_refused_record_named() {
    for trusts_prefix in [true, false] {
        let machine = Machine::new();
        let sink = Scripted::new(&machine.clock);
        sink.does(move |seen| match seen.records.iter().position(|got| got.seq == Some(Seq(5))) {
            Some(at) => Act::Settle(Verdict::PerRow {
                accepted_prefix: if trusts_prefix { at as u64 } else { 0 },
                refused: Some(at as u64),
                cause: cause("invalid event number"),
            }),
            None => Act::Settle(Verdict::Accepted),
        });
        machine.lanes.apply(vec![spec("acme", "soc", &sink)]).await.unwrap();
        machine.put("acme", 9);
        machine.wait(Duration::from_secs(2)).await;
        assert_eq!(sink.seqs("acme"), [0, 1, 2, 3, 4]);
        let status = machine.status("soc").await;
        assert_eq!((status.state, status.counts.delivered, status.pending), (SinkState::Blocked, 5, 4));
        let what = status.last_error.unwrap().cause.what;
        assert!(what.contains("(organisation acme, seq 5"), "it can be found: {what}");
        // The probe is the refused record alone.
        machine.wait(Duration::from_secs(301)).await;
        assert_eq!(sink.seen().last().unwrap().records.len(), 1);
        sink.accepts();
        machine.wait(Duration::from_secs(301)).await;
        assert_eq!(sink.seqs("acme"), (0..9).collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn unusable_settings_block_and_keep_the_place() {
    let machine = Machine::new();
    let sink = Scripted::new(&machine.clock);
    machine.put("acme", 2);
    let unusable = Target::Unusable(cause("select.filter is not supported yet"));
    machine.lanes.apply(vec![SinkSpec { target: unusable, ..spec("acme", "soc", &sink) }]).await.unwrap();
    machine.put("acme", 3);
    machine.wait(Duration::from_secs(900)).await;
    let status = machine.status("soc").await;
    assert_eq!((status.state, status.pending), (SinkState::Blocked, 3));
    assert_eq!(status.last_error.unwrap().cause.what, "select.filter is not supported yet");
    machine.lanes.apply(vec![spec("acme", "soc", &sink)]).await.unwrap();
    machine.millis(10).await;
    assert_eq!(sink.seqs("acme"), [2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_far_end_that_is_nearly_full_gets_fewer_at_one_time_until_it_is_not() {
    let machine = Machine::new();
    let sink = Scripted::new(&machine.clock);
    let second = Duration::from_secs(1);
    sink.does(move |_| Act::NearlyFull(second));
    let parallel = SinkSpec { concurrency: 8, lane_concurrency: 8, ..spec("acme", "soc", &sink) };
    machine.lanes.apply(vec![parallel]).await.unwrap();
    machine.put("acme", 10_000);
    let mut at_one_time = Vec::new();
    for round in 0..12 {
        machine.millis(500).await;
        at_one_time.push(machine.status("soc").await.in_flight);
        if round == 3 {
            sink.does(move |_| Act::Later(second, Verdict::Accepted));
        }
        machine.millis(500).await;
    }
    assert_eq!(at_one_time, [8, 4, 2, 1, 1, 2, 3, 4, 5, 6, 7, 8]);
    machine.wait(Duration::from_secs(60)).await;
    assert_eq!(machine.status("soc").await.counts.delivered, 10_000);
}

/// Puts one record after the other into flight at a sink that gets one at a time, four in parallel.
async fn four_in_parallel(machine: &Machine, sink: &Arc<Scripted>) {
    sink.shape.lock().max_events = 1;
    let parallel = SinkSpec { concurrency: 4, lane_concurrency: 4, ..spec("acme", "soc", sink) };
    machine.lanes.apply(vec![parallel]).await.unwrap();
    machine.put("acme", 4);
}

fn first_attempts(sink: &Arc<Scripted>, verdicts: [Verdict; 4]) {
    sink.does(move |seen| {
        let number = seen.records[0].seq.unwrap().0;
        match verdicts.get(usize::try_from(number).unwrap()).filter(|_| seen.attempt == 1) {
            Some(verdict) => Act::Later(Duration::from_secs(number + 1), verdict.clone()),
            None => Act::Settle(Verdict::Accepted),
        }
    });
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_what_was_under_way_does_not_undo_retry_after() {
    let machine = Machine::new();
    let sink = Scripted::new(&machine.clock);
    let hour = Duration::from_secs(3_600);
    first_attempts(
        &sink,
        [
            Verdict::Retry { after: Some(hour), cause: cause("busy") },
            Verdict::Accepted,
            Verdict::PerRow { accepted_prefix: 1, refused: None, cause: cause("odd") },
            Verdict::Retry { after: None, cause: cause("down") },
        ],
    );
    four_in_parallel(&machine, &sink).await;
    machine.wait(Duration::from_secs(10)).await;
    assert_eq!(machine.status("soc").await.state, SinkState::BackingOff);
    machine.put("acme", 1);
    machine.wait(Duration::from_secs(3_500)).await;
    assert_eq!(sink.seen().len(), 4, "it is left alone for the hour it asked for");
    assert_eq!(machine.status("soc").await.counts.delivered, 2, "what it took is taken");
    machine.wait(Duration::from_secs(120)).await;
    let mut seqs = sink.seqs("acme");
    seqs.sort_unstable();
    assert_eq!(seqs, [0, 1, 2, 3, 4]);
    assert_eq!(machine.status("soc").await.state, SinkState::Live);
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_what_was_under_way_does_not_unblock() {
    let machine = Machine::new();
    let sink = Scripted::new(&machine.clock);
    let late = [
        Verdict::Blocked(cause("the token is not accepted")),
        Verdict::Retry { after: None, cause: cause("down") },
        Verdict::Accepted,
        Verdict::Split(cause("too large")),
    ];
    first_attempts(&sink, late);
    four_in_parallel(&machine, &sink).await;
    machine.wait(Duration::from_secs(50)).await;
    assert_eq!(machine.status("soc").await.state, SinkState::Blocked);
    assert_eq!(sink.seen().len(), 4, "no attempt before the probe");
    machine.wait(Duration::from_secs(20)).await;
    assert_eq!(machine.status("soc").await.state, SinkState::Live, "the probe decides");
    machine.wait(Duration::from_secs(10)).await;
    assert_eq!(machine.status("soc").await.counts.delivered, 4);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_fails_otherwise_leaves_the_sink_blocked() {
    let machine = Machine::new();
    let sink = Scripted::new(&machine.clock);
    machine.lanes.apply(vec![spec("acme", "soc", &sink)]).await.unwrap();
    sink.does(|seen| match seen.attempt {
        1 => Act::Settle(Verdict::Blocked(cause("the token is not accepted"))),
        _ => retry(),
    });
    machine.put("acme", 1);
    machine.wait(Duration::from_secs(70)).await;
    assert_eq!(sink.seen().len(), 2);
    let status = machine.status("soc").await;
    assert_eq!((status.state, status.last_error.unwrap().cause.what.as_str()), (SinkState::Blocked, "down"));
    sink.accepts();
    machine.wait(Duration::from_secs(301)).await;
    assert_eq!(sink.seqs("acme"), [0]);
    assert_eq!(machine.status("soc").await.state, SinkState::Live);
}

#[tokio::test(start_paused = true)]
async fn the_first_probe_comes_after_a_minute_however_many_were_under_way() {
    let machine = Machine::new();
    let sink = Scripted::new(&machine.clock);
    first_attempts(&sink, [(); 4].map(|()| Verdict::Blocked(cause("the token is not accepted"))));
    four_in_parallel(&machine, &sink).await;
    machine.wait(Duration::from_secs(62)).await;
    assert_eq!(sink.seen().len(), 5 + 3, "the probe, and the others behind it");
}
