use crate::testing::deliveries::Batch;

const RECORD: &str =
    r#"{"v":1,"seq":7,"id":"e-1","kind":"api_call","time":"2026-11-22T08:15:30.123Z","org_id":"acme"}"#;

#[test]
fn a_single_record_has_a_name_also_once_it_is_released() {
    let one = Batch::new().org("acme", 7).record(0, RECORD);
    let expected = Some("organisation acme, seq 7, event id e-1");
    assert_eq!(one.rows().single().as_deref(), expected);
    let (mut delivery, _watch) = one.delivery();
    delivery.release();
    assert_eq!(delivery.rows().single().as_deref(), expected);
    let unknown = Batch::new().org("acme", 7).record(0, "{}").rows();
    assert_eq!(unknown.single().as_deref(), Some("organisation acme, seq 7"));
}

#[test]
fn several_records_have_none() {
    let two = Batch::new().org("acme", 7).record(0, RECORD).record(0, RECORD);
    assert_eq!(two.rows().single(), None);
    let (mut delivery, _watch) = two.delivery();
    delivery.release();
    assert_eq!(delivery.rows().single(), None);
}
