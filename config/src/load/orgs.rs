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
    /// Of folders that declare the same organisation, the one that declared it `before` stays in force.
    ///
    /// A folder of folders that is there and cannot be read is an error: its sinks must not be taken for removed.
    pub(super) fn orgs(
        &self,
        loaded: &mut Loaded<T>,
        grants: &Grants,
        before: &[Org],
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
        refuse_strangers(&mut read, grants);
        refuse_shared_ids(&mut read, before);
        for (folder, org) in read {
            let (org, warnings) = match org {
                Ok(org) => org,
                Err(BadOrg { id, problems }) => {
                    loaded.broken.push(BrokenSink {
                        owner: id,
                        folder: Some(folder),
                        name: None,
                        orgs: None,
                        problems,
                    });
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
        let text = match disk::read_text_of_org(&file) {
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

/// Refuses folders that declare what the operator has given to another folder, or another organisation than the
/// operator has given them. Such a folder has no claim, so that it stands in nobody's way.
fn refuse_strangers(read: &mut [Folder], grants: &Grants) {
    for (folder, org) in read.iter_mut() {
        let declared = match org {
            Ok((found, _)) => Some(found.id.clone()),
            Err(bad) => bad.id.clone(),
        };
        let Some(declared) = declared else {
            // It does not say whose it is, but the operator does.
            if let Err(bad) = org {
                bad.id = grants.org(folder).cloned();
            }
            continue;
        };
        let what = match (grants.folder(&declared), grants.org(folder)) {
            (Some(own), _) if own != folder => {
                format!("the operator has given this organisation to the folder {own}")
            }
            (None, Some(own)) => format!("the operator has given this folder to the organisation {own}"),
            _ => continue,
        };
        let own = grants.org(folder).cloned();
        match org {
            Ok((found, warnings)) => {
                let mut problems = std::mem::take(warnings);
                let hint = "see `orgs` in trailwire.yaml; none of its sinks is started";
                problems.push(Problem::error(found.place.clone(), "id", what).hint(hint));
                *org = Err(BadOrg { id: own, problems });
            }
            Err(bad) => bad.id = own,
        }
    }
}

/// Refuses every folder of an organisation that two folders declare: nobody can tell which one is meant, and the
/// wrong one would be given the other's records. One that is in force stays so: its neighbour cannot stop it. A folder
/// that cannot be read well, but says whose it is or was in force, has a claim as well.
fn refuse_shared_ids(read: &mut [Folder], before: &[Org]) {
    let was = |folder: &str| before.iter().find(|org| org.folder == folder).map(|org| &org.id);
    let mut claims: HashMap<OrgId, Vec<String>> = HashMap::new();
    for (folder, org) in read.iter() {
        let id = match org {
            Ok((org, _)) => Some(&org.id),
            Err(bad) => bad.id.as_ref().or_else(|| was(folder)),
        };
        if let Some(id) = id {
            claims.entry(id.clone()).or_default().push(folder.clone());
        }
    }
    for (folder, org) in read.iter_mut() {
        let Ok((found, warnings)) = org else { continue };
        let Some(folders) = claims.get(&found.id).filter(|folders| folders.len() > 1) else { continue };
        let what = format!("the folders {} declare the same organisation", folders.join(" and "));
        let mut problems = std::mem::take(warnings);
        if was(folder) == Some(&found.id) {
            let hint = "this one was in force before and stays so; at a restart neither is, unless `orgs` in \
                        trailwire.yaml says whose folder it is";
            warnings.append(problems);
            warnings.push(Problem::warning(found.place.clone(), "id", what).hint(hint));
            continue;
        }
        let hint = "none of its sinks is started; give each organisation one folder, or write \
                    `orgs: {ID: {folder: NAME}}` in trailwire.yaml";
        problems.push(Problem::error(found.place.clone(), "id", what).hint(hint));
        // In force is another: what ran is not of this folder.
        let is_taken = folders.iter().any(|other| other != folder && was(other) == Some(&found.id));
        *org = Err(BadOrg { id: Some(found.id.clone()).filter(|_| !is_taken), problems });
    }
}
