//! A certificate authority of the tests, and a bridge by which their client, which knows no TLS, reaches a listener that speaks it.

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsConnector;

/// An authority whose certificate clients are told to trust.
pub(crate) struct Authority {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key, in PEM.
#[derive(Clone)]
pub(crate) struct Certified {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Certified {
    /// Writes both beside what is there and then in its place, as a program that renews certificates does. Returns the lines of the
    /// configuration that name them.
    pub(crate) fn write(&self, folder: &Path, name: &str) -> String {
        let (chain, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
        for (path, text) in [(&chain, &self.chain), (&key, &self.key)] {
            let beside = path.with_extension("new");
            fs::write(&beside, text).unwrap();
            fs::rename(beside, path).unwrap();
        }
        format!("[[tls.certificate]]\nchain = \"{}\"\nkey = \"file:{}\"\n", chain.display(), key.display())
    }
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let pair = KeyPair::generate().unwrap();
        let pem = params.self_signed(&pair).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, pair) }
    }

    /// A server's certificate, with a key on P-256.
    pub(crate) fn certify(&self, names: &[&str]) -> Certified {
        self.certify_for(names, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A client's certificate.
    pub(crate) fn certify_client(&self) -> Certified {
        self.certify_for(&["client.test"], ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// A server's certificate that is valid between these days, which are counted from today.
    pub(crate) fn certify_between(&self, names: &[&str], from: i64, until: i64) -> Certified {
        let day = |days: i64| {
            let time = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * days);
            let date = time.to_zoned(jiff::tz::TimeZone::UTC).date();
            let [month, day] = [date.month(), date.day()].map(|number| u8::try_from(number).unwrap());
            rcgen::date_time_ymd(date.year().into(), month, day)
        };
        let mut params = params(names, ExtendedKeyUsagePurpose::ServerAuth);
        (params.not_before, params.not_after) = (day(from), day(until));
        self.sign(&params)
    }

    fn certify_for(&self, names: &[&str], usage: ExtendedKeyUsagePurpose) -> Certified {
        self.sign(&params(names, usage))
    }

    fn sign(&self, params: &CertificateParams) -> Certified {
        let pair = KeyPair::generate().unwrap();
        let chain = params.signed_by(&pair, &self.issuer).unwrap().pem();
        Certified { chain, key: pair.serialize_pem() }
    }

    /// A client of TLS that trusts this authority and offers these protocols. It has a certificate of its own if one is given.
    pub(crate) fn client(&self, protocols: &[&str], own: Option<&Certified>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some(Certified { chain, key }) => {
                let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).map(Result::unwrap).collect();
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        config
    }
}

fn params(names: &[&str], usage: ExtendedKeyUsagePurpose) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.extended_key_usages = vec![usage];
    params
}

/// Starts a bridge that takes connections without TLS and carries each to `listener` over TLS, whose certificate has to be for `name`.
/// Returns its address. It lasts as long as the test's runtime.
pub(crate) async fn tls_bridge(listener: SocketAddr, client: ClientConfig, name: &str) -> SocketAddr {
    let own = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = own.local_addr().unwrap();
    let connector = TlsConnector::from(Arc::new(client));
    let name = ServerName::try_from(name.to_owned()).unwrap();
    tokio::spawn(async move {
        loop {
            let (mut near, _) = own.accept().await.unwrap();
            let (connector, name) = (connector.clone(), name.clone());
            tokio::spawn(async move {
                let Ok(far) = TcpStream::connect(listener).await else { return };
                far.set_nodelay(true).unwrap();
                let Ok(mut far) = connector.connect(name, far).await else { return };
                // Where one side is cut off, the other one is dropped and so cut off, too.
                let _ = copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    address
}
