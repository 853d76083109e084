//! The folders of organisations.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use event::OrgId;

use super::{Loaded, Reading};
use crate::disk::{self, ReadText};
use crate::operator::{Grants, Quota};
use crate::org::{self, Org};
use crate::problem::{Origin, Place, Problem, Problems};
use crate::read::Part;
use crate::scope::Scope;
use crate::secret::{Files, Variables};
use crate::sink::BrokenSink;
use crate::version;
use crate::yaml::parse;

/// A folder's name, and the organisation with its warnings or why there is none.
type Folder = (String, Result<(Org, Problems), BadOrg>);

/// A folder that cannot be relied on.
#[derive(Debug, Default)]
pub(super) struct BadOrg {
    /// Whose it is, if that at least can be read.
    id: Option<OrgId>,
    pub(super) problems: Problems,
}

impl From<Problems> for BadOrg {
    fn from(problems: Problems) -> Self {
        Self { id: None, problems }
    }
}

impl<T> Reading<'_, T> {
    /// Reads every folder of `orgs_dir`, and the sinks in it.
    ///
    /// A folder of folders that is there and cannot be read is an error: its sinks must not be taken for removed.
    pub(super) fn orgs(
        &self,
        loaded: &mut Loaded<T>,
        grants: &Grants,
        is_written: bool,
    ) -> Result<(), Problem> {
        let orgs_dir = loaded.operator.orgs_dir.clone();
        let place = || Place::whole(&Arc::new(Origin::File(orgs_dir.display().to_string())));
        let folders = match disk::folders(&orgs_dir) {
            Ok(Some(folders)) => folders,
            Ok(None) => {
                if is_written {
                    let problem = Problem::warning(place(), "", "there is no such folder");
                    loaded.warnings.push(problem.hint("no organisation and no sink of one is known"));
                }
                return Ok(());
            }
            Err(what) => return Err(Problem::error(place(), "", what)),
        };
        let mut read: Vec<Folder> = folders
            .into_iter()
            .map(|folder| {
                let org = self.org(&orgs_dir.join(&folder), &folder, loaded.operator.ingest_per_org);
                (folder, org)
            })
            .collect();
        refuse_shared_ids(&mut read);
        for (folder, org) in read {
            let (org, warnings) = match org {
                Ok(org) => org,
                Err(BadOrg { id, problems }) => {
                    loaded.broken.push(BrokenSink { owner: id, folder: Some(folder), name: None, problems });
                    continue;
                }
            };
            loaded.warnings.append(warnings);
            let path = orgs_dir.join(&folder);
            let variables = grants.prefix(&org.id).map_or(Variables::None, Variables::Prefixed);
            let secrets = self.secrets(variables, Files::SecretsOf(&path));
            self.sinks(loaded, &path.join("sinks.yaml"), Some((&org.id, &folder)), &secrets, false);
            loaded.orgs.push(org);
        }
        Ok(())
    }

    fn org(&self, path: &Path, folder: &str, quota: Quota) -> Result<(Org, Problems), BadOrg> {
        let file = path.join("org.yaml");
        let origin = Arc::new(Origin::File(file.display().to_string()));
        let text = match disk::read_text(&file) {
            Ok(ReadText::Text(text)) => text,
            Ok(ReadText::Missing) => {
                let problem = Problem::error(Place::whole(&origin), "", "there is no such file");
                let hint = "each folder of orgs_dir has an org.yaml with version, id and name";
                return Err(Problems::from(problem.hint(hint)).into());
            }
            Err(what) => return Err(Problems::from(Problem::error(Place::whole(&origin), "", what)).into()),
        };
        self.org_text(&text, &origin, path, folder, quota)
    }

    pub(super) fn org_text(
        &self,
        text: &str,
        origin: &Arc<Origin>,
        path: &Path,
        folder: &str,
        quota: Quota,
    ) -> Result<(Org, Problems), BadOrg> {
        let (tree, mut problems) = parse(text, origin);
        let Some(tree) = tree else { return Err(problems.into()) };
        if let Some(problem) = version::check(&tree) {
            problems.push(problem);
            return Err(problems.into());
        }
        let secrets = self.secrets(Variables::None, Files::SecretsOf(path));
        let mut scope = Scope::new(Part::whole(&tree), secrets);
        let id = scope.text("id").and_then(|text| OrgId::new(&text).ok());
        let org = org::compile(&mut scope, folder, quota);
        problems.append(scope.take_problems());
        match org {
            Some(org) if !problems.has_errors() => Ok((org, problems)),
            _ => Err(BadOrg { id, problems }),
        }
    }
}

/// Refuses every folder of an organisation that two folders declare: nobody can tell which one is meant, and the
/// wrong one would be given the other's records.
fn refuse_shared_ids(read: &mut [Folder]) {
    let mut folders: HashMap<OrgId, Vec<String>> = HashMap::new();
    for (folder, org) in read.iter() {
        if let Ok((org, _)) = org {
            folders.entry(org.id.clone()).or_default().push(folder.clone());
        }
    }
    for (_, org) in read.iter_mut() {
        let Ok((found, warnings)) = org else { continue };
        if let Some(folders) = folders.get(&found.id).filter(|folders| folders.len() > 1) {
            let what = format!("the folders {} declare the same organisation", folders.join(" and "));
            let hint = "none of their sinks is started; give each organisation one folder";
            let mut problems = std::mem::take(warnings);
            problems.push(Problem::error(found.place.clone(), "id", what).hint(hint));
            *org = Err(BadOrg { id: Some(found.id.clone()), problems });
        }
    }
}
