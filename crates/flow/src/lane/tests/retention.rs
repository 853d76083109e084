//! What retention takes before it was delivered is counted and told.

use super::*;

fn retain(machine: &Machine, org: &str, segments: usize) {
    let directory = Directory::new(PARTITIONS, UnknownOrgs::Accept);
    let partition = directory.partition_of(org);
    machine.disk.keep_segments(usize::from(partition.0), Some(segments));
    machine.log.maintain(partition).unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_expires_is_counted_at_once_and_told_before_what_comes_after() {
    let machine = Machine::with(16 << 10, LaneSettings::new(7, 2, 42));
    let (a, b, _) = neighbours();
    let (sink, lake) = (Scripted::new(&machine.clock), Scripted::new(&machine.clock));
    machine.put(&a, 7);
    machine.lanes.apply(vec![spec(&a, "soc", &sink), shared("lake", &lake)]).await.unwrap();
    machine.put(&a, 5);
    machine.millis(500).await;
    for sink in [&sink, &lake] {
        sink.does(|_| Act::Settle(Verdict::Blocked(cause("no"))));
    }
    for _ in 0..200 {
        machine.log.put_all(&[(&a, 2), (&b, 1)], 150).unwrap();
        machine.millis(10).await;
    }
    assert_eq!(machine.status("soc").await.pending, 400);
    retain(&machine, &a, 2);
    machine.millis(500).await;
    let status = machine.status("soc").await;
    assert_eq!(status.state, SinkState::Blocked, "it did not have to deliver for that");
    let expired = status.counts.expired;
    assert!(expired > 200 && expired < 400, "{expired}");
    assert_eq!((status.pending, status.open_gaps), (400 - expired, 1));
    let lake_expired = machine.status("lake").await.counts.expired;
    assert_eq!(lake_expired, expired / 2 * 3);
    let recorded = machine.states();
    assert!(recorded.iter().any(|state| state.label.ends_with("/soc") && state.gaps.len() == 1), "durable");

    sink.accepts();
    lake.accepts();
    machine.wait(Duration::from_secs(301)).await;
    let got = sink.accepted();
    let at = got.iter().position(|got| got.seq.is_none()).unwrap();
    assert_eq!(got[at - 1].seq, Some(Seq(11)));
    assert_eq!(got[at + 1].seq, Some(Seq(12 + expired)), "the gap comes before what follows it");
    assert_eq!(got[at + 1].prev, Some(Some(Seq(11 + expired))));
    let start = if got[at].row.0 == 12 { 12 } else { got[at].row.0 };
    assert_eq!(
        got[at].record,
        format!(
            "{{\"v\":1,\"kind\":\"gap\",\"sink\":\"soc\",\"org_id\":\"{a}\",\"first_seq\":12,\"last_seq\":{},\"count\":{expired},\"reason\":\"retention\",\"first_row\":{start},\"last_row\":{}}}",
            11 + expired,
            got[at + 1].row.0 - 1,
        )
    );
    let status = machine.status("soc").await;
    assert_eq!((status.state, status.pending, status.open_gaps), (SinkState::Live, 0, 0));
    let lake_gap = lake.accepted().into_iter().find(|got| got.seq.is_none()).unwrap();
    assert!(
        lake_gap.record.contains(&format!("\"org_id\":\"*\",\"count\":{lake_expired},")),
        "{}",
        lake_gap.record
    );
    machine.status("lake").await;
    assert!(machine.states().iter().all(|state| state.gaps.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn a_gap_that_is_found_after_a_restart_is_told_too() {
    let machine = Machine::with(16 << 10, LaneSettings::new(7, 2, 42));
    let (a, b, _) = neighbours();
    let sink = Scripted::new(&machine.clock);
    sink.does(|_| retry());
    machine.lanes.apply(vec![spec(&a, "soc", &sink)]).await.unwrap();
    for _ in 0..200 {
        machine.log.put_all(&[(&a, 1), (&b, 3)], 150).unwrap();
    }
    machine.millis(10).await;
    let partition = Directory::new(PARTITIONS, UnknownOrgs::Accept).partition_of(&a);
    machine.disk.keep_segments(usize::from(partition.0), Some(2));
    // The segments go before the process has told anybody.
    let machine = machine.crash().await;
    machine.log.maintain(partition).unwrap();
    let machine = machine.crash().await;
    sink.accepts();
    machine.lanes.apply(vec![spec(&a, "soc", &sink)]).await.unwrap();
    machine.millis(900).await;
    let status = machine.status("soc").await;
    assert!(status.counts.expired > 0 && status.pending == 0, "{status:?}");
    assert_eq!(status.counts.expired + status.counts.delivered, 200);
    assert!(sink.accepted()[0].seq.is_none(), "the gap first");
    assert_eq!(sink.accepted().iter().filter(|got| got.seq.is_none()).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn rows_of_others_that_expire_are_no_gap() {
    let machine = Machine::with(16 << 10, LaneSettings::new(7, 2, 42));
    let (a, b, _) = neighbours();
    let sink = Scripted::new(&machine.clock);
    machine.lanes.apply(vec![spec(&a, "soc", &sink)]).await.unwrap();
    for _ in 0..200 {
        machine.put(&b, 3);
    }
    retain(&machine, &a, 1);
    machine.millis(300).await;
    machine.put(&a, 2);
    machine.millis(300).await;
    assert_eq!(sink.seqs(&a), [0, 1]);
    let status = machine.status("soc").await;
    assert_eq!((status.counts.expired, status.open_gaps), (0, 0));
    assert!(sink.accepted().iter().all(|got| got.seq.is_some()));
    let reads = machine.lanes.counters().await.unwrap().0.reads;
    assert!(reads <= 1, "an idle lane begins in the tail: {reads} reads from disk");
}

#[tokio::test(start_paused = true)]
async fn the_earliest_beginning_tells_what_is_gone_already() {
    let machine = Machine::with(16 << 10, LaneSettings::new(7, 2, 42));
    let (a, b, _) = neighbours();
    let sink = Scripted::new(&machine.clock);
    for _ in 0..200 {
        machine.log.put_all(&[(&a, 1), (&b, 1)], 150).unwrap();
    }
    retain(&machine, &a, 2);
    machine.lanes.apply(vec![SinkSpec { begin: Begin::Earliest, ..spec(&a, "soc", &sink) }]).await.unwrap();
    machine.millis(900).await;
    let status = machine.status("soc").await;
    assert_eq!((status.start, status.stamped, status.pending), (0, 200, 0));
    assert!(status.counts.expired > 100);
    assert_eq!(sink.seqs(&a), (status.counts.expired..200).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_beginning_before_everything_that_is_kept_is_no_gap() {
    let machine = Machine::with(16 << 10, LaneSettings::new(7, 2, 42));
    let (a, b, _) = neighbours();
    let sink = Scripted::new(&machine.clock);
    for _ in 0..200 {
        machine.log.put_all(&[(&a, 1), (&b, 1)], 150).unwrap();
    }
    retain(&machine, &a, 2);
    let begin = Begin::Time(UnixMillis(WALL.0 - 1_000));
    machine.lanes.apply(vec![SinkSpec { begin, ..spec(&a, "soc", &sink) }]).await.unwrap();
    machine.millis(900).await;
    let status = machine.status("soc").await;
    assert_eq!((status.counts.expired, status.open_gaps, status.pending), (0, 0, 0));
    assert!(status.start > 100 && status.start < 200);
    assert_eq!(sink.seqs(&a), (status.start..200).collect::<Vec<_>>());
    assert!(sink.accepted().iter().all(|got| got.seq.is_some()));
}
