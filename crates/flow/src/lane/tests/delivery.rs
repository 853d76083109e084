//! When all is well: what is sent, in which batches, and what is recorded.

use super::*;

#[tokio::test(start_paused = true)]
async fn records_are_delivered_counted_and_recorded() {
    let machine = Machine::new();
    let sink = Scripted::new(&machine.clock);
    machine.put("acme", 2);
    machine.lanes.apply(vec![spec("acme", "soc", &sink)]).await.unwrap();
    machine.put("acme", 3);
    machine.put("other", 5);
    machine.millis(300).await;
    let got = sink.accepted();
    assert_eq!(sink.seqs("acme"), [2, 3, 4], "it begins with what came after it was added");
    let prev: Vec<_> = got.iter().map(|got| got.prev.unwrap()).collect();
    assert_eq!(prev, [None, Some(Seq(2)), Some(Seq(3))]);
    assert!(got.iter().all(|got| got.org == "acme"));
    let status = machine.status("soc").await;
    assert_eq!((status.stamped, status.start, status.counts.delivered, status.pending), (5, 2, 3, 0));
    assert_eq!((status.state, status.lag_ms), (SinkState::Live, 0));
    assert!(status.last_success.is_some() && status.last_error.is_none());
    let state = machine.states().remove(0);
    assert_eq!((state.counts.delivered, state.label.as_ref()), (3, "acme/soc"));
    assert_eq!(state.starts, Some(vec![(org("acme"), Seq(2))]));
}

#[tokio::test(start_paused = true)]
async fn a_shared_sink_gets_everything_once() {
    let machine = Machine::new();
    let (a, b, c) = neighbours();
    let sink = Scripted::new(&machine.clock);
    machine.put(&a, 1);
    machine.lanes.apply(vec![SinkSpec { concurrency: 4, ..shared("lake", &sink) }]).await.unwrap();
    for _ in 0..20 {
        machine.log.put_all(&[(&a, 3), (&b, 2)], 150).unwrap();
        machine.log.put(&c, 1, 150).unwrap();
        machine.millis(7).await;
    }
    machine.millis(500).await;
    assert_eq!(sink.seqs(&a), (1..61).collect::<Vec<_>>());
    assert_eq!(sink.seqs(&b), (0..40).collect::<Vec<_>>());
    assert_eq!(sink.seqs(&c), (0..20).collect::<Vec<_>>());
    let status = machine.status("lake").await;
    assert_eq!((status.stamped, status.start, status.counts.delivered), (121, 1, 120));
}

#[tokio::test(start_paused = true)]
async fn batches_keep_to_the_sinks_limits() {
    let machine = Machine::new();
    let (a, b, _) = neighbours();
    let sink = Scripted::new(&machine.clock);
    *sink.shape.lock() = BatchShape { max_events: 7, max_bytes: 100_000, overhead: 10 };
    machine.lanes.apply(vec![shared("lake", &sink)]).await.unwrap();
    machine.log.put_all(&[(&a, 20), (&b, 11)], 200).unwrap();
    machine.millis(50).await;
    let sizes: Vec<_> = sink.seen().iter().map(|seen| seen.records.len()).collect();
    assert_eq!(sizes, [7, 7, 7, 7, 3]);

    *sink.shape.lock() = BatchShape { max_events: 1_000, max_bytes: 1_000, overhead: 50 };
    machine.log.put_all(&[(&a, 10), (&b, 10)], 200).unwrap();
    machine.millis(50).await;
    for seen in sink.seen().iter().skip(5) {
        let bytes: usize = seen.records.iter().map(|got| got.record.len() + 50).sum();
        assert!(bytes <= 1_000, "{bytes} bytes as sent");
        assert!(seen.records.len() >= 3, "a batch is filled as far as it goes");
    }
    machine.log.put(&a, 1, 5_000).unwrap();
    machine.millis(50).await;
    assert_eq!(
        sink.seen().last().unwrap().records.len(),
        1,
        "one that is too large alone is the far end's to judge"
    );
    assert_eq!(sink.seqs(&a), (0..31).collect::<Vec<_>>());
    assert_eq!(sink.seqs(&b), (0..21).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn an_idle_sink_sends_at_once_and_scarce_starts_make_batches_grow() {
    let settings = LaneSettings { starts_per_second: 20, ..LaneSettings::new(7, 1, 42) };
    let machine = Machine::with(8 << 20, settings);
    let sinks: Vec<_> = (0..10).map(|_| Scripted::new(&machine.clock)).collect();
    let specs: Vec<_> = sinks
        .iter()
        .enumerate()
        .map(|(n, sink)| SinkSpec {
            max_delay: Duration::from_secs(3),
            ..spec(&format!("org-{n}"), "soc", sink)
        })
        .collect();
    machine.lanes.apply(specs).await.unwrap();
    machine.put("org-0", 1);
    machine.millis(3).await;
    assert_eq!(sinks[0].seqs("org-0"), [0], "nothing lingers");
    for _ in 0..1_000 {
        for n in 0..10 {
            machine.log.put(&format!("org-{n}"), 1, 150).unwrap();
        }
        machine.millis(10).await;
    }
    machine.millis(3_500).await;
    let attempts: usize = sinks.iter().map(|sink| sink.seen().len()).sum();
    assert!(attempts <= 20 * 14, "{attempts} attempts in 13.5 s at 20 a second");
    for (n, sink) in sinks.iter().enumerate() {
        let extra = u64::from(n == 0);
        assert_eq!(sink.seqs(&format!("org-{n}")), (0..1_000 + extra).collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn max_delay_bounds_the_wait_for_a_start() {
    let settings = LaneSettings { starts_per_second: 1, ..LaneSettings::new(7, 1, 42) };
    let machine = Machine::with(8 << 20, settings);
    let (fast, slow) = (Scripted::new(&machine.clock), Scripted::new(&machine.clock));
    let specs = vec![
        SinkSpec { max_delay: Duration::from_millis(200), ..spec("fast", "soc", &fast) },
        SinkSpec { max_delay: Duration::from_secs(60), ..spec("slow", "soc", &slow) },
    ];
    machine.lanes.apply(specs).await.unwrap();
    for _ in 0..200 {
        machine.put("slow", 1);
        machine.put("fast", 1);
        machine.millis(50).await;
    }
    let seen = fast.seen();
    for pair in seen.windows(2) {
        let gap = pair[1].at.instant - pair[0].at.instant;
        // The records come every 50 ms, and starts are given out in steps.
        assert!(
            gap <= Duration::from_millis(250) + crate::limits::STEP,
            "{gap:?} between deliveries to a sink with max_delay 200 ms"
        );
    }
    assert!(seen.len() >= 40);
    assert!(slow.seen().len() < seen.len() / 2, "the other one waits for the budget");
}

#[tokio::test(start_paused = true)]
async fn out_of_order_ends_are_kept_and_the_cursor_stays_at_the_first_open_range() {
    let machine = Machine::new();
    let sink = Scripted::new(&machine.clock);
    *sink.shape.lock() = BatchShape { max_events: 10, max_bytes: 1 << 20, overhead: 0 };
    let slow = |seen: &Seen| {
        let wait = if seen.records[0].seq == Some(Seq(0)) { 10_000 } else { 10 };
        Act::Later(Duration::from_millis(wait), Verdict::Accepted)
    };
    sink.does(slow);
    let parallel = || SinkSpec { concurrency: 3, lane_concurrency: 3, ..spec("acme", "soc", &sink) };
    machine.lanes.apply(vec![parallel()]).await.unwrap();
    machine.put("acme", 50);
    machine.millis(1_000).await;
    assert_eq!(sink.seqs("acme"), (10..50).collect::<Vec<_>>());
    let status = machine.status("soc").await;
    assert_eq!((status.counts.delivered, status.pending), (40, 10));
    let state = machine.states().remove(0);
    assert_eq!((state.next_row, state.resolved.len()), (Row(0), 1), "neighbours are joined");
    assert_eq!(state.resolved[0].records, 40);
    // What was settled out of order is not sent again after a crash.
    let machine = machine.crash().await;
    sink.accepts();
    machine.lanes.apply(vec![parallel()]).await.unwrap();
    machine.put("acme", 5);
    machine.millis(1_000).await;
    let mut seqs = sink.seqs("acme");
    seqs.sort_unstable();
    assert_eq!(seqs, (0..55).collect::<Vec<_>>(), "each once");
    assert_eq!(machine.states().remove(0).next_row, Row(55));
    let status = machine.status("soc").await;
    assert_eq!((status.counts.delivered, status.pending), (55, 0));
}

#[tokio::test(start_paused = true)]
async fn delivery_ids_are_stable_over_retries_and_differ_between_cuts() {
    let machine = Machine::new();
    let sink = Scripted::new(&machine.clock);
    sink.does(|seen| if seen.attempt < 3 { retry() } else { Act::Settle(Verdict::Accepted) });
    machine.lanes.apply(vec![spec("acme", "soc", &sink)]).await.unwrap();
    for _ in 0..2 {
        machine.put("acme", 3);
        machine.wait(Duration::from_secs(30)).await;
        // More records come while the first cut waits: they must not change it.
    }
    let seen = sink.seen();
    let ids: Vec<_> = seen.iter().map(|seen| (seen.id.as_str(), seen.attempt)).collect();
    assert_eq!(ids.len(), 6, "{ids:?}");
    assert_eq!(ids.iter().map(|(_, attempt)| *attempt).collect::<Vec<_>>(), [1, 2, 3, 1, 2, 3]);
    assert!(ids[0].0 == ids[1].0 && ids[1].0 == ids[2].0 && ids[3].0 == ids[5].0 && ids[0].0 != ids[3].0);
    assert_eq!(machine.status("soc").await.retries, 4);
}

/// Lanes that wait for a place of their sink are called one after another. One that finds nothing to send passes the
/// call on: nobody else would.
#[tokio::test(start_paused = true)]
async fn a_lane_that_finds_nothing_gives_its_place_to_the_next() {
    let machine = Machine::new();
    let names = one_of_each_partition();
    let sink = Scripted::new(&machine.clock);
    sink.does(|_| Act::Later(Duration::from_secs(1), Verdict::Accepted));
    let lake = |plan_epoch| SinkSpec { plan_epoch, ..shared("lake", &sink) };
    machine.lanes.apply(vec![lake(1)]).await.unwrap();
    machine.put(&names[0], 1);
    machine.millis(100).await;
    // After a changed plan every lane looks once more, but the only place is taken: the second and the third lane wait
    // for it with nothing to send, and the last one behind them with a record.
    machine.lanes.apply(vec![lake(2)]).await.unwrap();
    machine.put(&names[3], 1);
    machine.wait(Duration::from_secs(4)).await;
    assert_eq!(sink.seqs(&names[3]), [0]);
    machine.status("lake").await;
}
