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
    let specs: Vec<_> = ["end", "all", "noon"]
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
async fn a_shared_sink_whose_list_shrinks_leaves_no_phantom() {
    let machine = Machine::new();
    let (a, _, c) = neighbours();
    let sink = Scripted::new(&machine.clock);
    let list = |orgs: &[&String]| SinkSpec {
        owner: None,
        scope: Scope::Orgs(Arc::new(orgs.iter().map(|name| org(name)).collect())),
        ..spec("x", "some", &sink)
    };
    let only = async |machine: &Machine| {
        let mut all = machine.lanes.status().await.unwrap();
        assert_eq!(all.len(), 1, "{all:?}");
        let status = all.remove(0);
        assert!(status.balances(), "{status:?}");
        (status.state, status.stamped, status.pending)
    };
    machine.lanes.apply(vec![shared("some", &sink)]).await.unwrap();
    machine.put(&a, 4);
    machine.put(&c, 4);
    machine.millis(300).await;
    for wide in [shared("some", &sink), list(&[&a, &c])] {
        machine.lanes.apply(vec![wide]).await.unwrap();
        machine.lanes.apply(vec![list(&[&a])]).await.unwrap();
        machine.put(&a, 1);
        machine.put(&c, 7);
        machine.millis(300).await;
        let (state, _, pending) = only(&machine).await;
        assert_eq!((state, pending), (SinkState::Live, 0));
    }
    // Over a restart as well; and when it is removed, what it had is told without what it never was about.
    let machine = machine.crash().await;
    machine.lanes.apply(vec![list(&[&a])]).await.unwrap();
    assert_eq!(only(&machine).await, (SinkState::Live, 6, 0));
    machine.lanes.apply(Vec::new()).await.unwrap();
    machine.put(&c, 5);
    let (state, _, pending) = only(&machine).await;
    assert_eq!((state, pending), (SinkState::Removed, 0));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_blocked_and_not_removed() {
    let machine = Machine::new();
    let sink = Scripted::new(&machine.clock);
    let all = || vec![spec("acme", "soc", &sink), spec("acme", "other", &sink), spec("boreas", "soc", &sink)];
    machine.lanes.apply(all()).await.unwrap();
    machine.put("acme", 3);
    machine.millis(300).await;
    machine.lanes.apply(vec![spec("acme", "soc", &sink), spec("boreas", "soc", &sink)]).await.unwrap();
    machine.millis(300).await;
    let machine = machine.crash().await;
    machine.put("acme", 2);
    let unread =
        |owner: Option<&str>, sinks| Unread { owner: owner.map(org), sinks, cause: cause("no YAML") };
    let any = || UnreadSinks::Any("acme/sinks.yaml".to_owned());
    let one = || UnreadSinks::One("typo".to_owned());
    let nobodys = || UnreadSinks::Nobodys("new/org.yaml".to_owned());
    let unread = vec![unread(Some("acme"), any()), unread(None, one()), unread(None, nobodys())];
    let sinks = vec![spec("boreas", "soc", &sink)];
    machine.lanes.apply(Configured { sinks, unread }).await.unwrap();
    machine.millis(300).await;
    let status = machine.lanes.status().await.unwrap();
    let shown: Vec<_> = status
        .iter()
        .map(|status| {
            assert!(status.balances(), "{status:?}");
            let what = status.last_error.as_ref().map(|error| error.cause.what.as_str());
            (status.org.as_ref().map_or("*", |org| org.as_str()), status.name.as_str(), status.state, what)
        })
        .collect();
    let blocked = |owner, name| (owner, name, SinkState::Blocked, Some("no YAML"));
    assert_eq!(
        shown,
        [
            blocked("*", "new/org.yaml"),
            blocked("*", "typo"),
            blocked("acme", "acme/sinks.yaml"),
            ("acme", "other", SinkState::Removed, None),
            blocked("acme", "soc"),
            ("boreas", "soc", SinkState::Live, None),
        ],
        "what a person had removed before stays so"
    );
    assert_eq!((machine.status("soc").await.pending, sink.seqs("acme").len()), (2, 6));
    // Once it can be read, it goes on where it was.
    machine.lanes.apply(all()).await.unwrap();
    machine.millis(300).await;
    assert_eq!(machine.lanes.status().await.unwrap().len(), 3);
    assert_eq!(sink.seqs("acme").len(), 6 + 2 + 2, "both go on where they were");
}

#[tokio::test(start_paused = true)]
async fn a_sink_in_which_nothing_changed_is_left_alone() {
    let machine = Machine::new();
    let sink = Scripted::new(&machine.clock);
    sink.does(|_| Act::Settle(Verdict::Blocked(cause("token"))));
    machine.lanes.apply(vec![spec("acme", "soc", &sink)]).await.unwrap();
    machine.put("acme", 1);
    machine.millis(300).await;
    let tried = sink.seen().len();
    let due = machine.status("soc").await.next_attempt;
    for _ in 0..3 {
        machine.lanes.apply(vec![spec("acme", "soc", &sink)]).await.unwrap();
        machine.millis(300).await;
    }
    let status = machine.status("soc").await;
    assert_eq!((sink.seen().len(), status.state), (tried, SinkState::Blocked));
    assert_eq!(status.next_attempt, due);
    // Whoever changed something sees at once whether it helps: another destination, or one key.
    for changed in [SinkSpec { concurrency: 2, ..spec("acme", "soc", &sink) }, spec("acme", "soc", &sink)] {
        let before = sink.seen().len();
        machine.lanes.apply(vec![changed]).await.unwrap();
        machine.millis(300).await;
        assert_eq!(sink.seen().len(), before + 1);
    }
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
