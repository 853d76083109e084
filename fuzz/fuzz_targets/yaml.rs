//! A configuration file: whatever it holds is judged, and every problem says where it is.

#![no_main]

use std::collections::BTreeMap;
use std::path::Path;

use config::{FileKind, check};
use libfuzzer_sys::fuzz_target;
use splunk_hec::Settings;
use splunk_hec::settings::sink_type;

const KINDS: [FileKind; 4] = [FileKind::Operator, FileKind::Org, FileKind::Sinks, FileKind::SharedSinks];

fuzz_target!(|bytes: &[u8]| {
    for kind in KINDS {
        let types = [sink_type(|scope, context| Settings::compile(scope, context))];
        let problems = check(kind, "f.yaml", bytes.to_vec(), Path::new("/nowhere"), &BTreeMap::new(), &types);
        for problem in problems.iter() {
            assert!(problem.place.source() == "f.yaml" && !problem.what.is_empty(), "{problem:?}");
        }
    }
});
