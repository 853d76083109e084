//! Derives the two lists below `data/` from the operation table and the query-parameter policy:
//!
//! ```text
//! cargo run -p catalogue --example derive_segments -- operations.jsonl query-param-policy.json crates/catalogue/data
//! ```
//!
//! Only names leave the input: the literal segments of the path templates, and the names of the query parameters.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// Segments that clients use and the templates do not hold, or not with certainty: the gateway's prefixes, GraphQL,
/// the alias of the newest version.
const PREFIXES: [&str; 9] =
    ["confluence", "ex", "gateway", "graphql", "jira", "latest", "rest", "servicedeskapi", "wiki"];
/// Versions that clients use and the templates do not hold, with the segment before them.
const ALIASES: [(&str, &str); 1] = [("api", "2")];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [operations, policy, folder] = arguments.as_slice() else {
        return Err("three arguments: operations.jsonl query-param-policy.json FOLDER".into());
    };

    let mut segments: BTreeSet<String> = PREFIXES.map(str::to_owned).into();
    let mut versions: BTreeSet<(String, String)> =
        ALIASES.map(|(root, version)| (root.to_owned(), version.to_owned())).into();
    for line in fs::read_to_string(operations)?.lines() {
        let operation: Value = serde_json::from_str(line)?;
        let template = operation.get("template").and_then(Value::as_str).ok_or("no template")?;
        let mut before = "";
        for segment in template.split('/').filter(|s| !s.is_empty() && !s.contains('{')) {
            // A number is a version only where a template has it: anywhere else it names something.
            if segment.starts_with(|c: char| c.is_ascii_digit()) {
                versions.insert((before.to_owned(), segment.to_owned()));
            } else {
                segments.insert(segment.to_owned());
            }
            before = segment;
        }
    }
    write(folder, "segments.txt", segments.iter().cloned())?;
    write(folder, "versions.txt", versions.iter().map(|(root, version)| format!("{root} {version}")))?;

    let policy: Value = serde_json::from_str(&fs::read_to_string(policy)?)?;
    let known = policy.get("params").and_then(Value::as_object).ok_or("no params")?.keys().cloned();
    let dropped = policy.get("always_drop").and_then(Value::as_array).ok_or("no always_drop")?;
    let dropped = dropped.iter().filter_map(Value::as_str).map(str::to_owned);
    write(folder, "parameters.txt", known.chain(dropped).collect::<BTreeSet<_>>().into_iter())
}

fn write(folder: &str, name: &str, lines: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let mut text = lines.collect::<Vec<_>>().join("\n");
    text.push('\n');
    Ok(fs::write(Path::new(folder).join(name), text)?)
}
