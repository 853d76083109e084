//! The rules of the house that a compiler does not check.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Lines of a source file without its tests, at most.
const MAX_LINES: usize = 500;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn files(ending: &str) -> Vec<PathBuf> {
    let listed = Command::new("git")
        .args(["ls-files", "-co", "--exclude-standard"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(listed.status.success(), "git ls-files works in a checkout");
    String::from_utf8(listed.stdout)
        .unwrap()
        .lines()
        .filter(|line| line.ends_with(ending))
        .map(|line| root().join(line))
        .filter(|path| path.is_file())
        .collect()
}

fn is_test(path: &Path) -> bool {
    let path = path.to_string_lossy();
    path.contains("/tests/") || path.ends_with("/tests.rs") || path.contains("/benches/")
}

#[test]
fn source_files_stay_small() {
    let mut long = Vec::new();
    for path in files(".rs").into_iter().filter(|path| !is_test(path)) {
        let text = std::fs::read_to_string(&path).unwrap();
        let lines = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap().lines().count();
        if lines > MAX_LINES {
            long.push(format!("{} has {lines} lines", path.display()));
        }
    }
    assert!(long.is_empty(), "split these by subject (at most {MAX_LINES} lines):\n{}", long.join("\n"));
}

#[test]
fn no_module_is_named_for_nothing() {
    for path in files(".rs") {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(
            !["mod", "util", "utils", "common", "helper", "helpers", "manager", "misc"]
                .contains(&name.as_str()),
            "{}: name it for its subject",
            path.display()
        );
    }
}

/// DESIGN: imports point down this list.
const LAYERS: &[&[&str]] = &[
    &["event"],
    &["filter", "catalogue", "config"],
    &["flow"],
    &["pipelines", "journal", "metastore", "egress", "columnar"],
    &["splunk-hec"],
    &["api", "receiver"],
    &["trailwire"],
    &["integration-tests"],
];

#[test]
fn imports_point_down() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let layer: BTreeMap<&str, usize> =
        LAYERS.iter().enumerate().flat_map(|(at, names)| names.iter().map(move |name| (*name, at))).collect();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let own = *layer.get(name).unwrap_or_else(|| panic!("put the new crate {name} into a layer"));
        for dependency in package["dependencies"].as_array().unwrap() {
            let other = dependency["name"].as_str().unwrap();
            let is_dev = dependency["kind"].as_str() == Some("dev");
            if let Some(below) = layer.get(other)
                && other != name
                && !is_dev
            {
                assert!(*below < own, "{name} must not depend on {other}: imports point down");
            }
        }
    }
}

#[test]
fn the_architecture_page_names_files_that_exist() {
    let text = std::fs::read_to_string(root().join("docs/ARCHITECTURE.md")).unwrap();
    let mut checked = 0;
    for quoted in text.split('`').skip(1).step_by(2) {
        let looks_like_path =
            quoted.contains('/') && !quoted.contains([' ', '<', '{', '*', ':']) && !quoted.starts_with('/');
        if looks_like_path {
            assert!(
                root().join(quoted).try_exists().unwrap(),
                "docs/ARCHITECTURE.md names {quoted}, which is not there"
            );
            checked += 1;
        }
    }
    assert!(checked > 15, "the page names the files of the path of an event");
}

/// A point that stands in no list is never armed, and a name without a point is never hit.
#[test]
fn fail_points_and_their_lists_agree() {
    let listed: BTreeSet<String> =
        [flow::FAIL_POINTS, api::FAIL_POINTS].into_iter().flatten().map(|name| (*name).to_owned()).collect();
    let mut placed = BTreeSet::new();
    for path in files(".rs").into_iter().filter(|path| !is_test(path)) {
        let text = std::fs::read_to_string(&path).unwrap();
        for after in text.split("fail_point!(\"").skip(1) {
            placed.insert(after.split('"').next().unwrap().to_owned());
        }
    }
    assert_eq!(placed, listed);
}

/// DESIGN: only these open outward sockets, only the binary reads the environment, only `flow::clock` reads the time.
/// The clippy bans hold the calls; this holds the exceptions.
#[test]
fn exceptions_to_the_bans_stand_where_they_may() {
    for path in files(".rs").into_iter().filter(|path| !is_test(path)) {
        let text = std::fs::read_to_string(&path).unwrap();
        let relative = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        for line in text.lines().filter(|line| line.contains("clippy::disallowed_methods")) {
            assert!(
                line.contains("reason") || text.contains("reason ="),
                "{relative}: an exception needs a reason"
            );
        }
        if text.contains("TcpStream::connect") {
            let may = [
                "crates/egress/",
                "crates/receiver/",
                "crates/trailwire/src/bench",
                "crates/trailwire/src/demo",
                "integration-tests/",
            ];
            assert!(
                may.iter().any(|prefix| relative.starts_with(prefix)),
                "{relative}: only egress opens outward connections"
            );
        }
    }
}
