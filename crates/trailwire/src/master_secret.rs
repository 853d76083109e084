//! The master secret from which every keyed hash derives.
//!
//! It is given by reference, or made once in `data_dir/master.key` (mode 0600). Beside a journal it must be there:
//! with another secret no resend would be recognised and no pseudonym would join.

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

fn make(path: &Path) -> anyhow::Result<[u8; LEN]> {
    let secret: [u8; LEN] = rand::random();
    let fresh = path.with_extension("key.new");
    match fs::remove_file(&fresh) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("removing {}", fresh.display())),
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&fresh)
        .with_context(|| format!("creating {}", fresh.display()))?;
    point("key::write::before");
    file.write_all(format!("{}\n", hex::encode(secret)).as_bytes())?;
    point("key::sync::before");
    file.sync_all()?;
    point("key::rename::before");
    fs::rename(&fresh, path).with_context(|| format!("creating {}", path.display()))?;
    point("key::rename::after");
    if let Some(folder) = path.parent() {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(secret)
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
