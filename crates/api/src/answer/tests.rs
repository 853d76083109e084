use http_body_util::BodyExt;

use super::*;

async fn text(answer: Answer) -> String {
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn the_wire_form_of_answers_is_fixed() {
    let rejected = [
        Rejection {
            line: 3,
            code: Code::BadJson,
            message: "expected `:` at byte 7".into(),
            retry_after: None,
        },
        Rejection {
            line: 4,
            code: Code::OverQuota,
            message: "over quota".into(),
            retry_after: Some(Duration::from_millis(1001)),
        },
    ];
    let outcome = Outcome { accepted: 998, duplicates: 1, rejected: &rejected };
    insta::assert_snapshot!("outcome", text(json(StatusCode::OK, &outcome)).await);

    let refusal = Refusal::new(Code::DiskFull, "no disk space").after(Duration::from_secs(30));
    insta::assert_snapshot!("refusal", text(refusal.answer(None)).await);
    let over = Refusal::new(Code::OverQuotaAll, "over quota").after(Duration::from_secs(2));
    insta::assert_snapshot!("refusal_with_outcome", text(over.answer(Some(&outcome))).await);
    let lost = crate::route::find(crate::route::ADMIN, &http::Method::GET, "/").unwrap_err();
    insta::assert_snapshot!("not_found", text(lost.answer(None)).await);
}

#[test]
fn waits_are_whole_seconds_and_never_zero() {
    assert_eq!(seconds(Duration::ZERO), 1);
    assert_eq!(seconds(Duration::from_millis(1)), 1);
    assert_eq!(seconds(Duration::from_secs(5)), 5);
    assert_eq!(seconds(Duration::from_millis(5001)), 6);
}

#[test]
fn every_answer_carries_the_protecting_headers() {
    let answer = Refusal::new(Code::Unauthorised, "no").closing().answer(None);
    insta::assert_debug_snapshot!("headers", answer.headers());
}
