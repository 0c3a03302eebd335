//! Certificate authorities for tests, and the certificates and signatures of a provider for which they vouch.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, IsCa, Issuer, KeyPair, PKCS_RSA_SHA256, RsaKeySize,
    date_time_ymd,
};
use rustls_pki_types::{CertificateDer, TrustAnchor};
use std::sync::LazyLock;
use webpki::anchor_from_trusted_cert;

/// The name for which PayPal's certificates are issued.
pub(super) const NAME: &str = "messageverificationcerts.paypal.com";

/// A root certificate and an issuer below it.
pub(super) struct Authority {
    root: CertificateDer<'static>,
    intermediate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// The properties of a certificate to issue.
pub(super) struct Wanted<'a> {
    pub(super) name: &'a str,
    /// The first and the last year in which the certificate is valid.
    pub(super) years: (i32, i32),
    /// The address of the issuer's certificate.
    pub(super) issuer: Option<String>,
}

impl Default for Wanted<'_> {
    fn default() -> Self {
        Self { name: NAME, years: (2026, 2027), issuer: None }
    }
}

/// The provider's own key. Generating one takes a while, so all tests share two.
pub(super) struct Signer {
    pair: KeyPair,
    rsa: RsaKeyPair,
}

pub(super) static SIGNERS: LazyLock<[Signer; 2]> = LazyLock::new(|| [Signer::new(), Signer::new()]);

impl Signer {
    fn new() -> Self {
        let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        let rsa = RsaKeyPair::from_pkcs8(&pair.serialize_der()).unwrap();
        Self { pair, rsa }
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.rsa.public_modulus_len()];
        self.rsa.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
        signature
    }

    /// Returns a self-signed certificate as PEM.
    pub(super) fn self_signed(&self) -> String {
        params(&Wanted::default()).self_signed(&self.pair).unwrap().pem()
    }
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "Test Root");
        let pair = KeyPair::generate().unwrap();
        let root = params.self_signed(&pair).unwrap().der().clone();
        let over = Issuer::new(params, pair);
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "Test Issuer");
        let pair = KeyPair::generate().unwrap();
        let intermediate = params.signed_by(&pair, &over).unwrap();
        Self { root, intermediate, issuer: Issuer::new(params, pair) }
    }

    pub(super) fn roots(&self) -> Vec<TrustAnchor<'static>> {
        vec![anchor_from_trusted_cert(&self.root).unwrap().to_owned()]
    }

    /// Returns the issuer's certificate as DER.
    pub(super) fn intermediate(&self) -> Vec<u8> {
        self.intermediate.der().to_vec()
    }

    /// Issues a certificate, and returns it alone as PEM.
    pub(super) fn leaf(&self, signer: &Signer, wanted: &Wanted<'_>) -> String {
        params(wanted).signed_by(&signer.pair, &self.issuer).unwrap().pem()
    }

    /// Issues a certificate, and returns it with its issuer's as PEM.
    pub(super) fn chain(&self, signer: &Signer, wanted: &Wanted<'_>) -> String {
        self.leaf(signer, wanted) + &self.intermediate.pem()
    }
}

fn params(wanted: &Wanted<'_>) -> CertificateParams {
    let mut params = CertificateParams::new(vec![wanted.name.to_owned()]).unwrap();
    let (first, last) = wanted.years;
    (params.not_before, params.not_after) = (date_time_ymd(first, 1, 1), date_time_ymd(last, 1, 1));
    if let Some(address) = &wanted.issuer {
        // By RFC 5280, 4.2.2.1, this is a sequence of one description: `caIssuers` at this address.
        let tagged = |tag: u8, value: &[u8]| [&[tag, u8::try_from(value.len()).unwrap()][..], value].concat();
        let method = tagged(6, &[0x2b, 6, 1, 5, 5, 7, 0x30, 2]);
        let description = tagged(0x30, &[method, tagged(0x86, address.as_bytes())].concat());
        let content = tagged(0x30, &description);
        let extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], content);
        params.custom_extensions.push(extension);
    }
    params
}
