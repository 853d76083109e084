//! Why an exchange gave no reply.

use std::fmt;
use std::io::ErrorKind;

use http::StatusCode;

/// What went wrong with a peer's certificate or handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TlsFault {
    /// Not yet or no longer valid.
    Expired,
    /// Made out to another name.
    WrongName,
    /// Signed by nobody whom we trust.
    UnknownIssuer,
    /// Withdrawn by its issuer.
    Revoked,
    /// Another fault of the certificate.
    BadCertificate,
    /// The peer does not speak TLS 1.2 or newer with any of our cipher suites, or does not speak TLS at all.
    Handshake,
}

/// The class of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The name does not resolve.
    Resolve,
    /// The name resolves to an address, or is one, that the guard forbids.
    Forbidden,
    /// `http://`, and the operator does not allow plain text to this address.
    Plaintext,
    /// Too many exchanges with this destination are under way; none became free in time.
    Crowded,
    /// No TCP connection.
    Connect(ErrorKind),
    /// TLS failed.
    Tls(TlsFault),
    /// The deadline passed.
    Timeout,
    /// The peer closed or reset the connection before the reply was whole.
    Cut,
    /// What the peer sent is not HTTP/1.1.
    Malformed,
    /// The head of the reply is larger than we read.
    HeadTooLarge,
    /// The request itself cannot be sent: our fault.
    Unsendable,
}

/// How much of a fault its words tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Veil {
    /// All of it.
    None,
    /// Not whether a name is unknown or leads to a forbidden address: a tenant could list this network's names.
    Name,
    /// Not how far a connection to an address of the operator's list came: a tenant could look for open ports.
    Port,
}

/// Why an exchange gave no reply. Its words name neither URL, address nor secret, and what a tenant must not learn of
/// the inside of the network is left out of them (decision 040), so they can be shown to the owner of the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    pub(crate) kind: FaultKind,
    pub(crate) sent: bool,
    pub(crate) status: Option<StatusCode>,
    pub(crate) veil: Veil,
}

impl Fault {
    pub(crate) const fn unsent(kind: FaultKind) -> Self {
        Self { kind, sent: false, status: None, veil: Veil::None }
    }

    /// The fault as a tenant may see it. `named`: the destination is a name and not an address. `operator`: it lies in
    /// the operator's list.
    pub(crate) fn veiled(self, named: bool, operator: bool) -> Self {
        let veil = match self.kind {
            FaultKind::Resolve => Veil::Name,
            // Who writes an address learns nothing by hearing that it is not public.
            FaultKind::Forbidden if named => Veil::Name,
            FaultKind::Connect(_)
            | FaultKind::Tls(TlsFault::Handshake)
            | FaultKind::Timeout
            | FaultKind::Cut
            | FaultKind::Malformed
            | FaultKind::HeadTooLarge
                if operator =>
            {
                Veil::Port
            }
            _ => Veil::None,
        };
        Self { veil, ..self }
    }

    /// Its class, for decisions and for the operator. It must not reach a tenant: [`Fault`]'s words do that.
    #[must_use]
    pub fn kind(&self) -> FaultKind {
        self.kind
    }

    /// Whether the peer may have taken the request nonetheless.
    #[must_use]
    pub fn outcome_unknown(&self) -> bool {
        self.sent
    }

    /// Whether its words leave something out.
    #[must_use]
    pub fn is_veiled(&self) -> bool {
        self.veil != Veil::None
    }

    /// The status, when the head of the reply arrived and its body did not.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.status
    }

    /// Whether only a change of settings, of the peer's certificate or of the operator's allow list can help. Not of a
    /// fault whose words do not tell: the sink's state would tell instead, and a name that does not resolve now may do
    /// so later.
    #[must_use]
    pub fn needs_a_person(&self) -> bool {
        if self.is_veiled() {
            return false;
        }
        matches!(
            self.kind,
            FaultKind::Forbidden
                | FaultKind::Plaintext
                | FaultKind::Unsendable
                | FaultKind::Tls(
                    TlsFault::Expired
                        | TlsFault::WrongName
                        | TlsFault::UnknownIssuer
                        | TlsFault::Revoked
                        | TlsFault::BadCertificate
                )
        )
    }

    /// What a person can do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self.veil {
            Veil::Name => {
                return "check the host name in the endpoint; if it is meant to be inside the network, the operator must add its range to egress.allow";
            }
            Veil::Port => {
                return "check scheme, host and port of the endpoint and that the receiver runs; the operator's log says more";
            }
            Veil::None => {}
        }
        match self.kind {
            FaultKind::Resolve => "check the host name in the endpoint, and the name service of this machine",
            FaultKind::Forbidden => {
                "if the endpoint is meant to be inside the network, the operator must add its range to egress.allow"
            }
            FaultKind::Plaintext => {
                "use https://, or the operator sets plaintext: true for the address in egress.allow"
            }
            FaultKind::Crowded => "lower the number of sinks or their concurrency at this host, or wait",
            FaultKind::Connect(_) => {
                "check that the receiver runs and that a firewall lets the connection through"
            }
            FaultKind::Tls(TlsFault::Expired) => {
                "renew the receiver's certificate, and check this machine's clock"
            }
            FaultKind::Tls(TlsFault::WrongName) => "use the host name for which the certificate was issued",
            FaultKind::Tls(TlsFault::UnknownIssuer) => {
                "install a certificate of a public authority, or the operator adds the authority to the trusted roots"
            }
            FaultKind::Tls(TlsFault::Revoked | TlsFault::BadCertificate) => {
                "replace the receiver's certificate"
            }
            FaultKind::Tls(TlsFault::Handshake) => "check that the port speaks TLS 1.2 or newer",
            FaultKind::Timeout => "check the receiver's load, or raise request.timeout",
            FaultKind::Cut => "check the receiver and the proxies before it",
            FaultKind::Malformed | FaultKind::HeadTooLarge => "check that the port speaks HTTP/1.1",
            FaultKind::Unsendable => "report this as a fault of Trailwire",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            _ if self.veil == Veil::Name => "the endpoint's host name leads to no address that may be used",
            _ if self.veil == Veil::Port => {
                "the receiver, which is inside the network, could not be reached or gave no valid answer"
            }
            FaultKind::Resolve => "the endpoint's host name could not be resolved",
            // The same words whatever the address.
            FaultKind::Forbidden => {
                "the endpoint's address is not a public one and not allowed by the operator"
            }
            FaultKind::Plaintext => "the endpoint uses http://, which the operator does not allow there",
            FaultKind::Crowded => "too many requests to this host are under way",
            FaultKind::Connect(ErrorKind::ConnectionRefused) => "the receiver refused the connection",
            FaultKind::Connect(ErrorKind::TimedOut) => "the connection could not be made in time",
            FaultKind::Connect(_) => "the connection could not be made",
            FaultKind::Tls(TlsFault::Expired) => "the receiver's certificate is expired or not yet valid",
            FaultKind::Tls(TlsFault::WrongName) => "the receiver's certificate is for another name",
            FaultKind::Tls(TlsFault::UnknownIssuer) => {
                "the receiver's certificate comes from an unknown authority"
            }
            FaultKind::Tls(TlsFault::Revoked) => "the receiver's certificate is revoked",
            FaultKind::Tls(TlsFault::BadCertificate) => "the receiver's certificate is not valid",
            FaultKind::Tls(TlsFault::Handshake) => "the TLS handshake failed",
            FaultKind::Timeout => "the receiver did not answer in time",
            FaultKind::Cut => "the connection was cut before the answer was complete",
            FaultKind::Malformed => "the receiver's answer is not valid HTTP/1.1",
            FaultKind::HeadTooLarge => "the head of the receiver's answer is too large",
            FaultKind::Unsendable => "the request could not be put together",
        };
        f.write_str(what)
    }
}

impl std::error::Error for Fault {}
