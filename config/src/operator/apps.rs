//! `apps.files`: they are looked at, so that a misspelt path is told now and not when they begin to count.

use std::path::PathBuf;
use std::sync::Arc;

use crate::disk;
use crate::problem::{Origin, Severity};
use crate::scope::Scope;
use crate::version;
use crate::yaml::{Value, parse};

const KEY: &str = "apps.files";

/// Checks that each file is there and has the shape of a list of apps. What it says of them is not looked at yet.
pub(super) fn check(scope: &mut Scope<'_>, files: &[PathBuf]) {
    for (index, file) in files.iter().enumerate() {
        if let Err(what) = look(file) {
            scope.note_item(Severity::Error, KEY, index, what);
        }
    }
}

fn look(path: &std::path::Path) -> Result<(), String> {
    let text = disk::read_bytes(path).and_then(disk::text_of)?;
    let (tree, problems) = parse(&text, &Arc::new(Origin::File(path.display().to_string())));
    if let Some(problem) = problems.first() {
        let line = problem.place.line().map(|line| format!(" (line {line})")).unwrap_or_default();
        return Err(format!("cannot be read: {}{line}", problem.what));
    }
    let tree = tree.ok_or("holds nothing")?;
    if let Some(problem) = version::check(&tree) {
        return Err(format!("version: {}", problem.what));
    }
    let apps = tree.entry("apps").map(|entry| &entry.node.value);
    let is_list = matches!(apps, Some(Value::List(items))
        if items.iter().all(|item| matches!(item.value, Value::Map(_))));
    if is_list {
        Ok(())
    } else {
        Err("expected `apps:` with a list of apps, each a map of its keys".to_owned())
    }
}
