//! Where requests go: scheme, host and port of a URL, checked before anything is resolved.

#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv6Addr};

use http::Uri;
use http::uri::Scheme;

/// Why a URL is no destination. Says nothing of the URL itself, which may hold a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadDestination {
    /// Neither `http` nor `https`.
    #[error("the URL must begin with https:// (or http:// where the operator allows it)")]
    Scheme,
    /// No host.
    #[error("the URL names no host")]
    NoHost,
    /// `user:password@`.
    #[error("the URL holds a user name or password: use the setting for credentials")]
    UserInfo,
    /// Not a host name.
    #[error("the host is neither a DNS name nor an IP address in the usual spelling")]
    Host,
    /// A name that only ever means the inside of a cloud.
    #[error("the host name is reserved for a cloud's metadata service")]
    Metadata,
    /// Port 0 or no number.
    #[error("the port is not a number from 1 to 65535")]
    Port,
}

/// A host as a URL names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A DNS name, lower case, without a final dot.
    Name(String),
    /// An address.
    Literal(IpAddr),
}

/// Scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Destination {
    pub(crate) host: Host,
    pub(crate) port: u16,
    pub(crate) tls: bool,
}

impl Destination {
    /// Takes the destination out of a URL.
    ///
    /// # Errors
    /// [`BadDestination`].
    pub fn of(uri: &Uri) -> Result<Self, BadDestination> {
        let tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(BadDestination::Scheme),
        };
        let authority = uri.authority().ok_or(BadDestination::NoHost)?;
        if authority.as_str().contains('@') {
            return Err(BadDestination::UserInfo);
        }
        let host = parse_host(authority.host())?;
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            None if authority.as_str().len() > authority.host().len() => return Err(BadDestination::Port),
            None if tls => 443,
            None => 80,
        };
        if port == 0 {
            return Err(BadDestination::Port);
        }
        Ok(Self { host, port, tls })
    }

    /// Whether the exchange runs over TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// The value of the `Host` header.
    pub(crate) fn host_header(&self) -> String {
        let host = match &self.host {
            Host::Name(name) => name.clone(),
            Host::Literal(IpAddr::V4(v4)) => v4.to_string(),
            Host::Literal(IpAddr::V6(v6)) => format!("[{v6}]"),
        };
        match (self.tls, self.port) {
            (true, 443) | (false, 80) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }
}

fn parse_host(text: &str) -> Result<Host, BadDestination> {
    if let Some(inner) = text.strip_prefix('[') {
        // Zone ids (`fe80::1%eth0`) do not parse, on purpose.
        let inner = inner.strip_suffix(']').ok_or(BadDestination::Host)?;
        let v6: Ipv6Addr = inner.parse().map_err(|_| BadDestination::Host)?;
        return Ok(Host::Literal(IpAddr::V6(v6)));
    }
    if let Ok(literal) = text.parse::<IpAddr>() {
        return Ok(Host::Literal(literal));
    }
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let label_ok = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if name.is_empty() || name.len() > 253 || !name.split('.').all(label_ok) {
        return Err(BadDestination::Host);
    }
    // `127.1`, `2130706433` and `0x7f.1` are addresses to some resolvers and names to others: to us they are neither.
    let last = name.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x") {
        return Err(BadDestination::Host);
    }
    if name == "metadata.google.internal" || name.ends_with(".metadata.google.internal") {
        return Err(BadDestination::Metadata);
    }
    Ok(Host::Name(name))
}
