use std::sync::Arc;

use proptest::prelude::*;
use smallvec::smallvec;

use super::*;
use crate::block::{Block, Place, RowFacts, RowsBuilder};
use crate::clock::{Clock, UnixMillis};
use crate::dead_letters::{DeadLetter, DeadLetterStore, DeadLetters, ParkFault};
use crate::lane_starts::Starts;
use crate::lane_state::SinkId;
use crate::log::{GapReason, Piece};
use crate::sink::{Cause, Delivery, Rows, Settled, Ticket, TicketId, Verdict};
use crate::units::{LogPos, PartitionId, Seq};

const LANE: LaneId = LaneId { index: 3, generation: 7 };

fn ledger() -> Ledger {
    Ledger::new(LANE, Row(0), &[], Counts::default(), Vec::new())
}

fn range(start: u64, end: u64) -> RowRange {
    RowRange { start: Row(start), end: Row(end) }
}

/// The records of `rows`: every row is one.
fn rows(rows: RowRange) -> Rows {
    let count = u32::try_from(rows.len()).unwrap();
    let mut builder = RowsBuilder::new(Vec::new(), 1, rows.len() as usize, 4, 0);
    builder.run("acme", rows.start.0, count);
    let facts = RowFacts {
        kind: event::Kind::ApiCall,
        flags: 0,
        status: 0,
        time_ms: 0,
        app: 0,
        content: 0,
        dedupe: 0,
        group: 0,
        group_first_seq: 0,
    };
    (0..count).for_each(|_| builder.row(b"{}", b"", &facts));
    let place = Place {
        epoch: 0,
        pos: LogPos(0),
        durable_upto: LogPos(0),
        index: 0,
        base_row: rows.start,
        written_at: UnixMillis(0),
    };
    let block = Arc::new(Block::trusted(&builder.finish(&place).into()).unwrap());
    let whole = 0..count;
    Rows::of_records(
        smallvec![Piece { block, rows: smallvec![whole] }],
        Arc::new(Starts::default()),
        2 * count as usize,
    )
}

fn settled(ticket: TicketId, verdict: Verdict) -> Settled {
    let delivery = Delivery {
        rows: rows(ticket.rows),
        ticket: Ticket { id: ticket, home: None },
        delivery_id: 0,
        partition: PartitionId(0),
        attempt: 1,
        started: Clock::system().now().instant,
    };
    delivery.settle(verdict)
}

fn cause() -> Cause {
    Cause { what: "no".to_owned(), remedy: String::new(), code: None }
}

fn cut(ledger: &mut Ledger, records: u64, number: u64) -> TicketId {
    let start = ledger.scan();
    let count = u32::try_from(records).unwrap();
    ledger.open(RowRange { start, end: Row(start.0 + records) }, count, 10, number)
}

#[test]
fn only_the_contiguous_prefix_is_committable() {
    let mut ledger = ledger();
    let (first, second, third) = (cut(&mut ledger, 5, 1), cut(&mut ledger, 5, 2), cut(&mut ledger, 5, 3));
    assert_eq!(ledger.close(settled(second, Verdict::Accepted)), Ok(None));
    assert_eq!(ledger.ahead_records(), 5);
    let committable = ledger.close(settled(first, Verdict::Accepted)).unwrap().unwrap();
    assert_eq!((committable.next_row(), committable.lane()), (Row(10), LANE));
    let committable = ledger.close(settled(third, Verdict::Accepted)).unwrap().unwrap();
    assert_eq!(committable.next_row(), Row(15));
    assert_eq!(ledger.counts().delivered, 15);
}

#[test]
fn verdicts_of_other_lanes_generations_and_attempts_are_refused() {
    let mut ledger = ledger();
    let ticket = cut(&mut ledger, 5, 1);
    let other = TicketId { lane: LaneId { index: 4, ..LANE }, ..ticket };
    let old = TicketId { lane: LaneId { generation: 6, ..LANE }, ..ticket };
    let elsewhere = TicketId { rows: range(0, 4), ..ticket };
    let never = TicketId { number: 9, ..ticket };
    for (ticket, refused) in [
        (other, VerdictRefused::OtherLane),
        (old, VerdictRefused::OldGeneration),
        (elsewhere, VerdictRefused::NotInFlight),
        (never, VerdictRefused::NotInFlight),
    ] {
        assert_eq!(ledger.close(settled(ticket, Verdict::Accepted)), Err(refused));
        assert_eq!(
            ledger.abandon(ticket).is_err(),
            ticket != elsewhere || refused == VerdictRefused::NotInFlight
        );
    }
    assert_eq!((ledger.prefix(), ledger.counts().settled()), (Row(0), 0));
    // A new generation refuses what the old one has in flight, and cuts it again.
    let renewed = LaneId { generation: 8, ..LANE };
    ledger.renew(renewed);
    assert_eq!(ledger.close(settled(ticket, Verdict::Accepted)), Err(VerdictRefused::OldGeneration));
    assert_eq!(ledger.scan(), Row(0));
}

#[test]
fn a_second_verdict_on_the_same_ticket_is_refused() {
    let mut ledger = ledger();
    let ticket = cut(&mut ledger, 5, 1);
    let later = cut(&mut ledger, 5, 2);
    assert!(ledger.close(settled(ticket, Verdict::Accepted)).unwrap().is_some());
    assert_eq!(ledger.close(settled(ticket, Verdict::Accepted)), Err(VerdictRefused::NotInFlight));
    assert_eq!(ledger.counts().delivered, 5);
    assert!(ledger.close(settled(later, Verdict::Accepted)).unwrap().is_some());
}

#[test]
fn a_released_delivery_can_still_be_judged_record_by_record() {
    let mut ledger = ledger();
    let ticket = cut(&mut ledger, 10, 1);
    let mut delivery = Delivery {
        rows: rows(ticket.rows),
        ticket: Ticket { id: ticket, home: None },
        delivery_id: 0,
        partition: PartitionId(0),
        attempt: 1,
        started: Clock::system().now().instant,
    };
    delivery.release();
    assert_eq!(delivery.rows().count(), 10);
    let verdict = Verdict::PerRow { accepted_prefix: 4, refused: Some(6), cause: cause() };
    let committable = ledger.close(delivery.settle(verdict)).unwrap().unwrap();
    assert_eq!(committable.next_row(), Row(4));
    let waiting: Vec<_> = std::iter::from_fn(|| {
        let rows = ledger.first_waiting()?.rows;
        ledger.reopen(rows.len(), 0, 50)?;
        Some(rows)
    })
    .collect();
    assert_eq!(waiting, [range(4, 6), range(6, 7), range(7, 10)]);
}

struct Store;
impl DeadLetterStore for Store {
    fn park(&self, _: DeadLetter) -> futures_util::future::BoxFuture<'static, Result<(), ParkFault>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

#[tokio::test]
async fn a_refused_record_is_passed_only_with_the_stores_receipt() {
    let mut ledger = ledger();
    let letters = DeadLetters::new(Arc::new(Store));
    let ticket = cut(&mut ledger, 2, 1);
    let verdict = Verdict::PerRow { accepted_prefix: 0, refused: Some(0), cause: cause() };
    assert_eq!(ledger.close(settled(ticket, verdict)), Ok(None));
    let letter = |rows| DeadLetter {
        sink: SinkId(1),
        partition: PartitionId(0),
        rows,
        cause: cause(),
        record: b"{}".to_vec(),
    };
    let refused = ledger.refused(letter).unwrap();
    let parked = letters.park(refused).await.unwrap();
    let again = letters.park(ledger.refused(letter).unwrap()).await.unwrap();
    assert_eq!(ledger.parked(parked).unwrap().unwrap().next_row(), Row(1));
    assert_eq!(ledger.parked(again), Err(VerdictRefused::NotInFlight), "a receipt counts once");
    assert_eq!(ledger.counts().dead_lettered, 1);
}

#[test]
fn what_a_filter_leaves_out_is_settled_in_order() {
    let mut ledger = ledger();
    assert_eq!(ledger.filtered(range(0, 3), 2).unwrap().next_row(), Row(3));
    let ticket = cut(&mut ledger, 2, 1);
    assert_eq!(
        ledger.filtered(range(5, 9), 4).unwrap().next_row(),
        Row(3),
        "the cut before it is still open"
    );
    assert_eq!(ledger.close(settled(ticket, Verdict::Accepted)).unwrap().unwrap().next_row(), Row(9));
    assert_eq!((ledger.counts().filtered, ledger.counts().delivered), (6, 2));
}

#[derive(Debug, Clone)]
enum Step {
    Cut(u64),
    Pass(u64),
    Resend,
    Close(usize, u8, u64),
    Abandon(usize),
    Renew,
    Restart,
    Expire(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (1u64..20).prop_map(Step::Cut),
        1 => (1u64..5).prop_map(Step::Pass),
        4 => Just(Step::Resend),
        8 => (any::<usize>(), 0u8..6, 0u64..20).prop_map(|(at, kind, n)| Step::Close(at, kind, n)),
        1 => any::<usize>().prop_map(Step::Abandon),
        1 => Just(Step::Renew),
        1 => Just(Step::Restart),
        1 => (0u64..40).prop_map(Step::Expire),
    ];
    proptest::collection::vec(step, 1..120)
}

fn verdict(kind: u8, n: u64) -> Verdict {
    match kind {
        0 | 1 => Verdict::Accepted,
        2 => Verdict::Retry { after: None, cause: cause() },
        3 => Verdict::Split(cause()),
        4 => Verdict::PerRow { accepted_prefix: n, refused: None, cause: cause() },
        _ => Verdict::PerRow { accepted_prefix: n / 2, refused: Some(n), cause: cause() },
    }
}

proptest! {
    /// Against a model that marks single rows: here every row is a record of the lane, so counts and rows must agree.
    #[test]
    fn the_prefix_is_what_a_row_by_row_model_says(steps in steps()) {
        let mut ledger = ledger();
        let mut done: Vec<bool> = Vec::new();
        let mut flying: Vec<TicketId> = Vec::new();
        let (mut number, mut committed, mut generation) = (0, 0, LANE.generation);
        let mut expired = Row(0);
        for step in steps {
            number += 1;
            let mut committable = None;
            match step {
                Step::Cut(count) => {
                    let start = ledger.scan().0;
                    let end = ledger.scan_end().map_or(start + count, |limit| limit.0.min(start + count));
                    if end > start && !ledger.is_crowded() {
                        let records = u32::try_from(end - start).unwrap();
                        flying.push(ledger.open(range(start, end), records, 9, number));
                    }
                }
                Step::Pass(count) => {
                    // As if a filter left them out, so that the model may count every row.
                    let start = ledger.scan().0;
                    let end = ledger.scan_end().map_or(start + count, |limit| limit.0.min(start + count));
                    if end > start {
                        committable = ledger.filtered(range(start, end), end - start);
                        mark(&mut done, start, end);
                    }
                }
                Step::Resend => {
                    if let Some(waiting) = ledger.first_waiting() {
                        prop_assert_eq!(u64::from(waiting.records), waiting.rows.len());
                        flying.push(ledger.reopen(waiting.rows.len(), 9, number).unwrap().0);
                    }
                }
                Step::Close(at, kind, n) => {
                    if !flying.is_empty() {
                        let ticket = flying.swap_remove(at % flying.len());
                        let accepted = match verdict(kind, n) {
                            Verdict::Accepted => ticket.rows.len(),
                            Verdict::PerRow { accepted_prefix, .. } => accepted_prefix.min(ticket.rows.len()),
                            _ => 0,
                        };
                        mark(&mut done, ticket.rows.start.0, ticket.rows.start.0 + accepted);
                        committable = ledger.close(settled(ticket, verdict(kind, n))).unwrap();
                    }
                }
                Step::Abandon(at) => {
                    if !flying.is_empty() {
                        let ticket = flying.swap_remove(at % flying.len());
                        ledger.abandon(ticket).unwrap();
                    }
                }
                Step::Renew => {
                    generation += 1;
                    ledger.renew(LaneId { index: LANE.index, generation });
                    flying.clear();
                }
                Step::Restart => {
                    let ahead: Vec<_> = ledger.ahead().collect();
                    generation += 1;
                    let lane = LaneId { index: LANE.index, generation };
                    ledger = Ledger::new(lane, Row(committed), &ahead, *ledger.counts(), ledger.gaps().to_vec());
                    flying.clear();
                }
                Step::Expire(by) => {
                    // Retention only moves on.
                    expired = expired.max(Row(ledger.prefix().0 + by));
                    let end = expired;
                    if ledger.has_unsettled_before(end) {
                        let measured = ledger.gap_end(end);
                        let before = ledger.prefix().0;
                        committable = ledger.close_gap(Row(0), measured, GapReason::Retention, 0, measured.0, true);
                        let flies = |row: u64| flying.iter().any(|t| t.rows.start.0 <= row && row < t.rows.end.0);
                        for row in before..measured.0 {
                            if !flies(row) {
                                mark(&mut done, row, row + 1);
                            }
                        }
                        prop_assert!(!ledger.has_unsettled_before(end));
                    }
                }
            }
            let prefix = done.iter().position(|done| !done).unwrap_or(done.len()) as u64;
            prop_assert_eq!(ledger.prefix().0, prefix);
            if let Some(committable) = committable {
                prop_assert!(committable.next_row().0 >= committed, "a cursor never goes back");
                committed = committable.next_row().0;
            }
            prop_assert_eq!(committed, prefix, "and it follows at once");
            prop_assert_eq!(ledger.counts().settled(), done.iter().filter(|done| **done).count() as u64);
            if !ledger.is_blurred {
                prop_assert_eq!(ledger.counts().settled() - ledger.ahead_records(), prefix);
            }
            prop_assert_eq!(ledger.in_flight(), flying.len());
        }
    }
}

fn mark(done: &mut Vec<bool>, start: u64, end: u64) {
    for row in start..end {
        let row = usize::try_from(row).unwrap();
        if done.len() <= row {
            done.resize(row + 1, false);
        }
        done[row] = true;
    }
}

#[test]
fn what_lies_before_a_damage_still_waits_to_be_sent() {
    let mut ledger = ledger();
    let (failed, hanging) = (cut(&mut ledger, 7, 1), cut(&mut ledger, 3, 2));
    let retry = Verdict::Retry { after: None, cause: cause() };
    assert!(ledger.close(settled(failed, retry)).is_ok());
    // Rows 10 and 11 are damaged; twelve records lie before row 12.
    let committable = ledger.close_gap(Row(10), Row(12), GapReason::Corruption, 0, 12, true);
    assert_eq!(committable.unwrap().next_row(), Row(0));
    assert_eq!((ledger.counts().lost, ledger.counts().settled()), (2, 2));
    let told = ledger.gaps()[0];
    assert_eq!((told.rows, told.count, told.seqs), (range(10, 12), 2, Some((Seq(10), Seq(11)))));
    assert_eq!(ledger.first_waiting().map(|waiting| waiting.rows), Some(range(0, 7)));
    assert_eq!((ledger.scan(), ledger.open_records()), (Row(12), 10));
    let (again, attempt) = ledger.reopen(7, 10, 3).unwrap();
    assert_eq!((again.rows, attempt), (range(0, 7), 2));
    assert!(ledger.close(settled(again, Verdict::Accepted)).is_ok());
    let committable = ledger.close(settled(hanging, Verdict::Accepted)).unwrap().unwrap();
    assert_eq!(committable.next_row(), Row(12));
    assert_eq!((ledger.counts().delivered, ledger.counts().lost), (10, 2));
}

#[test]
fn what_retention_removed_waits_no_more() {
    let mut ledger = ledger();
    let failed = cut(&mut ledger, 7, 1);
    let retry = Verdict::Retry { after: None, cause: cause() };
    assert!(ledger.close(settled(failed, retry)).is_ok());
    let committable = ledger.close_gap(Row(0), Row(12), GapReason::Retention, 0, 12, true);
    assert_eq!(committable.unwrap().next_row(), Row(12));
    assert_eq!((ledger.counts().expired, ledger.open_records()), (12, 0));
    assert_eq!(ledger.gaps()[0].seqs, Some((Seq(0), Seq(11))));
}

/// When there are too many gaps, the last ones are told as one: no seqs then, for what lies between was delivered.
#[test]
fn gaps_that_are_joined_over_what_was_delivered_name_no_seqs() {
    let mut ledger = ledger();
    for number in 0..20u64 {
        let end = Row(ledger.scan().0 + 5);
        let _ = ledger.close_gap(ledger.scan(), end, GapReason::Corruption, 0, end.0, true);
        let ticket = cut(&mut ledger, 5, number);
        assert!(ledger.close(settled(ticket, Verdict::Accepted)).is_ok());
    }
    let gaps = ledger.gaps();
    assert_eq!((gaps.len(), ledger.counts().delivered, ledger.counts().lost), (16, 100, 100));
    assert_eq!(gaps[14].seqs, Some((Seq(140), Seq(144))));
    assert_eq!((gaps[15].rows, gaps[15].count, gaps[15].seqs), (range(150, 195), 25, None));
}
