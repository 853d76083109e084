use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use egress::{FaultKind, Request, TlsFault};
use http::{HeaderMap, Method};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::*;
use crate::sinks::types;

/// An authority in PEM form, and a server that it vouches for.
fn authority() -> (String, TlsAcceptor) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let der = BASE64_STANDARD.encode(issuer.der());
    let pem = format!("-----BEGIN CERTIFICATE-----\n{der}\n-----END CERTIFICATE-----\n");
    (pem, TlsAcceptor::from(Arc::new(config)))
}

/// Makes an exchange with a server of the authority, under a configuration with these lines.
async fn exchange(lines: &str) -> Result<egress::Reply, egress::Fault> {
    exchange_of("acme", lines).await
}

/// The same for a sink of `owner`.
async fn exchange_of(owner: &str, lines: &str) -> Result<egress::Reply, egress::Fault> {
    let (pem, acceptor) = authority();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        let Ok(mut tls) = acceptor.accept(tcp).await else { return };
        let mut buffer = [0; 4_096];
        while tls.read(&mut buffer).await.is_ok_and(|read| read > 0) {
            tls.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        }
    });
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("corp-ca.pem"), pem).unwrap();
    let path = folder.path().join("trailwire.yaml");
    std::fs::write(&path, format!("version: 1\n{lines}\n")).unwrap();
    let loaded = config::load(&path, &BTreeMap::new(), &types()).unwrap_or_else(|wrong| panic!("{wrong}"));
    let client = client(&loaded.operator, &Clock::system()).unwrap();
    let url = format!("https://{address}").parse().unwrap();
    let endpoint = client.endpoint(owner, &url).unwrap();
    let request = Request {
        method: Method::POST,
        target: "/".parse().unwrap(),
        headers: HeaderMap::new(),
        body: Bytes::from_static(b"event"),
        timeout: Duration::from_secs(10),
    };
    endpoint.send(request).await
}

#[tokio::test]
async fn an_authority_of_the_operator_is_trusted_and_nobody_elses() {
    let reply = exchange("egress: {allow: [{cidr: 127.0.0.0/8}], ca_files: [corp-ca.pem]}").await.unwrap();
    assert_eq!(reply.status, 200);
    let fault = exchange("egress: {allow: [{cidr: 127.0.0.0/8}]}").await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Tls(TlsFault::UnknownIssuer));
}

#[tokio::test]
async fn an_entry_for_shared_sinks_opens_nothing_to_tenants() {
    let entry = "egress: {allow: [{cidr: 127.0.0.0/8, sinks: shared}], ca_files: [corp-ca.pem]}";
    assert_eq!(exchange_of(egress::OPERATOR, entry).await.unwrap().status, 200);
    assert_eq!(exchange(entry).await.unwrap_err().kind(), FaultKind::Forbidden);
    let all = "egress: {allow: [{cidr: 127.0.0.0/8, sinks: all}], ca_files: [corp-ca.pem]}";
    assert_eq!(exchange_of(egress::OPERATOR, all).await.unwrap().status, 200);
    assert_eq!(exchange(all).await.unwrap().status, 200);
}

#[tokio::test]
async fn what_is_not_allowed_is_not_reached() {
    let fault = exchange("egress: {ca_files: [corp-ca.pem]}").await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Forbidden);
}
