//! A collector's answer: nothing is accepted without a 2xx, and its words come out short and without the token.

#![no_main]

use flow::sink::Verdict;
use libfuzzer_sys::fuzz_target;
use splunk_hec::reply::{Answer, Sent, judge};
use splunk_hec::settings::PartialAccept;

const TOKEN: &str = "6f1f3b1e-token";

// Two bytes of status, one of records, one of circumstances, then the answer's body.
fuzz_target!(|input: &[u8]| {
    let &[low, high, records, circumstances, ref body @ ..] = input else { return };
    let status = u16::from_le_bytes([low, high]);
    let holds = |bit: u8| circumstances & (1 << bit) != 0;
    let content_type = if holds(0) { "text/html" } else { "application/json" };
    let answer = Answer { status, retry_after: None, content_type, body };
    let records = u64::from(records);
    for partial_accept in [PartialAccept::None, PartialAccept::Prefix] {
        let sent = Sent {
            records,
            bytes: if holds(1) { 2_000_000 } else { 2_000 },
            gzip: holds(2),
            channel_renewed: holds(3),
            partial_accept,
            token: TOKEN,
        };
        let cause = match judge(&answer, &sent).verdict {
            Verdict::Accepted => {
                assert!((200..300).contains(&status));
                continue;
            }
            Verdict::PerRow { accepted_prefix, refused, cause } => {
                assert!(
                    accepted_prefix <= refused.unwrap_or(records) && refused.is_none_or(|at| at < records)
                );
                cause
            }
            Verdict::Retry { cause, .. } | Verdict::Blocked(cause) | Verdict::Split(cause) => cause,
        };
        assert!(cause.what.chars().count() < 300 && !cause.what.chars().any(char::is_control));
        assert!(!cause.what.contains(TOKEN));
    }
});
