use bytes::Bytes;
use http::Method;
use receiver::{Settings, Token};
use serde_json::json;

use super::*;
use crate::bench::http::Connection;

const ACME: &str = "84383462-b484-4cc4-bb21-ef2ecb49a2b1";

async fn deliver(receiver: &Receiver, token: &str, seqs: &[u64]) {
    let object = |seq: &u64| {
        let before = seq.checked_sub(1);
        let fields = before.map_or_else(|| json!({}), |seq| json!({"prev_seq": seq}));
        let event = json!({"v": 1, "seq": seq, "id": format!("e{seq}"), "kind": "api_call", "org_id": ACME});
        json!({"event": event, "fields": fields}).to_string()
    };
    let body = seqs.iter().map(object).collect::<String>();
    let authorization = format!("Splunk {token}");
    let headers = [("authorization", authorization.as_str())];
    let answer = Connection::new(&receiver.url())
        .send(Method::POST, "/services/collector", &headers, Bytes::from(body))
        .await
        .expect("an answer");
    assert_eq!(answer.status, 200);
}

fn sink(org: &str, name: &str, stamped: u64, delivered: u64) -> Value {
    json!({"org": org, "name": name, "state": "live", "stamped": stamped, "start": 0, "delivered": delivered,
           "pending": stamped - delivered})
}

#[tokio::test]
async fn daemon_and_receiver_are_told_side_by_side() {
    let sample = Sample { lines: Vec::new(), orgs: BTreeMap::from([(ACME.to_owned(), "acme".to_owned())]) };
    let settings =
        Settings::enterprise().token(Token::new(SHARED_TOKEN)).token(Token::for_orgs(ACME, [ACME]));
    let receiver = Receiver::start(settings).await.expect("a port");
    deliver(&receiver, ACME, &[0, 1, 2]).await;
    deliver(&receiver, SHARED_TOKEN, &[0, 1, 2]).await;
    let mut intake = Intake::default();
    intake.add(3, &json!({"accepted": 3, "duplicates": 0, "rejected": []}));
    let status = json!({"sinks": [sink(ACME, "soc", 3, 3), sink("*", "everything", 3, 3)]});
    let good = Summary::of(&sample, intake, &status, &receiver);
    assert!(good.is_clean());
    insta::assert_snapshot!("good", good.to_string());

    deliver(&receiver, SHARED_TOKEN, &[4, 2]).await;
    let mut intake = Intake::default();
    intake.add(3, &json!({"accepted": 1, "duplicates": 1, "rejected": [{"line": 3, "code": "TW-1001"}]}));
    let status = json!({"sinks": [sink(ACME, "soc", 4, 3), sink("*", "everything", 5, 5)]});
    assert_eq!(pending(&status), 1);
    let bad = Summary::of(&sample, intake, &status, &receiver);
    assert!(!bad.is_clean());
    insta::assert_snapshot!("bad", bad.to_string());
}
