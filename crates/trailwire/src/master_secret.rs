//! The master secret from which every keyed hash derives.
//!
//! It is given by reference, or made once in `data_dir/master.key` (mode 0600). Beside a journal it must be there:
//! with another secret no resend would be recognised and no pseudonym would join. `data_dir/master.check` holds a value
//! derived from it, from which one cannot go back, so that another secret is noticed.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, bail, ensure};
use config::SecretSource;

/// The names of this module's fail points.
pub const FAIL_POINTS: &[&str] =
    &["key::write::before", "key::sync::before", "key::rename::before", "key::rename::after"];

/// Bytes of the secret.
pub const LEN: usize = 32;

/// Reads the secret, or makes it for a new data folder.
///
/// # Errors
/// When it cannot be read, is too short, is readable by others, or is missing beside a journal.
pub fn load(
    data_dir: &Path,
    given: Option<&SecretSource>,
    journal_exists: bool,
) -> anyhow::Result<[u8; LEN]> {
    if let Some(source) = given {
        let secret = source.read().context("reading `master_secret`")?;
        ensure!(secret.expose().len() >= LEN, "`master_secret` must have at least {LEN} characters");
        return Ok(stretch(secret.expose().as_bytes()));
    }
    let path = data_dir.join("master.key");
    match OpenOptions::new().read(true).open(&path) {
        Ok(mut file) => {
            let mode = file.metadata()?.permissions().mode();
            ensure!(mode & 0o077 == 0, "{} is readable by others: chmod 600 it", path.display());
            let mut text = String::new();
            file.read_to_string(&mut text).with_context(|| format!("reading {}", path.display()))?;
            let mut secret = [0; LEN];
            hex::decode_to_slice(text.trim(), &mut secret)
                .with_context(|| format!("{} must hold {} hexadecimal digits", path.display(), LEN * 2))?;
            Ok(secret)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if journal_exists {
                bail!(
                    "{} is missing beside a journal: restore it from your backup; with a new one resends would be stored twice",
                    path.display()
                );
            }
            make(&path)
        }
        Err(error) => Err(error).with_context(|| format!("opening {}", path.display())),
    }
}

/// Compares the secret with the one that the journal was made with; notes it when the journal is new.
///
/// # Errors
/// When it is another one, or the note cannot be read or written.
pub fn check(data_dir: &Path, secret: &[u8; LEN], journal_exists: bool) -> anyhow::Result<()> {
    let path = data_dir.join("master.check");
    let now = hex::encode(pipelines::key_check(secret));
    if journal_exists {
        match fs::read_to_string(&path) {
            Ok(noted) if noted.trim() == now => return Ok(()),
            Ok(_) => bail!(
                "the master secret is not the one that the journal in {} was made with: give that one back \
                 (`master_secret`, or {}); with another one resends would be stored twice and pseudonyms would not join",
                data_dir.display(),
                data_dir.join("master.key").display()
            ),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), "missing beside a journal: the master secret is taken for the right one");
            }
            Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
        }
    }
    write(&path, &now)
}

fn make(path: &Path) -> anyhow::Result<[u8; LEN]> {
    let secret: [u8; LEN] = rand::random();
    write(path, &hex::encode(secret))?;
    Ok(secret)
}

/// Writes one line, so that after a crash the file is whole or not there, and only we can read it.
fn write(path: &Path, line: &str) -> anyhow::Result<()> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let fresh = Path::new(&fresh);
    match fs::remove_file(fresh) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("removing {}", fresh.display())),
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(fresh)
        .with_context(|| format!("creating {}", fresh.display()))?;
    point("key::write::before");
    file.write_all(format!("{line}\n").as_bytes())?;
    point("key::sync::before");
    file.sync_all()?;
    point("key::rename::before");
    fs::rename(fresh, path).with_context(|| format!("creating {}", path.display()))?;
    point("key::rename::after");
    if let Some(folder) = path.parent() {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Where a crash test may let the process die.
fn point(name: &'static str) {
    #[cfg(feature = "failpoints")]
    fail::fail_point!(name);
    let _ = name;
}

/// A text of any length from which keys are derived anyway; this only brings it to the length.
fn stretch(text: &[u8]) -> [u8; LEN] {
    use sha2::Digest;
    sha2::Sha256::digest(text).into()
}

#[cfg(test)]
mod tests;
