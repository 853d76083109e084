//! Every code that refuses a whole request comes with the status that its page tells.

use std::collections::BTreeSet;
use std::path::Path;

use event::reject::REGISTRY;

use super::*;
use crate::body::{MAX_BODY, Pace};
use crate::tests::fixture::Reply;

/// The statuses in a page: the cell of its table, and those that its text names in brackets.
fn statuses_of_page(code: &str) -> Vec<u16> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
    let page = std::fs::read_to_string(folder.join(format!("{code}.md"))).unwrap();
    let numbers = |text: &str, left: char, right: char| -> Vec<u16> {
        text.split(left).filter_map(|part| part.split(right).next()?.trim().parse().ok()).collect()
    };
    [numbers(&page, '|', '|'), numbers(&page, '(', ')')].concat()
}

/// A refused request for each code.
async fn refusals() -> Vec<Reply> {
    let house = house().await;
    let address = house.listening.address;
    let mut replies = Vec::new();
    let ok = String::from_utf8(post(NDJSON, &events(0..1))).unwrap();
    let gzip = |body: &[u8]| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(body).unwrap();
        post("content-encoding: gzip\r\n", &gzip.finish().unwrap())
    };
    for request in [
        ok.replace(TOKEN, "wrong").into_bytes(),
        b"GET /v1/events HTTP/1.1\r\nhost: t\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nhost: t\r\n\r\n".to_vec(),
        post("content-type: text/plain\r\n", &events(0..1)),
        post("content-encoding: gzip\r\n", b"not gzip"),
        gzip(&vec![b' '; 8 << 20]),
        post("", &vec![b' '; MAX_BODY + 1]),
        post("", &events(0..50_001)),
        post("content-type: application/json\r\n", b"[{}"),
        ok.replace("content-length", "transfer-encoding: chunked\r\nx")
            .replace("\r\n\r\n", "\r\n\r\nzz\r\n")
            .into_bytes(),
    ] {
        replies.push(once(address, &request).await);
    }
    let partition = PartitionId(1);
    for fault in [
        AppendFault::Busy(partition),
        AppendFault::Refused(segment::Refusal::DiskFull),
        AppendFault::Stopped(partition),
    ] {
        house.memory.fail_next(fault);
        replies.push(once(address, ok.as_bytes()).await);
    }
    house.intake.quotas().replace(a_second(1), []);
    replies.push(once(address, &post(NDJSON, &events(0..1))).await);
    replies.pop();
    replies.push(once(address, &post(NDJSON, &events(1..2))).await);

    let pace = Pace { grace: Duration::from_millis(100), bytes_per_second: 1 << 20 };
    let slow = house_with(Patience { pace, ..Patience::default() }, Limits::default(), 64 << 20).await;
    let mut client = Client::connect(slow.listening.address).await;
    client.send(ok.get(..ok.len() - 5).unwrap().as_bytes()).await;
    replies.push(client.reply().await.expect("an answer"));
    replies
}

#[tokio::test]
async fn every_whole_request_code_answers_as_its_page_says() {
    let mut seen = BTreeSet::new();
    for reply in refusals().await {
        let code = reply.code();
        let told = statuses_of_page(&code);
        assert!(told.contains(&reply.status), "{code} answered {}, its page says {told:?}", reply.status);
        seen.insert((code, reply.status));
    }
    let codes: BTreeSet<&str> = seen.iter().map(|(code, _)| code.as_str()).collect();
    let whole: BTreeSet<&str> =
        REGISTRY.iter().map(|entry| entry.name).filter(|name| name.starts_with("TW-1")).collect();
    assert_eq!(codes, whole, "each of them was provoked");
    let told: Vec<u16> = whole.iter().flat_map(|code| statuses_of_page(code)).collect();
    assert_eq!(told.len(), seen.len(), "no page names a status that nobody gets: {seen:?}");
}

#[tokio::test]
async fn the_content_types_of_the_page_are_taken_and_no_others() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
    let page = std::fs::read_to_string(folder.join("TW-1004.md")).unwrap();
    let house = house().await;
    let mut taken = 0;
    for word in page.split('`').filter(|word| word.contains("/")) {
        let reply =
            once(house.listening.address, &post(&format!("content-type: {word}\r\n"), event(1).as_bytes()))
                .await;
        assert_eq!(reply.status, 200, "{word}: {}", reply.body);
        taken += 1;
    }
    assert_eq!(taken, 5);
}
