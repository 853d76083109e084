use super::*;

#[test]
fn names_with_spaces_and_parentheses_do_not_shift_the_fields() {
    let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 3 0 12345 1000 200";
    assert_eq!(ticks(stat), Some((250, 50)));
    assert_eq!(kib("Name:\tx\nVmHWM:\t  2048 kB\nVmRSS:\t 1024 kB\n", "VmHWM:"), Some(2048));
}

#[test]
fn our_own_process_can_be_read() {
    let usage = Usage::of(std::process::id()).expect("it runs");
    assert!(usage.rss_kib > 0 && usage.peak_kib >= usage.rss_kib, "{usage:?}");
}
