use std::collections::BTreeMap;
use std::path::Path;

use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

use super::*;
use crate::load::{FileKind, check};
use crate::secret::SecretRef;

/// A type of sink with one key of each sort.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawPipe {
    /// Where to.
    #[schemars(required)]
    to: Option<String>,
    /// A secret.
    #[schemars(required)]
    token: Option<SecretRef>,
}

#[derive(Debug, Clone)]
pub(crate) struct Pipe {
    pub(crate) to: String,
    pub(crate) token: crate::SecretSource,
}

pub(crate) fn pipe() -> SinkType<Pipe> {
    SinkType {
        name: "pipe",
        defaults: SinkDefaults {
            batch: Batch { max_bytes: 1_000_000, max_events: 5_000, max_delay: Duration::from_secs(1) },
            request: RequestLimits { timeout: Duration::from_secs(30), concurrency: 4 },
            max_batch_bytes: 2 << 20,
        },
        compile: |scope, _| {
            let raw: RawPipe = scope.read()?;
            let to = scope.require("to", raw.to);
            let token = scope.secret("token", raw.token);
            Some(Pipe { to: to?, token: token? })
        },
        schema: || schema_for!(RawPipe),
    }
}

fn problems(kind: FileKind, text: &str) -> String {
    let env = BTreeMap::from([("T".to_owned(), "token".to_owned())]);
    check(kind, "sinks.yaml", text.into(), Path::new("/nowhere"), &env, &[pipe()]).to_string()
}

fn one(keys: &str) -> String {
    problems(
        FileKind::Sinks,
        &format!("version: 1\nsinks:\n  a: {{type: pipe, to: x, token: '${{env:T}}', {keys}}}\n"),
    )
}

#[test]
fn a_sink_with_every_common_key_is_good() {
    assert_eq!(
        one("select: {calls: all, filter: ''}, encoding: {format: record}, paused: true, from: earliest, \
             batch: {max_bytes: 1MB, max_events: 1, max_delay: 0s}, request: {timeout: 5s, concurrency: 1}"),
        ""
    );
    assert_eq!(one("from: 2026-11-22T08:00:00Z"), "");
}

#[test]
fn what_is_not_supported_yet_blocks_the_sink() {
    insta::assert_snapshot!(one("select: {filter: '-effect:read'}, rate_limit: {events: 2000/s}"), @r"
    error: sinks.yaml:3:62: sinks.a.select.filter: not supported yet
      hint: remove the key; a later version will bring it
    error: sinks.yaml:3:79: sinks.a.rate_limit: not supported yet
      hint: remove the key; a later version will bring it
    ");
}

#[test]
fn bounds_are_checked() {
    insta::assert_snapshot!(one(
        "batch: {max_bytes: 3MiB, max_events: 0, max_delay: 1h}, request: {timeout: 1ms, concurrency: 1000}, \
         from: yesterday"
    ));
}

#[test]
fn each_sink_is_judged_with_all_its_problems() {
    insta::assert_snapshot!(problems(
        FileKind::Sinks,
        "version: 1\n\
         sinks:\n\
         \x20 good: {type: pipe, to: x, token: '${env:T}'}\n\
         \x20 no-type: {to: x, tokn: y}\n\
         \x20 other-type: {type: pip, to: x}\n\
         \x20 own-keys: {type: pipe, too: x, bach: {max_bytes: 1MB}}\n\
         \x20 literal: {type: pipe, to: x, token: hunter2}\n\
         \x20 with-orgs: {type: pipe, to: x, token: '${env:T}', orgs: \"*\"}\n\
         \x20 bad.name: {type: pipe, to: x, token: '${env:T}'}\n\
         \x20 nothing:\n\
         \x20 text: just text\n\
         snks: {}\n"
    ));
}

#[test]
fn shared_sinks_say_whose_records_they_get() {
    insta::assert_snapshot!(problems(
        FileKind::SharedSinks,
        "version: 1\n\
         sinks:\n\
         \x20 all: {type: pipe, to: x, token: '${env:T}', orgs: \"*\"}\n\
         \x20 some: {type: pipe, to: x, token: '${env:T}', orgs: [a, b]}\n\
         \x20 none: {type: pipe, to: x, token: '${env:T}'}\n\
         \x20 empty: {type: pipe, to: x, token: '${env:T}', orgs: []}\n\
         \x20 bad: {type: pipe, to: x, token: '${env:T}', orgs: [a, 'b c']}\n\
         \x20 word: {type: pipe, to: x, token: '${env:T}', orgs: acme}\n"
    ));
}

#[test]
fn the_version_is_checked_first() {
    for (text, what) in [
        ("sinks: {}", "version: this key is missing"),
        ("version: 2", "version 2 is newer than this program"),
        ("version: one", "expected the version"),
        ("version: 0", "expected the version"),
        ("", "version: this key is missing"),
        ("version: 1\nsinks: [a]", "expected a map from the name of a sink"),
    ] {
        let told = problems(FileKind::Sinks, text);
        assert!(told.contains(what), "{text}: {told}");
    }
    assert_eq!(problems(FileKind::Sinks, "version: 1\nsinks:\n"), "");
}

#[test]
fn a_plan_names_what_changes_the_batches() {
    let common = SinkCommon {
        calls: Calls::All,
        format: Format::Record,
        batch: Batch { max_bytes: 1, max_events: 2, max_delay: Duration::from_millis(3) },
        request: RequestLimits { timeout: Duration::from_secs(1), concurrency: 1 },
        from: StartFrom::End,
        paused: false,
    };
    assert_eq!(common.plan(), "calls=all filter= format=record max_bytes=1 max_events=2 max_delay_ms=3");
    let other = SinkCommon { paused: true, from: StartFrom::Earliest, ..common };
    assert_eq!(other.plan(), common.plan(), "what does not change a cut does not change the plan");
}
