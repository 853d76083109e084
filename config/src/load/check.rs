//! One file by itself.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use event::OrgId;

use super::Reading;
use crate::disk;
use crate::operator::Quota;
use crate::problem::{Origin, Place, Problem, Problems};
use crate::read::Part;
use crate::scope::Scope;
use crate::secret::{Files, SecretScope, Variables};
use crate::sink::SinkType;
use crate::yaml::parse;

/// What a single file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// `trailwire.yaml`.
    Operator,
    /// `org.yaml`.
    Org,
    /// `sinks.yaml`.
    Sinks,
    /// `shared_sinks.yaml`.
    SharedSinks,
}

/// Checks one file by itself, given as bytes and called `name` in problems. References are looked up as if the file
/// lay in `folder`, and `env` is the environment.
#[must_use]
pub fn check<T>(
    kind: FileKind,
    name: &str,
    bytes: Vec<u8>,
    folder: &Path,
    env: &BTreeMap<String, String>,
    types: &[SinkType<T>],
) -> Problems {
    let origin = Arc::new(Origin::File(name.to_owned()));
    let text = match disk::text_of(bytes) {
        Ok(text) => text,
        Err(what) => return Problem::error(Place::whole(&origin), "", what).into(),
    };
    let mut read = Reading { env, types, folder, development: false, problems: Problems::default() };
    let problems = match kind {
        FileKind::Operator => {
            read.operator_text(&text, &origin);
            std::mem::take(&mut read.problems)
        }
        FileKind::Org => match read.org_text(&text, &origin, folder, "", Quota::default()) {
            Ok((_, warnings)) => warnings,
            Err(bad) => bad.problems,
        },
        FileKind::Sinks | FileKind::SharedSinks => {
            // Which organisation it is matters to nothing in the file.
            let org = OrgId::new("org").ok().filter(|_| kind == FileKind::Sinks);
            let files = if org.is_some() { Files::SecretsOf(folder) } else { Files::From(folder) };
            let secrets = read.secrets(Variables::Any, files);
            let list = read.sinks_text(&text, &origin, org.as_ref().map(|org| (org, "")), &secrets);
            let mut problems = list.warnings;
            list.broken.into_iter().for_each(|broken| problems.append(broken.problems));
            problems
        }
    };
    problems.sorted()
}

/// Reads another YAML file of ours, such as `apps.yaml`, called `name` in problems.
///
/// # Errors
/// All that is wrong with it, with places.
pub fn parse_yaml<T: serde::de::DeserializeOwned>(name: &str, text: &str) -> Result<T, Problems> {
    let origin = Arc::new(Origin::File(name.to_owned()));
    let (tree, mut problems) = parse(text, &origin);
    let Some(tree) = tree else { return Err(problems) };
    let env = BTreeMap::new();
    let secrets = SecretScope {
        env: &env,
        variables: Variables::None,
        files: Files::From(Path::new("")),
        literals: false,
    };
    let mut scope = Scope::new(Part::whole(&tree), secrets);
    let value = scope.read();
    problems.append(scope.take_problems());
    match value {
        Some(value) if !problems.has_errors() => Ok(value),
        _ => Err(problems.sorted()),
    }
}
