//! A file of sinks: each one is compiled by itself, so that a bad one does not hinder the others.

use std::collections::HashSet;

use event::OrgId;

use super::{BrokenSink, COMMON_KEYS, RawCommon, SinkConfig, SinkContext, SinkType, compile_common};
use crate::path::KeyPath;
use crate::problem::{Problem, Problems, Severity};
use crate::read::{Part, nearest};
use crate::scope::Scope;
use crate::secret::SecretScope;
use crate::selection::Selection;
use crate::yaml::{Entry, Node, Value};

/// The longest name of a sink, producer or folder.
const MAX_NAME: usize = 64;

/// A file of sinks and whose it is.
#[derive(Clone, Copy)]
pub(crate) struct SinkFile<'a> {
    pub(crate) root: &'a Node,
    /// What reading the YAML already told, such as keys that stand twice.
    pub(crate) syntax: &'a Problems,
    pub(crate) owner: Option<&'a OrgId>,
    pub(crate) folder: Option<&'a str>,
    pub(crate) secrets: &'a SecretScope<'a>,
}

/// What became of a file of sinks.
#[derive(Debug)]
pub(crate) struct SinkList<T> {
    pub(crate) sinks: Vec<SinkConfig<T>>,
    pub(crate) broken: Vec<BrokenSink>,
    pub(crate) warnings: Problems,
}

impl<T> Default for SinkList<T> {
    fn default() -> Self {
        Self { sinks: Vec::new(), broken: Vec::new(), warnings: Problems::default() }
    }
}

/// Compiles each sink of a file.
pub(crate) fn compile_file<T>(file: SinkFile<'_>, types: &[SinkType<T>]) -> SinkList<T> {
    let mut list = SinkList::default();
    let (sinks, mut whole) = top(file);
    for sink in sinks {
        let name = sink.key.as_str();
        let mut base = KeyPath::default().join("sinks");
        base.push_key(name);
        let shown = base.to_string();
        let part = Part { node: &sink.node, place: sink.key_place.clone(), base };
        let mut scope = Scope::new(part, *file.secrets).with_elsewhere(COMMON_KEYS);
        let (config, orgs) = compile_sink(file, name, &mut scope, types);
        let mut problems = Problems::default();
        for problem in file.syntax.iter().filter(|problem| belongs_to(&problem.path, &shown)) {
            problems.push(problem.clone());
        }
        problems.append(scope.take_problems());
        match config {
            Some(config) if !problems.has_errors() => {
                list.sinks.push(config);
                list.warnings.append(problems);
            }
            _ => list.broken.push(BrokenSink { orgs, ..file.broken(Some(name), problems) }),
        }
    }
    let told: HashSet<String> =
        list.broken.iter().flat_map(|b| b.problems.iter().map(|p| p.path.clone())).collect();
    for problem in file.syntax.iter().filter(|problem| !told.contains(&problem.path)) {
        whole.push(problem.clone());
    }
    // What is wrong with the file but with no sink in it stops none of them: `version` is judged before, and an
    // unknown key at the top is told and has no effect.
    if whole.has_errors() {
        list.broken.push(file.broken(None, whole));
    } else {
        list.warnings.append(whole);
    }
    list
}

impl SinkFile<'_> {
    fn broken(&self, name: Option<&str>, problems: Problems) -> BrokenSink {
        BrokenSink {
            owner: self.owner.cloned(),
            folder: self.folder.map(str::to_owned),
            name: name.map(str::to_owned),
            orgs: None,
            problems,
        }
    }
}

/// The sinks, and what is wrong at the top of the file. No sinks when the file as a whole cannot be relied on.
fn top(file: SinkFile<'_>) -> (&[Entry], Problems) {
    let mut problems = Problems::default();
    if let Some(problem) = crate::version::check(file.root) {
        problems.push(problem);
        return (&[], problems);
    }
    for entry in file.root.entries() {
        if !matches!(entry.key.as_str(), "version" | "sinks") {
            let problem = Problem::error(entry.key_place.clone(), &entry.key, "unknown key");
            let hint = match nearest(&entry.key, &["version", "sinks"]) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "known keys are version and sinks".to_owned(),
            };
            problems.push(problem.hint(hint));
        }
    }
    let sinks = match file.root.entry("sinks").map(|entry| &entry.node.value) {
        None | Some(Value::Null) => &[],
        Some(Value::Map(sinks)) => sinks.as_slice(),
        Some(_) => {
            let place = Part::whole(file.root).place_of(&KeyPath::default().join("sinks"));
            problems.push(Problem::error(
                place,
                "sinks",
                "expected a map from the name of a sink to its keys",
            ));
            &[]
        }
    };
    (sinks, problems)
}

fn compile_sink<T>(
    file: SinkFile<'_>,
    name: &str,
    scope: &mut Scope<'_>,
    types: &[SinkType<T>],
) -> (Option<SinkConfig<T>>, Option<Selection<OrgId>>) {
    if !is_name(name) {
        scope.error_with_hint("", BAD_NAME, "such as soc-splunk");
    }
    let found = sink_type(scope, types);
    let Some(raw) = scope.read_known::<RawCommon>() else { return (None, None) };
    let orgs = orgs(file, scope, &raw);
    let config = found.and_then(|found| compile_settings(file, name, scope, &raw, found, orgs.clone()));
    (config, orgs)
}

fn compile_settings<T>(
    file: SinkFile<'_>,
    name: &str,
    scope: &mut Scope<'_>,
    raw: &RawCommon,
    found: &SinkType<T>,
    orgs: Option<Selection<OrgId>>,
) -> Option<SinkConfig<T>> {
    let common = compile_common(scope, raw, &found.defaults);
    let context = SinkContext { name, owner: file.owner, common: &common };
    let settings = (found.compile)(scope, &context)?;
    Some(SinkConfig {
        owner: file.owner.cloned(),
        name: name.to_owned(),
        orgs: orgs?,
        sink_type: found.name,
        common,
        settings,
        place: scope.place(),
    })
}

fn sink_type<'t, T>(scope: &mut Scope<'_>, types: &'t [SinkType<T>]) -> Option<&'t SinkType<T>> {
    let word = scope.text("type");
    let word = scope.require("type", word)?;
    let found = types.iter().find(|known| known.name == word);
    if found.is_none() {
        let names: Vec<&str> = types.iter().map(|known| known.name).collect();
        let hint = match nearest(&word, &names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known types are {}", names.join(", ")),
        };
        scope.error_with_hint("type", "unknown type of sink", hint);
    }
    found
}

fn orgs(file: SinkFile<'_>, scope: &mut Scope<'_>, raw: &RawCommon) -> Option<Selection<OrgId>> {
    match (file.owner, &raw.orgs) {
        (Some(owner), None) => Some(Selection::These(vec![owner.clone()])),
        (Some(_), Some(_)) => {
            scope.error_with_hint(
                "orgs",
                "an organisation's sink gets that organisation's records",
                "remove the key",
            );
            None
        }
        (None, orgs) => {
            let orgs = scope.require("orgs", orgs.as_ref())?;
            compile_orgs(scope, "orgs", &orgs.0)
        }
    }
}

/// Checks a list of organisation ids.
pub(crate) fn compile_orgs(
    scope: &mut Scope<'_>,
    key: &str,
    raw: &Selection<String>,
) -> Option<Selection<OrgId>> {
    let Selection::These(texts) = raw else { return Some(Selection::All) };
    if texts.is_empty() {
        scope.error_with_hint(key, "the list is empty", "write \"*\" for all organisations");
        return None;
    }
    let mut orgs = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        match OrgId::new(text) {
            Ok(org) => orgs.push(org),
            Err(bad) => scope.note_item(Severity::Error, key, index, bad.to_string()),
        }
    }
    (orgs.len() == texts.len()).then_some(Selection::These(orgs))
}

/// Whether `word` may be the name of a sink or producer.
pub(crate) fn is_name(word: &str) -> bool {
    (1..=MAX_NAME).contains(&word.len())
        && word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// What to tell about another word.
pub(crate) const BAD_NAME: &str = "a name has 1 to 64 characters of A-Z a-z 0-9 - _";

fn belongs_to(path: &str, part: &str) -> bool {
    path.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
