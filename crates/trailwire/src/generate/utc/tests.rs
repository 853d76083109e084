use super::*;

#[test]
fn what_is_written_is_read_back_by_the_receiver() {
    let mut text = [0; 24];
    // Every day of 1960 to 2110, at an odd time of day.
    for day in -3_653..51_500 {
        let millis = day * 86_400_000 + 45_296_789;
        write(millis, &mut text);
        assert_eq!(receiver::record::utc_millis(&text), Some(millis), "{}", String::from_utf8_lossy(&text));
    }
    write(1_795_335_330_123, &mut text);
    assert_eq!(&text, b"2026-11-22T08:15:30.123Z");
}
