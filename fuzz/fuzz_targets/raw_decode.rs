//! A request's body: whatever a producer sends ends in records or rejections, and every record is JSON that holds no
//! token.

#![no_main]

use flow::clock::UnixMillis;
use flow::orgs::{Directory, UnknownOrgs};
use libfuzzer_sys::fuzz_target;
use pipelines::{Decoded, Format, Grant, Input, Keys, Plan};
use serde::de::IgnoredAny;

fuzz_target!(|body: &[u8]| {
    let plan = Plan::new(Keys::derive(&[1; 32]), Directory::new(2, UnknownOrgs::Accept));
    let Ok(grant) = Grant::unlimited("gateway") else { return };
    let mut decoded = Decoded::new();
    for format in [Format::Ndjson, Format::Json] {
        let input = Input {
            body,
            format,
            grant: &grant,
            source: "http",
            received_at: UnixMillis(1_795_132_800_000),
            quota: &mut |_, _| Ok(()),
        };
        let refused = plan.decode(input, &mut decoded).is_err();
        let tails: Vec<&[u8]> =
            decoded.parts.iter().flat_map(|part| part.rows.iter().map(|row| part.tail(row))).collect();
        assert_eq!(tails.len() as u64, decoded.accepted);
        assert!(
            !refused || (tails.is_empty() && decoded.rejected.is_empty()),
            "nothing of a refused body is left"
        );
        if format == Format::Ndjson && !refused {
            let events = body.split(|b| *b == b'\n').filter(|line| !is_blank(line)).count();
            assert_eq!(events as u64, decoded.accepted + decoded.rejected.len() as u64, "every line has an outcome");
        }
        for tail in tails {
            let record = [br#"{"v":1,"seq":0,"#, tail].concat();
            assert!(serde_json::from_slice::<IgnoredAny>(&record).is_ok(), "{}", record.escape_ascii());
            assert!(!pipelines::redact::has_token_shape(tail), "{}", record.escape_ascii());
        }
    }
});

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|b| matches!(b, b' ' | b'\t' | b'\r'))
}
