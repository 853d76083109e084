//! Sinks come, change and go.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_new_sink_begins_at_the_end_at_the_beginning_or_at_a_time() {
    let machine = Machine::new();
    machine.put("acme", 4);
    machine.put("other", 4);
    machine.wait(Duration::from_secs(3_600)).await;
    let noon = machine.clock.now().wall;
    machine.put("acme", 3);
    machine.wait(Duration::from_secs(3_600)).await;
    let sinks: Vec<_> = (0..3).map(|_| Scripted::new(&machine.clock)).collect();
    let begins = [Begin::End, Begin::Earliest, Begin::Time(noon)];
    let specs = ["end", "all", "noon"]
        .into_iter()
        .zip(begins)
        .zip(&sinks)
        .map(|((name, begin), sink)| SinkSpec { begin, ..spec("acme", name, sink) })
        .collect();
    machine.lanes.apply(specs).await.unwrap();
    machine.put("acme", 1);
    machine.millis(500).await;
    assert_eq!(sinks[0].seqs("acme"), [7]);
    assert_eq!(sinks[1].seqs("acme"), (0..8).collect::<Vec<_>>());
    assert_eq!(sinks[2].seqs("acme"), [4, 5, 6, 7]);
    assert_eq!(sinks[2].accepted()[0].prev, Some(None), "its first record has none before it");
    for (name, start) in [("end", 7), ("all", 0), ("noon", 4)] {
        assert_eq!(machine.status(name).await.start, start, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn beginnings_are_durable_when_apply_returns() {
    let machine = Machine::new();
    let sink = Scripted::new(&machine.clock);
    machine.put("acme", 2);
    machine.lanes.apply(vec![spec("acme", "soc", &sink)]).await.unwrap();
    machine.put("acme", 3);
    let machine = machine.crash().await;
    machine.lanes.apply(vec![spec("acme", "soc", &sink)]).await.unwrap();
    machine.millis(10).await;
    let mut seqs = sink.seqs("acme");
    seqs.dedup();
    assert_eq!(seqs, [2, 3, 4], "what was stored after it was promised its place");
    assert_eq!(machine.status("soc").await.start, 2);
}

#[tokio::test(start_paused = true)]
async fn a_removed_sink_keeps_its_place() {
    let machine = Machine::new();
    let (sink, other) = (Scripted::new(&machine.clock), Scripted::new(&machine.clock));
    machine.lanes.apply(vec![spec("acme", "soc", &sink), spec("acme", "other", &other)]).await.unwrap();
    machine.put("acme", 3);
    machine.millis(300).await;
    machine.lanes.apply(vec![spec("acme", "other", &other)]).await.unwrap();
    machine.put("acme", 4);
    machine.millis(300).await;
    let status = machine.status("soc").await;
    assert_eq!((status.state, status.counts.delivered, status.pending), (SinkState::Removed, 3, 4));
    assert_eq!(other.seqs("acme"), (0..7).collect::<Vec<_>>());
    // Over a restart as well, and when it comes back it goes on where it was.
    let machine = machine.crash().await;
    machine.lanes.apply(vec![spec("acme", "other", &other)]).await.unwrap();
    assert_eq!(machine.status("soc").await.state, SinkState::Removed);
    machine.lanes.apply(vec![spec("acme", "other", &other), spec("acme", "soc", &sink)]).await.unwrap();
    machine.millis(300).await;
    assert_eq!(sink.seqs("acme"), (0..7).collect::<Vec<_>>());
    assert_eq!(machine.status("soc").await.state, SinkState::Live);
    assert!(machine.states().iter().all(|state| !state.removed));
}

#[tokio::test(start_paused = true)]
async fn a_changed_plan_refuses_the_verdicts_of_old_cuts() {
    let machine = Machine::new();
    let sink = Scripted::new(&machine.clock);
    sink.does(|_| Act::Later(Duration::from_secs(5), Verdict::Accepted));
    machine.lanes.apply(vec![spec("acme", "soc", &sink)]).await.unwrap();
    machine.put("acme", 3);
    machine.millis(100).await;
    machine.lanes.apply(vec![SinkSpec { plan_epoch: 2, ..spec("acme", "soc", &sink) }]).await.unwrap();
    machine.wait(Duration::from_secs(20)).await;
    let seen = sink.seen();
    assert_eq!(seen.len(), 2, "sent again under the new plan");
    assert_ne!(seen[0].id, seen[1].id);
    assert_eq!(machine.lanes.counters().await.unwrap().0.refused_verdicts, 1);
    assert_eq!(machine.status("soc").await.counts.delivered, 3, "counted once");
}

#[tokio::test(start_paused = true)]
async fn a_shared_sink_whose_list_changes_keeps_its_place_and_counts_anew() {
    let machine = Machine::new();
    let (a, b, c) = neighbours();
    let sink = Scripted::new(&machine.clock);
    let list = |orgs: &[&String]| SinkSpec {
        owner: None,
        scope: Scope::Orgs(Arc::new(orgs.iter().map(|name| org(name)).collect())),
        ..spec("x", "some", &sink)
    };
    machine.lanes.apply(vec![list(&[&a, &c])]).await.unwrap();
    for org in [&a, &b, &c] {
        machine.put(org, 4);
    }
    machine.millis(300).await;
    // While it is down one organisation goes and another comes.
    let machine = machine.crash().await;
    machine.put(&b, 1);
    machine.put(&a, 1);
    machine.lanes.apply(vec![list(&[&b, &c])]).await.unwrap();
    machine.put(&b, 2);
    machine.put(&c, 2);
    machine.millis(300).await;
    assert_eq!(sink.seqs(&a), [0, 1, 2, 3]);
    assert_eq!(sink.seqs(&b), [4, 5, 6], "from where the lane stood: it had passed the first four");
    assert_eq!(sink.seqs(&c), (0..6).collect::<Vec<_>>());
    let status = machine.status("some").await;
    assert_eq!(
        (status.pending, status.counts.delivered),
        (0, 3 + 6),
        "only where the list changed they begin anew"
    );
    machine.lanes.apply(vec![list(&[&a, &b, &c])]).await.unwrap();
    machine.put(&a, 1);
    machine.millis(300).await;
    assert_eq!(sink.seqs(&a), [0, 1, 2, 3, 5], "what came while it was not on the list is not sent");
    machine.status("some").await;
}

#[tokio::test(start_paused = true)]
async fn a_paused_sink_waits_for_a_person() {
    let machine = Machine::new();
    let sink = Scripted::new(&machine.clock);
    machine.lanes.apply(vec![spec("acme", "soc", &sink)]).await.unwrap();
    let id = spec("acme", "soc", &sink).id();
    assert!(machine.lanes.set_paused(id, true).await.unwrap());
    machine.put("acme", 3);
    machine.wait(Duration::from_secs(7_200)).await;
    machine.lanes.apply(vec![spec("acme", "soc", &sink)]).await.unwrap();
    assert!(sink.seen().is_empty());
    assert_eq!(machine.status("soc").await.state, SinkState::Paused);
    assert!(machine.lanes.set_paused(id, false).await.unwrap());
    machine.millis(10).await;
    assert_eq!(sink.seqs("acme"), [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn shutting_down_waits_for_deliveries_and_records_every_cursor() {
    let machine = Machine::new();
    let (sink, hangs) = (Scripted::new(&machine.clock), Scripted::new(&machine.clock));
    sink.does(|_| Act::Later(Duration::from_secs(2), Verdict::Accepted));
    hangs.does(|_| Act::Later(Duration::from_secs(3_600), Verdict::Accepted));
    machine.lanes.apply(vec![spec("acme", "soc", &sink), spec("acme", "hangs", &hangs)]).await.unwrap();
    machine.put("acme", 3);
    machine.millis(20).await;
    machine.put("acme", 3);
    machine.put("other", 9);
    let began = machine.clock.now().instant;
    machine.lanes.shut_down(Duration::from_secs(10)).await.unwrap();
    let took = machine.clock.now().instant - began;
    assert!(took <= Duration::from_secs(11), "{took:?}");
    assert_eq!(sink.seqs("acme"), [0, 1, 2], "nothing new was started");
    let states = machine.states();
    let of = |label: &str| states.iter().find(|state| state.label.as_ref() == label).unwrap().next_row;
    assert_eq!((of("acme/soc"), of("acme/hangs")), (Row(3), Row(0)));
    assert!(machine.lanes.status().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn confirmations_are_asked_for_when_they_are_due() {
    struct Acks(Arc<Scripted>);
    impl Sink for Acks {
        fn shape(&self) -> BatchShape {
            self.0.shape()
        }
        fn deliver(self: Arc<Self>, delivery: Delivery) -> BoxFuture<'static, Attempt> {
            let ask_after = Duration::from_secs(5);
            Box::pin(async move { Attempt::Unconfirmed(Unconfirmed { delivery, handle: 1, ask_after }) })
        }
        fn confirm(self: Arc<Self>, due: Vec<Unconfirmed>) -> BoxFuture<'static, Vec<Attempt>> {
            Arc::clone(&self.0).confirm(due)
        }
    }
    let machine = Machine::new();
    let scripted = Scripted::new(&machine.clock);
    let target = Target::Ready(Arc::new(Acks(Arc::clone(&scripted))));
    machine.lanes.apply(vec![SinkSpec { target, ..spec("acme", "soc", &scripted) }]).await.unwrap();
    machine.put("acme", 3);
    machine.wait(Duration::from_secs(4)).await;
    let status = machine.status("soc").await;
    assert_eq!((status.counts.delivered, status.pending, status.in_flight), (0, 3, 1));
    machine.wait(Duration::from_secs(2)).await;
    assert_eq!(machine.status("soc").await.counts.delivered, 3);
}

/// What a sink has read ahead is given back as soon as nobody is to send it.
#[tokio::test(start_paused = true)]
async fn a_sink_that_is_paused_or_cannot_be_used_holds_no_memory() {
    for unusable in [false, true] {
        let machine = Machine::with(4 << 10, LaneSettings::new(7, 2, 42));
        let sink = Scripted::new(&machine.clock);
        sink.shape.lock().max_events = 1;
        for _ in 0..200 {
            machine.put("acme", 1);
        }
        sink.does(|_| Act::Later(Duration::from_secs(1), Verdict::Accepted));
        let soc = || SinkSpec { begin: Begin::Earliest, ..spec("acme", "soc", &sink) };
        machine.lanes.apply(vec![soc()]).await.unwrap();
        machine.millis(200).await;
        let held = machine.held().await;
        assert!(held > 10_000, "it has read ahead: {held}");
        if unusable {
            let target = Target::Unusable(cause("no"));
            machine.lanes.apply(vec![SinkSpec { target, ..soc() }]).await.unwrap();
        } else {
            assert!(machine.lanes.set_paused(soc().id(), true).await.unwrap());
        }
        assert!(machine.held().await < 1_000, "but for the attempt under way");
        machine.wait(Duration::from_secs(2)).await;
        assert_eq!((machine.held().await, sink.seqs("acme").len()), (0, 1));
        machine.lanes.apply(vec![soc()]).await.unwrap();
        machine.lanes.set_paused(soc().id(), false).await.unwrap();
        machine.wait(Duration::from_secs(250)).await;
        assert_eq!(sink.seqs("acme"), (0..200).collect::<Vec<_>>());
    }
}
