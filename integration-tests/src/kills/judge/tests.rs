//! The judge complains about everything that a broken product could do.

use flow::clock::UnixMillis;
use serde_json::json;

use super::*;

/// One kill.
const KILLED_AT: i64 = 1_000_000;

struct Case {
    sinks: Vec<SinkBooks>,
    acknowledged: HashMap<String, usize>,
    sent: HashMap<String, usize>,
}

fn arrived(org: usize, seq: u64, at: i64) -> Arrived {
    let id = format!("evt-{}", seq * 2 + org as u64);
    let (began, at) = (UnixMillis(at - 5), UnixMillis(at));
    Arrived { id, hash: u128::from(seq), prev_seq: seq.checked_sub(1), channel: 0, began, at, times: 1 }
}

fn accounts(owner: Option<usize>, stamped: u64) -> Value {
    json!({"org": owner.map(|org| ORGS[org].1), "stamped": stamped, "start": 0, "delivered": stamped, "filtered": 0,
        "grouped": 0, "dead_lettered": 0, "discarded": 0, "expired": 0, "lost": 0, "pending": 0})
}

/// Ten events of each organisation, one a second, all delivered to everybody; the process was killed at the end.
fn sound() -> Case {
    let feed = |org: usize| -> Feed {
        (0..10).map(|seq| (seq, arrived(org, seq, KILLED_AT - 10_100 + 1000 * (seq as i64 + 1)))).collect()
    };
    let sink = |owner: Option<usize>, feeds: Vec<Feed>, stamped| SinkBooks {
        owner,
        may_expire: owner == Some(0),
        feeds,
        repeats: Vec::new(),
        channels: vec![KILLED_AT - 20_000, KILLED_AT + 500],
        gaps: Vec::new(),
        accounts: accounts(owner, stamped),
    };
    let acknowledged: HashMap<String, usize> = (0..20).map(|n| (format!("evt-{n}"), n % 2)).collect();
    Case {
        sinks: vec![
            sink(Some(0), vec![feed(0), Feed::new()], 10),
            sink(Some(1), vec![Feed::new(), feed(1)], 10),
            sink(None, vec![feed(0), feed(1)], 20),
        ],
        sent: acknowledged.clone(),
        acknowledged,
    }
}

impl Case {
    fn complaints(&self) -> Vec<String> {
        at_the_end(&self.sinks, &self.acknowledged, &self.sent, &[KILLED_AT])
    }

    fn assert_sound(&self) {
        assert_eq!(self.complaints(), Vec::<String>::new());
    }

    #[track_caller]
    fn assert_complaint(&self, about: &str) {
        let complaints = self.complaints();
        assert!(complaints.iter().any(|complaint| complaint.contains(about)), "{about}: {complaints:#?}");
    }

    fn repeat(&mut self, first_at: i64, again_at: i64, equal: bool) {
        let first_began = first_at - 5;
        let token = workspace::token(ORGS[1].0);
        let (org, id) = (ORGS[1].1.to_owned(), "evt-19".to_owned());
        let (first_channel, again_channel) = (0, u32::from(again_at > KILLED_AT));
        self.sinks[1].repeats.push(Repeat {
            token,
            org,
            seq: 9,
            id,
            first_channel,
            again_channel,
            first_began,
            first_at,
            again_at,
            equal,
        });
    }

    /// The first organisation's own sink lost the first four, and was told of `told`.
    fn expire(&mut self, told: &[Gap]) {
        let sink = &mut self.sinks[0];
        sink.feeds[0].retain(|seq, _| *seq >= 4);
        sink.gaps = told.to_vec();
        sink.accounts["delivered"] = 6.into();
        sink.accounts["expired"] = 4.into();
    }
}

fn gap(seqs: Option<(u64, u64)>, count: u64) -> Gap {
    Gap { seqs, count, rows: (0, 9), reason: "retention".to_owned() }
}

#[test]
fn nothing_is_wrong_with_what_is_sound() {
    sound().assert_sound();
}

#[test]
fn a_lost_record_is_missed_wherever_it_was() {
    for seq in [0, 5, 9] {
        for (sink, org) in [(1, 1), (2, 0), (2, 1)] {
            let mut case = sound();
            case.sinks[sink].feeds[org].remove(&seq);
            case.assert_complaint("acknowledged and lost");
            case.assert_complaint("are missing");
        }
        // Where records may expire, one that nobody told of.
        let mut case = sound();
        case.sinks[0].feeds[0].remove(&seq);
        case.assert_complaint("missing untold");
    }
}

#[test]
fn a_record_that_was_never_stamped_is_missed() {
    // Acknowledged, and then forgotten as if it had never been: the seqs are dense without it.
    let mut case = sound();
    for sink in [0, 2] {
        case.sinks[sink].feeds[0].pop_last();
        case.sinks[sink].accounts = accounts(case.sinks[sink].owner, if sink == 0 { 9 } else { 19 });
    }
    case.assert_complaint("acknowledged and lost");
    // And told as expired, although its seq went to another.
    let mut case = sound();
    case.expire(&[gap(Some((0, 3)), 4)]);
    case.assert_sound();
    case.acknowledged.insert("evt-20".to_owned(), 0);
    case.sent.insert("evt-20".to_owned(), 0);
    case.assert_complaint("were acknowledged");
}

#[test]
fn what_is_invented_doubled_or_foreign_is_seen() {
    let mut case = sound();
    case.sinks[1].feeds[1].insert(10, arrived(1, 10, KILLED_AT));
    case.assert_complaint("invented or foreign");
    let mut case = sound();
    case.sinks[1].feeds[1].insert(10, Arrived { prev_seq: Some(9), ..arrived(1, 0, KILLED_AT) });
    case.assert_complaint("has two seqs");
    case.assert_complaint("of only 10 acknowledged");
    let mut case = sound();
    case.sinks[1].feeds[0].insert(0, arrived(0, 0, KILLED_AT));
    case.assert_complaint("it got records of acme");
    let mut case = sound();
    case.sinks[2].feeds[1].get_mut(&3).unwrap().id = "evt-6".to_owned();
    case.assert_complaint("invented or foreign");
    let mut case = sound();
    case.sinks[1].feeds[1].get_mut(&3).unwrap().prev_seq = None;
    case.assert_complaint("prev_seq of 3");
}

#[test]
fn repeats_need_a_kill_between_them() {
    let mut case = sound();
    case.repeat(KILLED_AT - 250, KILLED_AT + 900, true);
    // Sent before the kill, and read by a busy receiver long after it.
    case.repeat(KILLED_AT + 450, KILLED_AT + 900, true);
    case.assert_sound();
    for (first, again, what) in [
        (KILLED_AT - 700, KILLED_AT + 900, "without a kill"),
        (KILLED_AT - 250, KILLED_AT - 10, "by the same life"),
    ] {
        let mut case = sound();
        case.repeat(first, again, true);
        case.assert_complaint(what);
    }
    // By a life that nobody killed.
    let mut case = sound();
    case.repeat(KILLED_AT + 700, KILLED_AT + 900, true);
    case.sinks[1].repeats[0].first_channel = 1;
    case.sinks[1].repeats[0].again_channel = 2;
    case.assert_complaint("without a kill");
    let mut case = sound();
    case.repeat(KILLED_AT - 250, KILLED_AT + 900, false);
    case.assert_complaint("a repeat differs");
}

#[test]
fn what_expired_must_be_told_exactly() {
    let mut case = sound();
    case.expire(&[gap(Some((0, 3)), 4)]);
    case.assert_sound();
    let twice = [gap(Some((0, 1)), 2), gap(Some((0, 3)), 4), gap(Some((0, 3)), 4)];
    case.expire(&twice);
    case.assert_sound();
    case.expire(&[gap(None, 4)]);
    case.assert_sound();
    case.expire(&[]);
    case.assert_complaint("missing untold");
    case.expire(&[gap(Some((0, 2)), 3)]);
    case.assert_complaint("missing untold");
    case.expire(&[gap(None, 3)]);
    case.assert_complaint("missing untold");
    case.expire(&[gap(Some((0, 3)), 5)]);
    case.assert_complaint("counts wrong");
    case.expire(&[gap(Some((0, 4)), 5)]);
    case.assert_complaint("seq 4 was delivered");
    case.expire(&[Gap { reason: "corruption".to_owned(), ..gap(Some((0, 3)), 4) }]);
    case.assert_complaint("another reason");
    // What was on its way at the kill may be delivered and told.
    let mut case = sound();
    case.sinks[0].gaps = vec![gap(Some((9, 9)), 1)];
    case.sinks[0].accounts["delivered"] = 9.into();
    case.sinks[0].accounts["expired"] = 1.into();
    case.assert_sound();
    // To a sink from which nothing can expire nothing is told.
    let mut case = sound();
    case.sinks[1].gaps = vec![gap(Some((9, 9)), 1)];
    case.assert_complaint("nothing expired");
}

#[test]
fn accounts_that_do_not_add_up_are_seen() {
    let mut case = sound();
    case.sinks[1].accounts["pending"] = 1.into();
    case.assert_complaint("does not balance");
    let mut case = sound();
    case.sinks[1].accounts["delivered"] = 9.into();
    case.sinks[1].accounts["lost"] = 1.into();
    case.assert_complaint("should be delivered or expired");
    let mut case = sound();
    case.sinks[2].accounts = Value::Null;
    case.assert_complaint("is missing");
    let mut case = sound();
    case.sent.insert("evt-99".to_owned(), 1);
    case.assert_complaint("21 were sent and 20 acknowledged");
}

#[test]
fn right_after_a_start_all_must_be_there() {
    let status = |change: &dyn Fn(&mut Vec<Value>)| {
        let mut sinks = vec![accounts(Some(0), 10), accounts(Some(1), 10), accounts(None, 20)];
        change(&mut sinks);
        json!({ "sinks": sinks })
    };
    let sinks = [(Some(0), false, 10), (Some(1), false, 10), (None, false, 20)];
    let complaints =
        |change: &dyn Fn(&mut Vec<Value>)| after_a_start(&status(change), [10, 10], &sinks).len();
    assert_eq!(complaints(&|_| {}), 0);
    assert_eq!(complaints(&|sinks| drop(sinks.pop())), 1, "a sink is gone");
    assert_eq!(complaints(&|sinks| sinks[1]["pending"] = 3.into()), 1, "unbalanced");
    assert_eq!(complaints(&|sinks| sinks[1] = accounts(Some(1), 9)), 1, "an acknowledged record is gone");
    let ahead = |sinks: &mut Vec<Value>| sinks[1] = accounts(Some(1), 11);
    assert_eq!(complaints(&ahead), 1, "more is delivered than has arrived");
    let expired = |sinks: &mut Vec<Value>| {
        sinks[1]["expired"] = 1.into();
        sinks[1]["delivered"] = 9.into();
    };
    assert_eq!(complaints(&expired), 1);
}

#[test]
fn changed_payloads_are_seen() {
    let time = "2026-11-24T12:00:00.000Z";
    let record = |org: (&str, &str), id: &str, seq: u64| {
        let mut record: Value = serde_json::from_str(&canary::event(org, id, time)).unwrap();
        record["seq"] = seq.into();
        record["received_at"] = time.into();
        record["duration_us"] = 1500.into();
        record
    };
    let mut payloads = Payloads::new(time);
    assert_eq!(payloads.complaint(record(ORGS[0], "a", 0)), None);
    assert_eq!(payloads.complaint(record(ORGS[0], "b", 1)), None);
    assert_eq!(payloads.complaint(record(ORGS[1], "c", 0)), None);
    for (member, value) in
        [("/response/status", json!(500)), ("/request/id", json!("canary-acme-b")), ("/time", json!("x"))]
    {
        let mut changed = record(ORGS[0], "d", 2);
        *changed.pointer_mut(member).unwrap() = value;
        assert!(payloads.complaint(changed).is_some(), "{member}");
    }
    let mut strange = record(ORGS[0], "e", 3);
    strange["org_id"] = ORGS[1].1.into();
    assert!(payloads.complaint(strange).is_some(), "another's record under this organisation");
    let mut first = Payloads::new(time);
    let mut changed = record(ORGS[0], "a", 0);
    changed["response"]["status"] = 500.into();
    assert!(first.complaint(changed).is_some(), "also in the first one");
    assert_eq!(payloads.compared, 7);
}
