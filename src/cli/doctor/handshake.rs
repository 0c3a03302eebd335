//! Examines TLS: the certificate, and the versions. Nothing is sent but handshakes, so that no token reaches a server whose certificate
//! is not in order.

use super::{
    endpoint::{Endpoint, printable},
    finding::{Diagnosis, Finding, Flaw, Halt},
    old_tls,
};
use crate::loopback::is_loopback;
use jiff::Timestamp;
use reqwest::Url;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error,
    ProtocolVersion, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::aws_lc_rs,
    server::ParsedCertificate,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use rustls_platform_verifier::Verifier;
use std::{
    io,
    net::{TcpStream, ToSocketAddrs as _},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use webpki::EndEntityCert;

/// How long to connect, to wait for a part of an answer, and to write one may take.
const STEP: Duration = Duration::from_secs(10);

/// A certificate that expires within this time is a finding, as for `paystream check`.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// The certificates that a server presented, its own first.
type Chain = Vec<CertificateDer<'static>>;

/// What two handshakes showed.
struct Shown {
    /// The version, and the certificates; or why there was no handshake.
    handshake: Result<(Option<ProtocolVersion>, Chain), Error>,
    is_old_accepted: bool,
    verifier: Arc<Verifier>,
}

/// Examines the TLS of the endpoint. Returns its version, unless the URL has none. Halts if no token may be sent.
pub(super) async fn examine(
    endpoint: &Endpoint,
    diagnosis: &mut Diagnosis,
) -> Result<Option<&'static str>, Halt> {
    let host = endpoint.base.host_str().unwrap_or_default().to_owned();
    if !endpoint.is_tls() {
        if !is_loopback(&host) {
            let says = "The URL is http://, so whoever is on the way reads the tokens and the payments.";
            diagnosis.note(vec![Finding::new(Flaw::PlainHttp, says)], "");
        }
        return Ok(None);
    }
    let url = endpoint.base.clone();
    let shown = tokio::task::spawn_blocking(move || look(&url)).await;
    let shown = shown.map_err(|error| error.to_string()).and_then(|shown| shown).map_err(Halt::Unreached)?;
    let (version, chain) = match shown.handshake {
        Ok(handshake) => handshake,
        Err(_) if shown.is_old_accepted => {
            let says = "The server speaks TLS 1.0 or 1.1 and nothing newer, so no browser of today connects.";
            diagnosis.note(vec![Finding::new(Flaw::OldTls, says)], "");
            return Err(Halt::Found);
        }
        Err(error) => return Err(Halt::Unreached(format!("the handshake of TLS fails: {error}"))),
    };
    let findings = certificate(&shown.verifier, &chain, &host, UnixTime::now());
    let is_trusted = findings.iter().all(|finding| finding.flaw == Flaw::CertificateExpiresSoon);
    diagnosis.note(findings, "the certificate");
    let old = Finding::new(Flaw::OldTls, "The server still accepts TLS 1.1 or 1.0, which RFC 8996 forbids.");
    diagnosis.note(if shown.is_old_accepted { vec![old] } else { Vec::new() }, "no TLS before 1.2");
    if !is_trusted {
        return Err(Halt::Found);
    }
    Ok(version.map(|version| if version == ProtocolVersion::TLSv1_3 { "TLS 1.3" } else { "TLS 1.2" }))
}

/// Shakes hands twice: as a client of today, and as one of long ago.
fn look(url: &Url) -> Result<Shown, String> {
    // The brackets of an IPv6 address are the URL's.
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let port = url.port_or_known_default().unwrap_or(443);
    let name = ServerName::try_from(host.to_owned()).map_err(|error| format!("{host:?}: {error}"))?;
    let verifier =
        Verifier::new(Arc::new(aws_lc_rs::default_provider())).map_err(|error| error.to_string())?;
    let verifier = Arc::new(verifier);
    let mut socket = connect(host, port)?;
    let witness = Arc::new(Witness { verifier: Arc::clone(&verifier), chain: Mutex::default() });
    let handshake = shake(&mut socket, name.clone(), &witness)?;
    let dns = matches!(name, ServerName::DnsName(_)).then_some(host);
    // If a server of long ago does not answer, that is no reason to say nothing of the other handshake.
    let is_old_accepted =
        connect(host, port).is_ok_and(|mut socket| old_tls::accepts(&mut socket, dns).unwrap_or(false));
    Ok(Shown { handshake, is_old_accepted, verifier })
}

fn connect(host: &str, port: u16) -> Result<TcpStream, String> {
    let addresses = (host, port).to_socket_addrs().map_err(|error| format!("{host}: {error}"))?;
    let mut why = format!("{host} has no address");
    for address in addresses {
        match TcpStream::connect_timeout(&address, STEP) {
            Ok(socket) => {
                let bounded =
                    socket.set_read_timeout(Some(STEP)).and_then(|()| socket.set_write_timeout(Some(STEP)));
                return bounded.map(|()| socket).map_err(|error| error.to_string());
            }
            Err(error) => why = format!("{address}: {error}"),
        }
    }
    Err(why)
}

/// One handshake. The outer error is that of the network, the inner one that of TLS.
fn shake(
    socket: &mut TcpStream,
    name: ServerName<'static>,
    witness: &Arc<Witness>,
) -> Result<Result<(Option<ProtocolVersion>, Chain), Error>, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    let mut config = builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::<Witness>::clone(witness))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let mut connection = ClientConnection::new(Arc::new(config), name).map_err(|error| error.to_string())?;
    while connection.is_handshaking() {
        if let Err(error) = connection.complete_io(socket) {
            return of_tls(error).map(Err);
        }
    }
    let chain = std::mem::take(&mut *witness.chain.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Ok((connection.protocol_version(), chain)))
}

/// Tells an error of TLS from one of the network. A server that hangs up in the middle of a handshake has refused it.
fn of_tls(error: io::Error) -> Result<Error, String> {
    if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        return Ok(tls.clone());
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
            Ok(Error::AlertReceived(AlertDescription::HandshakeFailure))
        }
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            Err(format!("the handshake of TLS does not end within {} s", STEP.as_secs()))
        }
        _ => Err(format!("the handshake of TLS fails: {error}")),
    }
}

/// Judges the certificates that a server presented.
fn certificate(
    verifier: &Verifier,
    chain: &[CertificateDer<'static>],
    host: &str,
    now: UnixTime,
) -> Vec<Finding> {
    let Some((own, issuers)) = chain.split_first() else {
        return vec![Finding::new(Flaw::CertificateChain, "The server presents no certificate.")];
    };
    let bare = host.trim_matches(['[', ']']);
    let Ok(name) = ServerName::try_from(bare) else { return Vec::new() };
    let mut findings = Vec::new();
    let parsed = ParsedCertificate::try_from(own);
    if parsed.is_ok_and(|parsed| verify_server_name(&parsed, &name).is_err()) {
        let names: Vec<String> = EndEntityCert::try_from(own)
            .map(|own| own.valid_dns_names().take(10).map(printable).collect())
            .unwrap_or_default();
        let says = format!("The certificate is not for {host}; it is for {}.", listed(&names));
        findings.push(Finding::new(Flaw::CertificateName, says));
    }
    let verify = |at| verifier.verify_server_cert(own, issuers, &name, &[], at);
    match verify(now) {
        Ok(_) => {
            let soon = UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs()) + SOON);
            if let Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) =
                verify(soon)
            {
                let says =
                    format!("The certificate, or one of its issuers', expires on {}.", date(not_after));
                findings.push(Finding::new(Flaw::CertificateExpiresSoon, says));
            }
        }
        Err(Error::InvalidCertificate(error)) => findings.extend(refused(&error, own, issuers)),
        Err(error) => findings
            .push(Finding::new(Flaw::CertificateChain, format!("The certificate cannot be used ({error})."))),
    }
    findings
}

/// What a refusal means. One by name has been told already.
fn refused(
    error: &CertificateError,
    own: &CertificateDer<'_>,
    issuers: &[CertificateDer<'_>],
) -> Option<Finding> {
    let (flaw, says) = match error {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => return None,
        CertificateError::ExpiredContext { not_after, .. } => (
            Flaw::CertificateTime,
            format!("The certificate, or one of its issuers', expired on {}.", date(*not_after)),
        ),
        CertificateError::NotValidYetContext { not_before, .. } => {
            (Flaw::CertificateTime, format!("The certificate is not valid before {}.", date(*not_before)))
        }
        CertificateError::UnknownIssuer => {
            let is_own_issuer = EndEntityCert::try_from(own).is_ok_and(|own| own.issuer() == own.subject());
            let why = if is_own_issuer {
                "it has signed itself, so only clients that were given it trust it".to_owned()
            } else if issuers.is_empty() {
                "the server sends no intermediate certificate beside it".to_owned()
            } else {
                format!("none of the {} that the server sends beside it leads to one", issuers.len())
            };
            let says = format!("No authority that this machine trusts has issued the certificate: {why}.");
            (Flaw::CertificateChain, says)
        }
        other => (Flaw::CertificateChain, format!("The certificate cannot be used ({other:?}).")),
    };
    Some(Finding::new(flaw, says))
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "no host".to_owned() } else { names.join(", ") }
}

fn date(time: UnixTime) -> String {
    let time = i64::try_from(time.as_secs()).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map_or_else(|| "an unknown day".to_owned(), |time| time.to_string())
}

/// A verifier that keeps the certificates and judges none of them: they are judged after the handshake, and all that is wrong with
/// them at once. Nothing is sent over a connection that it has let through.
#[derive(Debug)]
struct Witness {
    verifier: Arc<Verifier>,
    chain: Mutex<Chain>,
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain = std::iter::once(end_entity).chain(intermediates).map(|one| one.clone().into_owned());
        *self.chain.lock().unwrap_or_else(PoisonError::into_inner) = chain.collect();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
