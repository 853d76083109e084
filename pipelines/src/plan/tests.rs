use std::collections::HashSet;

use event::OrgId;
use event::reject::Rejection;
use flow::orgs::UnknownOrgs;

use super::*;
use crate::Allowed;

const NOW: UnixMillis = UnixMillis(1_795_335_330_123);

fn plan() -> Plan {
    Plan::new(Keys::derive(&[1; 32]), Directory::new(4, UnknownOrgs::Accept))
}

fn event(id: &str, org: &str) -> String {
    format!(
        r#"{{"id":"{id}","time":1795335330000,"org_id":"{org}","app":{{"id":"a"}},"request":{{"method":"GET","path":"/"}},"response":{{"status":200}}}}"#
    )
}

fn decode_with(
    plan: &Plan,
    grant: &Grant,
    body: &[u8],
    format: Format,
    quota: &mut dyn FnMut(OrgKey, u64) -> Result<(), Duration>,
) -> Result<Decoded, BodyFault> {
    let mut decoded = Decoded::new();
    let input = Input { body, format, grant, source: "test", received_at: NOW, quota };
    plan.decode(input, &mut decoded).map(|()| decoded)
}

fn decode(body: &[u8], format: Format) -> Result<Decoded, BodyFault> {
    decode_with(&plan(), &Grant::unlimited("p").unwrap(), body, format, &mut |_, _| Ok(()))
}

fn codes(decoded: &Decoded) -> Vec<(u32, Code)> {
    decoded.rejected.iter().map(|r: &Rejection| (r.line, r.code)).collect()
}

fn lines_taken(decoded: &Decoded) -> Vec<u32> {
    let mut lines: Vec<u32> = decoded.parts.iter().flat_map(|p| p.rows.iter().map(|r| r.line)).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn lines_are_judged_alone() {
    let body = format!("{}\r\n\n   \n{{bad\n{}\n[1]\n{}", event("1", "o"), event("2", "o"), event("3", "o"),);
    let decoded = decode(body.as_bytes(), Format::Ndjson).unwrap();
    assert_eq!(lines_taken(&decoded), [1, 5, 7]);
    assert_eq!(codes(&decoded), [(4, Code::BadJson), (6, Code::NotAnObject)]);
    assert_eq!((decoded.accepted, decoded.rejected.len()), (3, 2));
}

#[test]
fn bad_utf8_costs_its_line_only() {
    let good = event("1", "o");
    let bad =
        good.replace("\"1\"", "\"?\"").into_bytes().into_iter().map(|b| if b == b'?' { 0xff } else { b });
    let body =
        [good.as_bytes(), b"\n", &bad.collect::<Vec<u8>>(), b"\n", good.as_bytes(), b"\n\xff\xfe\n"].concat();
    let decoded = decode(&body, Format::Ndjson).unwrap();
    assert_eq!(lines_taken(&decoded), [1, 3]);
    assert_eq!(codes(&decoded), [(2, Code::BadUtf8), (4, Code::BadJson)]);
    // In an array too: its end can still be found.
    let array =
        [b"[".as_slice(), &body.split(|b| *b == b'\n').take(3).collect::<Vec<_>>().join(&b","[..]), b"]"]
            .concat();
    let decoded = decode(&array, Format::Json).unwrap();
    assert_eq!((lines_taken(&decoded), codes(&decoded)), (vec![1, 3], vec![(2, Code::BadUtf8)]));
}

#[test]
fn arrays_and_objects() {
    let (one, two) = (event("1", "o"), event("2", "o"));
    let decoded = decode(format!(" [ {one} , {{\"id\":5}},{two}] \n").as_bytes(), Format::Json).unwrap();
    assert_eq!((lines_taken(&decoded), codes(&decoded)), (vec![1, 3], vec![(2, Code::BadType)]));
    assert_eq!(lines_taken(&decode(one.as_bytes(), Format::Json).unwrap()), [1]);
    assert_eq!(decode(b"[]", Format::Json).unwrap().accepted, 0);
    assert_eq!(codes(&decode(b"5", Format::Json).unwrap()), [(1, Code::NotAnObject)]);
    assert_eq!(
        codes(&decode(b"[[],5]", Format::Json).unwrap()),
        [(1, Code::NotAnObject), (2, Code::NotAnObject)]
    );
}

#[test]
fn a_broken_document_stores_nothing() {
    let one = event("1", "o");
    for body in [
        format!("[{one}"),
        format!("[{one},"),
        format!("[{one},]"),
        format!("[{one}] x"),
        format!("[{one} {one}]"),
        format!("{one}\n{one}"),
        format!("[{one},{{\"id\":"),
        format!("[{one},{{\"id\":5,\"x\":tru}}]"),
        format!("[{one},{}", "[".repeat(100_000)),
        String::new(),
        "  ".to_owned(),
    ] {
        let plan = plan();
        let grant = Grant::unlimited("p").unwrap();
        let mut decoded = Decoded::new();
        let quota = &mut |_, _| Ok(());
        let input = Input {
            body: body.as_bytes(),
            format: Format::Json,
            grant: &grant,
            source: "t",
            received_at: NOW,
            quota,
        };
        let fault = plan.decode(input, &mut decoded).unwrap_err();
        assert_eq!(fault.code, Code::BrokenBody, "{body}");
        assert!(
            decoded.accepted == 0
                && decoded.rejected.is_empty()
                && decoded.parts.iter().all(|p| p.rows.is_empty() && p.arena.is_empty())
        );
    }
}

#[test]
fn an_event_that_nests_deeply_does_not_hurt_its_neighbours() {
    let deep = |levels: usize| {
        format!("{{\"id\":\"deep\",\"x\":{}\"]\\\"\"{}}}", "[".repeat(levels), "]".repeat(levels))
    };
    for levels in [40, 5_000, 60_000] {
        let body = format!("[{},{},{}]", event("1", "o"), deep(levels), event("2", "o"));
        let decoded = decode(body.as_bytes(), Format::Json).unwrap();
        assert_eq!(decoded.accepted, 2, "{levels}");
        let refused: Vec<_> = decoded.rejected.iter().map(|r| (r.line, r.code)).collect();
        assert_eq!(refused, [(2, Code::TooDeep)], "{levels}");
    }
}

#[test]
fn a_broken_document_is_told_with_its_byte() {
    let message = |body: &str| decode(body.as_bytes(), Format::Json).map(drop).unwrap_err().message;
    assert_eq!(
        message("[{\"id\" 1}]"),
        "the JSON array or object is not valid JSON, so nothing of it was stored: a colon belongs behind the member name (byte 8)"
    );
}

#[test]
fn an_empty_body_of_lines_is_nothing() {
    let decoded = decode(b"", Format::Ndjson).unwrap();
    assert_eq!((decoded.accepted, decoded.rejected.len(), decoded.parts.len()), (0, 0, 4));
}

#[test]
fn bounds_of_the_body() {
    let many = "{}\n".repeat(MAX_EVENTS);
    let decoded = decode(many.as_bytes(), Format::Ndjson).unwrap();
    let told = |rejection: &&event::reject::Rejection| !rejection.message.is_empty();
    assert_eq!(decoded.rejected.len(), 50_000, "a refusal that is not listed is taken for stored");
    assert_eq!(decoded.rejected.iter().take_while(told).count(), crate::MAX_TOLD);
    assert!(decoded.rejected.iter().zip(1..).all(|(rejection, line)| rejection.line == line));
    assert_eq!(
        decode(format!("{many}{{}}").as_bytes(), Format::Ndjson).unwrap_err().code,
        Code::TooManyEvents
    );
    let array = format!("[{}{{}}]", "{},".repeat(MAX_EVENTS));
    assert_eq!(decode(array.as_bytes(), Format::Json).unwrap_err().code, Code::TooManyEvents);
    assert_eq!(decode(&vec![b' '; MAX_BODY + 1], Format::Ndjson).unwrap_err().code, Code::BodyTooLarge);
}

#[test]
fn grants_are_kept() {
    let only = |orgs: &[&str]| Allowed::only(orgs.iter().map(|org| OrgId::new(org).unwrap()));
    let body = format!(
        "{}\n{}\n{}\n{}",
        event("1", "mine"),
        event("2", "foreign"),
        event("3", "mine")
            .replace("\"time\"", "\"kind\":\"lifecycle\",\"lifecycle\":{\"event\":\"enabled\"},\"time\""),
        event("4", "mine").replace("\"a\"", "\"b\""),
    );
    let grant = Grant::new(
        "p",
        only(&["mine"]),
        Allowed::only([Kind::ApiCall]),
        Allowed::Only(HashSet::from(["a".to_owned()])),
    )
    .unwrap();
    let plan = plan();
    let decoded = decode_with(&plan, &grant, body.as_bytes(), Format::Ndjson, &mut |_, _| Ok(())).unwrap();
    assert_eq!(lines_taken(&decoded), [1]);
    assert_eq!(
        codes(&decoded),
        [(2, Code::OrgNotAllowed), (3, Code::KindNotAllowed), (4, Code::AppNotAllowed)]
    );
    assert!(
        plan.directory.find("foreign").is_none(),
        "an organisation that may not be spoken for is not taken in"
    );
    // Known or not makes no difference.
    plan.directory.resolve("foreign").unwrap();
    let decoded = decode_with(&plan, &grant, body.as_bytes(), Format::Ndjson, &mut |_, _| Ok(())).unwrap();
    assert_eq!(codes(&decoded).first(), Some(&(2, Code::OrgNotAllowed)));
}

#[test]
fn organisations_that_are_not_taken() {
    let refuse = Plan::new(Keys::derive(&[1; 32]), Directory::new(4, UnknownOrgs::Refuse));
    refuse.directory.configure([&OrgId::new("known").unwrap()]);
    let body = format!(
        "{}\n{}\n{}\n{}",
        event("1", "known"),
        event("2", "other"),
        event("3", "a b"),
        event("4", "eyJhbGci")
    );
    let decoded = decode_with(
        &refuse,
        &Grant::unlimited("p").unwrap(),
        body.as_bytes(),
        Format::Ndjson,
        &mut |_, _| Ok(()),
    )
    .unwrap();
    assert_eq!(codes(&decoded), [(2, Code::UnknownOrg), (3, Code::BadOrg), (4, Code::BadOrg)]);
}

#[test]
fn an_organisation_that_only_the_journal_knows_is_unknown() {
    let refuse = Plan::new(Keys::derive(&[1; 32]), Directory::new(4, UnknownOrgs::Refuse));
    let (known, gone) = (OrgId::new("known").unwrap(), OrgId::new("gone").unwrap());
    refuse.directory.recall(&gone);
    let grant = Grant::unlimited("p").unwrap();
    let body = format!("{}\n{}", event("1", "known"), event("2", "gone"));
    let refused = || {
        let decoded =
            decode_with(&refuse, &grant, body.as_bytes(), Format::Ndjson, &mut |_, _| Ok(())).unwrap();
        codes(&decoded)
    };
    refuse.directory.configure([&known]);
    assert_eq!(refused(), [(2, Code::UnknownOrg)]);
    // What was remembered of an organisation does not outlive a reload.
    refuse.directory.configure([&gone]);
    assert_eq!(refused(), [(1, Code::UnknownOrg)]);
    refuse.directory.configure([&known, &gone]);
    assert_eq!(refused(), []);
}

#[test]
fn quota_refuses_line_by_line() {
    let plan = plan();
    let over = plan.directory.resolve("over").unwrap().key;
    let line = event("1", "fine");
    let body = format!("{line}\n{}\n{}", event("2", "over"), event("3", "fine"));
    let mut asked = Vec::new();
    let decoded = decode_with(
        &plan,
        &Grant::unlimited("p").unwrap(),
        body.as_bytes(),
        Format::Ndjson,
        &mut |org, bytes| {
            asked.push(bytes);
            if org == over { Err(Duration::from_secs(7)) } else { Ok(()) }
        },
    )
    .unwrap();
    assert_eq!(asked, [line.len() as u64; 3]);
    assert_eq!((lines_taken(&decoded), decoded.over_quota), (vec![1, 3], 1));
    assert_eq!(
        (decoded.rejected[0].code, decoded.rejected[0].retry_after),
        (Code::OverQuota, Some(Duration::from_secs(7)))
    );
}

#[test]
fn row_facts() {
    let plan = plan();
    let grant = Grant::unlimited("p").unwrap();
    let with_group = event("1", "o")
        .replace("\"path\":\"/\"", "\"path\":\"/\",\"headers\":{\"x-audit-log-group\":\"nightly\"}");
    let body = format!("{with_group}\n{}\n{with_group}", event("1", "p"));
    let decode = |grant: &Grant, source: &str, at: i64| {
        let mut decoded = Decoded::new();
        let quota = &mut |_, _| Ok(());
        let input = Input {
            body: body.as_bytes(),
            format: Format::Ndjson,
            grant,
            source,
            received_at: UnixMillis(at),
            quota,
        };
        plan.decode(input, &mut decoded).unwrap();
        let mut rows: Vec<PreparedRow> = decoded.parts.iter().flat_map(|p| p.rows.clone()).collect();
        rows.sort_by_key(|row| row.line);
        for part in &decoded.parts {
            let mut end = 0;
            for row in &part.rows {
                assert_eq!(row.offset, end, "tails lie back to back");
                end += row.len;
                assert!(part.tail(row).starts_with(b"\"id\":\"1\"") && part.tail(row).ends_with(b"\"}"));
            }
            assert_eq!(end as usize, part.arena.len());
        }
        rows
    };
    let rows = decode(&grant, "t", NOW.0);
    let [one, other_org, again] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!((one.dedupe, one.content, one.group), (again.dedupe, again.content, again.group));
    assert!(
        one.group != 0
            && other_org.group == 0
            && one.app == other_org.app
            && one.app == plan.keys().app(b"a")
    );
    assert_ne!(one.dedupe, other_org.dedupe);
    assert_eq!((one.status, one.kind, one.time_ms), (200, Kind::ApiCall, 1_795_335_330_000));
    // Sent again much later and by another way, the same event is the same.
    let later = decode(&grant, "file", NOW.0 + 2 * YEAR_MS);
    assert_eq!((later[0].dedupe, later[0].content), (one.dedupe, one.content));
    // From another producer it is another event.
    assert_ne!(decode(&Grant::unlimited("q").unwrap(), "t", NOW.0)[0].dedupe, one.dedupe);
}

#[test]
fn times_far_from_now_are_marked() {
    let tail = |time: &str| {
        let decoded =
            decode(event("1", "o").replace("1795335330000", time).as_bytes(), Format::Ndjson).unwrap();
        let part = decoded.parts.iter().find(|p| !p.rows.is_empty()).unwrap();
        String::from_utf8(part.tail(&part.rows[0]).to_vec()).unwrap()
    };
    let at = |ms: i64| tail(&(NOW.0 + ms).to_string());
    assert!(at(HOUR_MS + 1).contains("\"time_mark\":\"future\"") && !at(HOUR_MS).contains("time_mark"));
    assert!(at(-YEAR_MS - 1).contains("\"time_mark\":\"past\"") && !at(-YEAR_MS).contains("time_mark"));
    assert!(
        tail("\"1969-12-31T23:59:59.999Z\"").contains("\"time\":\"1969-12-31T23:59:59.999Z\",\"org_id\"")
    );
    assert!(tail("-1").contains("\"time\":\"1969-12-31T23:59:59.999Z\""));
}

#[test]
fn fidelity_and_attribution() {
    let tail = |text: String| {
        let decoded = decode(text.as_bytes(), Format::Ndjson).unwrap();
        let part = decoded.parts.iter().find(|p| !p.rows.is_empty()).unwrap();
        String::from_utf8(part.tail(&part.rows[0]).to_vec()).unwrap()
    };
    assert!(
        tail(event("1", "o")).contains("\"attribution\":\"declared\"")
            && tail(event("1", "o")).contains("\"fidelity\":\"full\"")
    );
    assert!(tail(event("1", "o").replace("\"status\":200", "")).contains("\"fidelity\":\"partial\""));
    let without_app = tail(event("1", "o").replace("{\"id\":\"a\"}", "{}"));
    assert!(
        without_app.contains("\"attribution\":\"none\"") && without_app.contains("\"fidelity\":\"partial\"")
    );
}
