//! From the operator's file to everything that is configured.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use event::OrgId;

use crate::disk::{self, ReadText};
use crate::layers;
use crate::operator::{self, Grants, Operator, RawOperator};
use crate::org::Org;
use crate::problem::{Origin, Place, Problem, Problems};
use crate::read::Part;
use crate::scope::Scope;
use crate::secret::{Files, SecretScope, Variables};
use crate::sink::{BrokenSink, SinkConfig, SinkFile, SinkList, SinkType, compile_file};
use crate::version;
use crate::yaml::{Node, parse};

mod again;
mod check;
mod orgs;
#[cfg(test)]
mod tests;

pub use again::{SinkName, load_again};
pub use check::{FileKind, check, parse_yaml};

/// Everything that is configured. `T` is the binary's type of sink settings.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The operator's settings.
    pub operator: Operator,
    /// The organisations that have a folder.
    pub orgs: Vec<Org>,
    /// Sinks that can be made.
    pub sinks: Vec<SinkConfig<T>>,
    /// Sinks (or whole files of sinks) that cannot.
    pub broken: Vec<BrokenSink>,
    /// What a person should know, although everything starts.
    pub warnings: Problems,
}

impl<T> Loaded<T> {
    /// All problems: those of broken sinks and the warnings, file by file.
    #[must_use]
    pub fn problems(&self) -> Problems {
        let mut all = self.warnings.clone();
        for broken in &self.broken {
            all.append(broken.problems.clone());
        }
        all.sorted()
    }
}

/// Reads `path` and the files that it names. `env` is the whole environment: variables `TRAILWIRE__…` set keys, the
/// others can be referred to.
///
/// # Errors
/// All that is wrong with the operator's file. A file of sinks or of an organisation that is wrong is no error here:
/// see [`Loaded::broken`].
pub fn load<T>(
    path: &Path,
    env: &BTreeMap<String, String>,
    types: &[SinkType<T>],
) -> Result<Loaded<T>, Problems> {
    load_after(path, env, types, &[])
}

/// The same where `before` are the organisations that are in force.
fn load_after<T>(
    path: &Path,
    env: &BTreeMap<String, String>,
    types: &[SinkType<T>],
    before: &[Org],
) -> Result<Loaded<T>, Problems> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut read = Reading { env, types, folder, development: false, problems: Problems::default() };
    let Some((operator, grants, shared)) = read.operator(path) else { return Err(read.problems.sorted()) };
    let mut loaded =
        Loaded { operator, orgs: Vec::new(), sinks: Vec::new(), broken: Vec::new(), warnings: read.problems };
    read.problems = Problems::default();
    read.orgs(&mut loaded, &grants, before, shared.orgs_dir_is_written).map_err(Problems::from)?;
    read.shared_sinks(&mut loaded, &shared);
    loaded.warnings = loaded.warnings.sorted();
    Ok(loaded)
}

struct Reading<'a, T> {
    env: &'a BTreeMap<String, String>,
    types: &'a [SinkType<T>],
    folder: &'a Path,
    development: bool,
    problems: Problems,
}

/// Which files the operator named himself, so that they must be there.
struct Named {
    shared_sinks: String,
    shared_sinks_is_written: bool,
    orgs_dir_is_written: bool,
}

impl<T> Reading<'_, T> {
    fn operator(&mut self, path: &Path) -> Option<(Operator, Grants, Named)> {
        let origin = Arc::new(Origin::File(path.display().to_string()));
        let text = match disk::read_text(path) {
            Ok(ReadText::Text(text)) => text,
            other => {
                let what = other.map_or_else(|why| why, |_| "there is no such file".to_owned());
                let hint = "name the operator's file with --config FILE";
                self.problems.push(Problem::error(Place::whole(&origin), "", what).hint(hint));
                return None;
            }
        };
        self.operator_text(&text, &origin)
    }

    fn operator_text(&mut self, text: &str, origin: &Arc<Origin>) -> Option<(Operator, Grants, Named)> {
        let file = self.parse(text, origin)?;
        if let Some(problem) = version::check(&file) {
            self.problems.push(problem);
            return None;
        }
        let (defaults, wrong) = layers::defaults();
        self.problems.append(wrong);
        let tree = layers::overlay(layers::merge(defaults?, file), self.env, &mut self.problems);
        let development = tree.entry("development").and_then(|entry| entry.node.text()) == Some("true");
        self.development = development;
        let secrets = self.secrets(Variables::Any, Files::From(self.folder));
        let mut scope = Scope::new(Part::whole(&tree), secrets);
        let raw: Option<RawOperator> = scope.read();
        let shared_sinks = raw.as_ref().map(|raw| raw.shared_sinks.clone()).unwrap_or_default();
        let compiled = raw.and_then(|raw| operator::compile(&mut scope, raw, self.folder));
        let named = Named {
            shared_sinks,
            shared_sinks_is_written: scope.is_written("shared_sinks"),
            orgs_dir_is_written: scope.is_written("orgs_dir"),
        };
        self.problems.append(scope.take_problems());
        let (operator, grants) = compiled?;
        (!self.problems.has_errors()).then_some((operator, grants, named))
    }

    fn shared_sinks(&self, loaded: &mut Loaded<T>, named: &Named) {
        let path = self.folder.join(&named.shared_sinks);
        let secrets = self.secrets(Variables::Any, Files::From(self.folder));
        self.sinks(loaded, &path, None, &secrets, named.shared_sinks_is_written);
    }

    fn sinks(
        &self,
        loaded: &mut Loaded<T>,
        path: &Path,
        owner: Option<(&OrgId, &str)>,
        secrets: &SecretScope<'_>,
        must_exist: bool,
    ) {
        let origin = Arc::new(Origin::File(path.display().to_string()));
        let read = if owner.is_some() { disk::read_text_of_org(path) } else { disk::read_text(path) };
        let text = match read {
            Ok(ReadText::Text(text)) => text,
            Ok(ReadText::Missing) if !must_exist => return,
            other => {
                let what = other.map_or_else(|why| why, |_| "there is no such file".to_owned());
                let problem = Problem::error(Place::whole(&origin), "", what);
                loaded.broken.push(whole_file(owner, problem.into()));
                return;
            }
        };
        let list = self.sinks_text(&text, &origin, owner, secrets);
        loaded.sinks.extend(list.sinks);
        loaded.broken.extend(list.broken);
        loaded.warnings.append(list.warnings);
    }

    fn sinks_text(
        &self,
        text: &str,
        origin: &Arc<Origin>,
        owner: Option<(&OrgId, &str)>,
        secrets: &SecretScope<'_>,
    ) -> SinkList<T> {
        let (tree, syntax) = parse(text, origin);
        let Some(tree) = tree else {
            return SinkList { broken: vec![whole_file(owner, syntax)], ..SinkList::default() };
        };
        let file = SinkFile {
            root: &tree,
            syntax: &syntax,
            owner: owner.map(|(org, _)| org),
            folder: owner.map(|(_, folder)| folder),
            secrets,
        };
        compile_file(file, self.types)
    }

    fn parse(&mut self, text: &str, origin: &Arc<Origin>) -> Option<Node> {
        let (tree, problems) = parse(text, origin);
        self.problems.append(problems);
        tree
    }

    fn secrets<'s>(&'s self, variables: Variables<'s>, files: Files<'s>) -> SecretScope<'s> {
        SecretScope { env: self.env, variables, files, literals: self.development }
    }
}

fn whole_file(owner: Option<(&OrgId, &str)>, problems: Problems) -> BrokenSink {
    BrokenSink {
        owner: owner.map(|(org, _)| org.clone()),
        folder: owner.map(|(_, folder)| folder.to_owned()),
        name: None,
        orgs: None,
        problems,
    }
}
