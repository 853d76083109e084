//! From a destination to a connected stream: resolve, vet, connect to exactly what was vetted.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::address::{Guard, Permit};
use crate::destination::{Destination, Host};
use crate::fault::{Fault, FaultKind, TlsFault};
use crate::resolve::Resolve;
use crate::stream::Stream;
use crate::tls;

/// Addresses of one name that are tried.
const MAX_TRIED: usize = 6;
/// For one address: TCP, then again for TLS.
const STEP: Duration = Duration::from_secs(5);

pub(crate) struct Dialler {
    /// What tenants may reach, and what the operator's own endpoints may.
    pub(crate) tenants: Guard,
    pub(crate) operator: Guard,
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) tls: Arc<ClientConfig>,
}

impl Dialler {
    /// Connects. `operator` becomes whether the operator's allow list is what permits the addresses, as soon as that is
    /// known: also when connecting fails, or is given up.
    pub(crate) async fn dial(
        &self,
        to: &Destination,
        for_operator: bool,
        operator: &mut bool,
    ) -> Result<Stream, Fault> {
        let addresses = self.vet(to, for_operator, operator).await?;
        let mut last = Fault::unsent(FaultKind::Resolve);
        for address in addresses.iter().take(MAX_TRIED) {
            match self.connect(to, SocketAddr::new(*address, to.port)).await {
                Ok(stream) => return Ok(stream),
                Err(fault) => last = fault,
            }
        }
        Err(last)
    }

    /// Resolves, and refuses all of it when any answer is forbidden: a mixed answer is the mark of an attack.
    async fn vet(
        &self,
        to: &Destination,
        for_operator: bool,
        operator: &mut bool,
    ) -> Result<Vec<IpAddr>, Fault> {
        let guard = if for_operator { &self.operator } else { &self.tenants };
        let (addresses, by_machine) = match &to.host {
            Host::Literal(address) => (vec![*address], false),
            Host::Name(name) => self.resolve(name).await?,
        };
        let mut all = true;
        for address in &addresses {
            let permit = guard.judge(*address).map_err(|forbidden| {
                tracing::info!(host = ?to.host, sort = forbidden.0, "refused to connect: address is not allowed");
                Fault::unsent(FaultKind::Forbidden)
            })?;
            if permit == Permit::Public && by_machine {
                return Err(Fault::unsent(FaultKind::Resolve));
            }
            if !to.tls && !permit.plaintext() {
                return Err(Fault::unsent(FaultKind::Plaintext));
            }
            all &= permit != Permit::Public;
        }
        *operator = all;
        Ok(addresses)
    }

    /// The addresses of a name, and whether only this machine knows it so: by its hosts file or search domains. Such
    /// names may lead only where the operator allows it, since a tenant could otherwise name this network's hosts.
    async fn resolve(&self, name: &str) -> Result<(Vec<IpAddr>, bool), Fault> {
        if name.contains('.')
            && let Ok(found) = self.resolver.resolve(format!("{name}.")).await
            && !found.is_empty()
        {
            return Ok((found, false));
        }
        match self.resolver.resolve(name.to_owned()).await {
            Ok(found) if !found.is_empty() => Ok((found, true)),
            _ => Err(Fault::unsent(FaultKind::Resolve)),
        }
    }

    async fn connect(&self, to: &Destination, address: SocketAddr) -> Result<Stream, Fault> {
        let failed = |kind| Fault::unsent(FaultKind::Connect(kind));
        let tcp = match timeout(STEP, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => tcp,
            Ok(Err(err)) => return Err(failed(err.kind())),
            Err(_) => return Err(failed(ErrorKind::TimedOut)),
        };
        // Head and body leave in one write, so Nagle's algorithm could only delay them.
        tcp.set_nodelay(true).map_err(|err| failed(err.kind()))?;
        if !to.tls {
            return Ok(Stream::Plain(tcp));
        }
        let name = tls::server_name(&to.host).ok_or(Fault::unsent(FaultKind::Tls(TlsFault::WrongName)))?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        match timeout(STEP, connector.connect(name, tcp)).await {
            Ok(Ok(stream)) => Ok(Stream::Tls(Box::new(stream))),
            Ok(Err(err)) => Err(Fault::unsent(
                tls::classify(&err).map_or_else(|| FaultKind::Connect(err.kind()), FaultKind::Tls),
            )),
            Err(_) => Err(failed(ErrorKind::TimedOut)),
        }
    }
}
