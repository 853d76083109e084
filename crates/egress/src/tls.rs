//! TLS: versions 1.2 and 1.3, the Mozilla roots and the operator's own.

use std::io;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};

use crate::destination::Host;
use crate::fault::TlsFault;

/// A certificate of `extra_roots` is no usable authority.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("root certificate {index} cannot be used as an authority: {reason}")]
pub struct BadRoots {
    /// Which one, from 0.
    pub index: usize,
    /// Why.
    pub reason: String,
}

pub(crate) fn client_config(extra_roots: &[CertificateDer<'static>]) -> Result<Arc<ClientConfig>, BadRoots> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    for (index, root) in extra_roots.iter().enumerate() {
        roots.add(root.clone()).map_err(|err| BadRoots { index, reason: err.to_string() })?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|err| BadRoots { index: 0, reason: err.to_string() })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

pub(crate) fn server_name(host: &Host) -> Option<ServerName<'static>> {
    match host {
        Host::Name(name) => ServerName::try_from(name.clone()).ok(),
        Host::Literal(address) => Some(ServerName::from(*address)),
    }
}

/// The class of a failed handshake; `None` when the peer hung up rather than refuse.
pub(crate) fn classify(error: &io::Error) -> Option<TlsFault> {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>())?;
    Some(match inner {
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => TlsFault::Expired,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                TlsFault::WrongName
            }
            CertificateError::UnknownIssuer => TlsFault::UnknownIssuer,
            CertificateError::Revoked => TlsFault::Revoked,
            _ => TlsFault::BadCertificate,
        },
        rustls::Error::NoCertificatesPresented => TlsFault::BadCertificate,
        _ => TlsFault::Handshake,
    })
}
