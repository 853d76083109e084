//! What damage took and an operator accepted, and a disk without room for lane state.

use super::*;
use crate::log::{LogBackend, Scope};

fn partition_of(name: &str) -> PartitionId {
    Directory::new(PARTITIONS, UnknownOrgs::Accept).partition_of(name)
}

#[tokio::test(start_paused = true)]
async fn a_shared_sink_balances_though_every_quiet_organisation_left_out_seqs() {
    let machine = Machine::new();
    let (a, b, _) = neighbours();
    let lake = Scripted::new(&machine.clock);
    lake.does(|_| retry());
    machine.lanes.apply(vec![shared("lake", &lake)]).await.unwrap();
    machine.put(&a, 3);
    machine.put(&b, 4);
    machine.put(&a, 5);
    machine.put(&a, 1);
    machine.millis(500).await;
    let partition = partition_of(&a);
    assert_eq!(machine.disk.lose_block(usize::from(partition.0), Row(7)), 5);
    let machine = machine.crash().await;
    let (end, seqs) = machine.log.org_seqs(partition, Scope::All).await.unwrap();
    let seqs: u64 = seqs.iter().map(|(_, seq)| seq.0).sum();
    assert_eq!(
        (end, seqs),
        (Row(13), 18),
        "nobody knows that none of the five was of the second organisation"
    );

    let late = Scripted::new(&machine.clock);
    machine.lanes.apply(vec![shared("lake", &lake), shared("late", &late)]).await.unwrap();
    let status = machine.status("lake").await;
    assert_eq!((status.stamped, status.pending), (13, 13), "what is lost is pending until it is told");
    lake.accepts();
    machine.put(&b, 2);
    machine.wait(Duration::from_secs(301)).await;
    let status = machine.status("lake").await;
    assert_eq!((status.stamped, status.start, status.pending), (15, 0, 0));
    assert_eq!((status.counts.delivered, status.counts.lost), (10, 5));
    let status = machine.status("late").await;
    assert_eq!((status.stamped, status.start), (15, 13));
    assert_eq!(status.counts.delivered, 2);

    // What expires of the late one later is counted from the same rows.
    late.does(|_| retry());
    for _ in 0..100 {
        machine.put(&a, 3);
    }
    machine.disk.keep_segments(usize::from(partition.0), Some(1));
    machine.log.maintain(partition).unwrap();
    machine.millis(500).await;
    let status = machine.status("late").await;
    assert!(status.counts.expired > 100, "{status:?}");
    // A removed one is shown with the same figures.
    machine.lanes.apply(vec![shared("lake", &lake)]).await.unwrap();
    assert_eq!(machine.status("late").await.start, 13);
}

#[tokio::test(start_paused = true)]
async fn lane_state_without_room_is_tried_again_slowly_and_nothing_stops() {
    let machine = Machine::new();
    let (a, ..) = neighbours();
    let sink = Scripted::new(&machine.clock);
    machine.lanes.apply(vec![spec(&a, "soc", &sink)]).await.unwrap();
    let partition = usize::from(partition_of(&a).0);
    machine.disk.limit_ballast(partition, Some(0));
    let recorded = |machine: &Machine| {
        let of_soc = |state: &LaneState| state.label.ends_with("/soc");
        machine.states().into_iter().find(of_soc).unwrap().next_row
    };
    let before = machine.lanes.counters().await.unwrap().0.records;
    for _ in 0..100 {
        machine.put(&a, 1);
        machine.millis(100).await;
    }
    assert_eq!(sink.seqs(&a).len(), 100, "deliveries go on");
    assert_eq!(recorded(&machine), Row(0));
    let tries = machine.lanes.counters().await.unwrap().0.records - before;
    assert!((1..=3).contains(&tries), "{tries} tries in ten seconds");
    machine.disk.limit_ballast(partition, None);
    machine.wait(Duration::from_secs(11)).await;
    assert_eq!(recorded(&machine), Row(100));
}
