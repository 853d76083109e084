//! Reading configuration files: bounded, and with errors in words.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// The largest file of configuration.
const MAX_BYTES: u64 = 16 << 20;

/// A file, or none.
pub(crate) enum ReadText {
    Text(String),
    Missing,
}

/// Reads a file of text.
pub(crate) fn read_text(path: &Path) -> Result<ReadText, String> {
    match read(path)? {
        Some(bytes) => text_of(bytes).map(ReadText::Text),
        None => Ok(ReadText::Missing),
    }
}

/// Reads a file of text that somebody else than the operator may have put there: only a file, so that a queue in its
/// place does not hold the others up.
pub(crate) fn read_text_of_org(path: &Path) -> Result<ReadText, String> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let opened = File::options().read(true).custom_flags(nonblocking).open(path);
    if let Ok(file) = &opened
        && !file.metadata().is_ok_and(|metadata| metadata.is_file())
    {
        return Err("is not a file".to_owned());
    }
    match bytes_of(opened)? {
        Some(bytes) => text_of(bytes).map(ReadText::Text),
        None => Ok(ReadText::Missing),
    }
}

/// Reads a file that must be there.
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>, String> {
    let bytes = read(path)?.ok_or("there is no such file")?;
    is_small(&bytes).map(|()| bytes)
}

/// At most one byte more than a file may have; `None` if there is none.
fn read(path: &Path) -> Result<Option<Vec<u8>>, String> {
    bytes_of(File::open(path))
}

fn bytes_of(opened: std::io::Result<File>) -> Result<Option<Vec<u8>>, String> {
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot be read: {}", reason(&error))),
    };
    let mut bytes = Vec::new();
    match file.take(MAX_BYTES + 1).read_to_end(&mut bytes) {
        Ok(_) => Ok(Some(bytes)),
        Err(error) => Err(format!("cannot be read: {}", reason(&error))),
    }
}

fn is_small(bytes: &[u8]) -> Result<(), String> {
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("is larger than {} MiB", MAX_BYTES >> 20));
    }
    Ok(())
}

/// Checks size and encoding.
pub(crate) fn text_of(bytes: Vec<u8>) -> Result<String, String> {
    is_small(&bytes)?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("is not UTF-8 in line {line}")
    })
}

/// The names of the folders in a folder, sorted; `None` if it is not there. Hidden ones, such as those of mounted
/// Kubernetes volumes, and names that are not UTF-8 are left out.
pub(crate) fn folders(path: &Path) -> Result<Option<Vec<String>>, String> {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot be read: {}", reason(&error))),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| format!("cannot be read: {}", reason(&error)))?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        // Follows links, unlike `entry.file_type()`.
        let is_folder = std::fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_dir());
        if is_folder && !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(Some(names))
}

/// Why a file could not be read, in words, without its path.
pub(crate) fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        kind => kind.to_string(),
    }
}
