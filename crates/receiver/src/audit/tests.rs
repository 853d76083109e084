use super::*;
use crate::envelope::Envelope;

fn arrival(token: &str, org: &str, seq: u64, id: &str, prev: Option<u64>) -> Indexed {
    let event = format!(r#"{{"v":1,"seq":{seq},"id":"{id}","kind":"api_call","org_id":"{org}"}}"#);
    let fields = prev.map(|prev| format!(r#"{{"prev_seq":{prev}}}"#));
    Indexed {
        request: 0,
        token: token.to_owned(),
        envelope: Envelope {
            host: None,
            source: None,
            sourcetype: None,
            index: "main".to_owned(),
            time: None,
            event,
            fields,
        },
        channel: 0,
        began: UnixMillis(seq.cast_signed()),
        at: UnixMillis(seq.cast_signed()),
    }
}

fn audited(arrivals: &[Indexed], token: &Token) -> Audit {
    let mut audit = Audit::default();
    for indexed in arrivals {
        audit.observe(indexed, Some(token), &mut Meters::default());
    }
    audit
}

#[test]
fn a_dense_feed_in_any_order_is_clean() {
    let (a, b, c) = (
        arrival("t", "acme", 0, "a", None),
        arrival("t", "acme", 1, "b", Some(0)),
        arrival("t", "acme", 2, "c", Some(1)),
    );
    let audit = audited(&[a, c.clone(), b, c], &Token::new("t"));
    let report = audit.report();
    assert_eq!(report.complaints(), Vec::<String>::new());
    assert_eq!((report.records(), report.missing(), report.feeds[0].repeats_equal), (3, 0, 1));
    assert_eq!((audit.repeats()[0].first_at, audit.repeats()[0].seq), (2, 2));
}

#[test]
fn holes_changes_and_wrong_neighbours_are_told() {
    let arrivals = [
        arrival("t", "acme", 5, "a", None),
        arrival("t", "acme", 8, "b", Some(7)),
        arrival("t", "acme", 9, "c", None),
        arrival("t", "acme", 10, "a", Some(9)),
        arrival("t", "acme", 5, "other", None),
    ];
    let report = audited(&arrivals, &Token::new("t")).report();
    let feed = &report.feeds[0];
    assert_eq!(feed.missing, [(6, 7)]);
    assert_eq!(report.missing(), 2);
    assert_eq!(feed.ids_twice, ["a"]);
    assert_eq!((feed.repeats_equal, feed.repeats_unequal), (0, 1));
    assert_eq!(
        feed.wrong_prev_seq,
        [
            WrongPrev { seq: 8, said: Some(7), before: Some(5) },
            WrongPrev { seq: 9, said: None, before: Some(8) },
        ]
    );
    assert_eq!(report.complaints().len(), 5, "{:?}", report.complaints());
}

#[test]
fn foreign_and_unreadable_events_are_told() {
    let token = Token::for_orgs("t", ["acme"]);
    let mut garbage = arrival("t", "acme", 0, "a", None);
    garbage.envelope.event = "\"text\"".to_owned();
    let mut gap = arrival("t", "acme", 0, "a", None);
    gap.envelope.event = r#"{"v":1,"kind":"gap","org_id":"acme","count":3}"#.to_owned();
    let report = audited(&[arrival("t", "borealis", 0, "a", None), garbage, gap], &token).report();
    assert_eq!(report.foreign, [("t".to_owned(), "borealis".to_owned())]);
    assert_eq!((report.unreadable, report.told_gaps.len()), (1, 1));
    assert_eq!(report.complaints().len(), 2);
}

#[test]
fn envelope_times() {
    assert_eq!(envelope_millis("1727164800.123456"), Some(1_727_164_800_123));
    assert_eq!(envelope_millis("7"), Some(7_000));
    assert_eq!(envelope_millis("-1.5"), Some(-1_500));
    assert_eq!(envelope_millis("-0.250"), Some(-250));
    assert_eq!(envelope_millis("soon"), None);
}
