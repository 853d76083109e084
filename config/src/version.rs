//! `version: 1` at the top of every file.

use crate::path::KeyPath;
use crate::problem::Problem;
use crate::read::Part;
use crate::yaml::Node;

/// The version of the YAML that this program writes in its examples and reads.
pub(crate) const CURRENT: u64 = 1;

/// What is wrong with a file's `version`, if anything.
pub(crate) fn check(root: &Node) -> Option<Problem> {
    let problem = |what: String| {
        let place = Part::whole(root).place_of(&KeyPath::default().join("version"));
        Problem::error(place, "version", what)
    };
    let hint = format!("write `version: {CURRENT}`");
    let Some(entry) = root.entry("version") else {
        return Some(problem("this key is missing".to_owned()).hint(hint));
    };
    match entry.node.text().and_then(|text| text.parse::<u64>().ok()) {
        Some(CURRENT) => None,
        Some(newer) if newer > CURRENT => {
            let what = format!("version {newer} is newer than this program, which reads version {CURRENT}");
            Some(problem(what).hint("run a newer trailwire, or write the file for this one"))
        }
        _ => {
            Some(problem("expected the version of this file's format, a whole number".to_owned()).hint(hint))
        }
    }
}
