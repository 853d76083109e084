//! `egress.ca_files`: authorities that sinks' servers may have their certificates from, besides the public ones.

use std::path::Path;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::{Error, PemObject as _};

use crate::disk;
use crate::problem::Severity;
use crate::scope::Scope;

const KEY: &str = "egress.ca_files";

/// Reads the files, noting those that cannot be used. They are needed before anything starts.
pub(super) fn compile(
    scope: &mut Scope<'_>,
    files: &[String],
    folder: &Path,
) -> Vec<CertificateDer<'static>> {
    let mut roots = Vec::new();
    for (index, file) in files.iter().enumerate() {
        match read(&folder.join(file)) {
            Ok(found) => roots.extend(found),
            Err(what) => scope.note_item(Severity::Error, KEY, index, what),
        }
    }
    roots
}

fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = disk::read_bytes(path)?;
    let mut roots = Vec::new();
    for (number, section) in (1..).zip(CertificateDer::pem_slice_iter(&bytes)) {
        let root = section.map_err(|error| broken(number, &error))?;
        webpki::anchor_from_trusted_cert(&root)
            .map_err(|_| format!("certificate {number} cannot be read as one of an authority"))?;
        roots.push(root);
    }
    if roots.is_empty() {
        return Err("holds no certificate in PEM form (`-----BEGIN CERTIFICATE-----`)".to_owned());
    }
    Ok(roots)
}

/// In our words: the library's show the lines themselves, and those of a private key are nobody's to read.
fn broken(number: u32, error: &Error) -> String {
    match error {
        Error::MissingSectionEnd { .. } => {
            format!("certificate {number} has no end line: the file is cut off")
        }
        Error::Base64Decode(_) => format!("certificate {number} is not base64"),
        _ => format!("certificate {number} is not in PEM form"),
    }
}
