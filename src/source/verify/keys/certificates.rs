//! Certificates at addresses that requests name. Whoever sends a request chooses the address, so the address has to begin, letter
//! by letter, with the one prefix under which the provider publishes certificates; nothing else is ever fetched.
//!
//! TLS to the provider's host does not prove the answer: a proxy that inspects what leaves a company is trusted by the company's
//! machines. So the chain is checked against Mozilla's roots, which are compiled in, and not against those of the machine;
//! whoever may sign for a browser there may not sign for a payment here. A program that is older than its provider's next root
//! rejects good certificates; until the program is replaced, the certificate can be pinned.
//!
//! Revocation is not checked: present certificates name no one to ask, and PayPal's own libraries check the same as this module.

use super::key::{FetchError, FetchedKey};
use crate::{
    outbound::Outbound,
    payment::Time,
    source::{
        payload::RequestParts,
        verify::{
            rejection::Rejection,
            signature::{CertificateRule, Published},
        },
    },
};
use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use bytes::Bytes;
use rustls_pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime, pem::PemObject as _};
use std::{borrow::Cow, time::Duration};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter};

/// The most certificates of an answer that are read. Public chains have three.
const MAX_CERTIFICATES: usize = 8;

/// The longest name of a certificate after the prefix, in bytes. PayPal's names have thirty characters.
const MAX_NAME: usize = 128;

/// The certificates of one provider.
#[derive(PartialEq)]
pub(crate) struct Certificates {
    /// Where the provider publishes its certificates.
    rule: CertificateRule,
    /// Whether the source is for real money. Without it, certificates for real money and for tests are both accepted.
    live: Option<bool>,
    /// The roots to which a certificate has to chain.
    roots: Cow<'static, [TrustAnchor<'static>]>,
}

impl Certificates {
    /// Builds the origin for a preset's rule.
    pub(crate) const fn new(rule: CertificateRule, live: Option<bool>) -> Self {
        Self { rule, live, roots: Cow::Borrowed(webpki_roots::TLS_SERVER_ROOTS) }
    }

    /// Replaces the roots by those of a test.
    #[cfg(test)]
    pub(super) fn with_roots(self, roots: Vec<TrustAnchor<'static>>) -> Self {
        Self { roots: Cow::Owned(roots), ..self }
    }

    /// Returns the address that a request names. Fails if it is not one where the provider publishes certificates.
    pub(super) fn name_of(&self, parts: RequestParts<'_>) -> Result<String, Rejection> {
        let address = parts.header(&self.rule.header).ok_or(Rejection::MissingHeader)?;
        self.place_of(address).map(|_| address.to_owned()).ok_or(Rejection::KeyAddress)
    }

    /// Returns the place of the provider's under which an address lies.
    fn place_of(&self, address: &str) -> Option<&Published> {
        let places = [(true, &self.rule.live), (false, &self.rule.test)];
        let mut mine = places.into_iter().filter(|(live, _)| self.live.is_none_or(|wanted| wanted == *live));
        mine.find(|(_, place)| is_below(&place.below, address)).map(|(_, place)| place)
    }

    /// Fetches a certificate, and that of its issuer if it is needed.
    pub(super) async fn fetch(
        &self,
        outbound: &Outbound,
        address: &str,
        at: Time,
    ) -> Result<FetchedKey, FetchError> {
        let pem = get(outbound, address).await?;
        let chain =
            CertificateDer::pem_slice_iter(&pem).take(MAX_CERTIFICATES).collect::<Result<Vec<_>, _>>();
        let mut chain = chain.map_err(|why| FetchError::Untrusted(format!("no certificate: {why}")))?;
        if let (Err(_), Some(issuer)) = (self.check(address, &chain, at), self.issuer_of(chain.first())) {
            chain.push(CertificateDer::from(get(outbound, &issuer).await?.to_vec()));
        }
        self.check(address, &chain, at)?;
        Ok(FetchedKey { public: public_key(&chain)?, chain, expired_at: None })
    }

    /// Checks that the first certificate is for the provider's messages, and that the others link it to a root at time `at`.
    pub(super) fn check(
        &self,
        address: &str,
        chain: &[CertificateDer<'static>],
        at: Time,
    ) -> Result<(), FetchError> {
        let untrusted = |why: &dyn ToString| FetchError::Untrusted(why.to_string());
        let place = self.place_of(address).ok_or_else(|| untrusted(&"its address is not the provider's"))?;
        let (own, others) = chain.split_first().ok_or_else(|| untrusted(&"there is no certificate"))?;
        let own = EndEntityCert::try_from(own).map_err(|why| untrusted(&why))?;
        let name = ServerName::try_from(place.name.as_str()).map_err(|why| untrusted(&why))?;
        own.verify_is_valid_for_subject_name(&name).map_err(|why| untrusted(&why))?;
        let ms = u64::try_from(at.unix_ms()).map_err(|why| untrusted(&why))?;
        let now = UnixTime::since_unix_epoch(Duration::from_millis(ms));
        own.verify_for_usage(ALL_VERIFICATION_ALGS, &self.roots, others, now, AnyUse, None, None)
            .map_err(|why| untrusted(&why))?;
        Ok(())
    }

    /// Returns the address of the issuer's certificate as the certificate itself names it (RFC 5280, 4.2.2.1), for providers that
    /// publish their own certificate alone. The address is searched for, not parsed: what is found there links the certificate to a
    /// root or is useless, and only addresses with the prefix that the preset names are asked.
    fn issuer_of(&self, own: Option<&CertificateDer<'static>>) -> Option<String> {
        /// The object identifier of `caIssuers`, and the tag of the address that follows.
        const CA_ISSUERS: &[u8] = &[6, 8, 0x2b, 6, 1, 5, 5, 7, 0x30, 2, 0x86];
        let (own, below) = (own?, self.rule.issuers.as_deref()?);
        let at = memchr::memmem::find(own, CA_ISSUERS)? + CA_ISSUERS.len();
        let (length, rest) = own.get(at..)?.split_first()?;
        let address = std::str::from_utf8(rest.get(..usize::from(*length))?).ok()?;
        is_below(below, address).then(|| address.to_owned())
    }
}

/// Accepts any key usage. Public certificates have no usage for signing messages; their name says what they are for.
struct AnyUse;

impl ExtendedKeyUsageValidator for AnyUse {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

/// Returns whether an address is a plain name under a place. The address is compared as text, so that nothing can read it
/// differently: no user, no port, no dots that climb, no escapes, no query.
fn is_below(place: &str, address: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    address.strip_prefix(place).is_some_and(|name| {
        (1..=MAX_NAME).contains(&name.len()) && !name.starts_with('.') && name.chars().all(plain)
    })
}

/// Returns the public key of the first certificate.
fn public_key(chain: &[CertificateDer<'static>]) -> Result<ParsedPublicKey, FetchError> {
    let untrusted = |why: &dyn ToString| FetchError::Untrusted(why.to_string());
    let own = chain.first().ok_or_else(|| untrusted(&"there is no certificate"))?;
    let own = EndEntityCert::try_from(own).map_err(|why| untrusted(&why))?;
    ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, own.subject_public_key_info().as_ref())
        .map_err(|why| untrusted(&why))
}

/// Fetches the document at an address.
async fn get(outbound: &Outbound, address: &str) -> Result<Bytes, FetchError> {
    let request = http::Request::get(address).body(Bytes::new());
    let request = request.map_err(|why| FetchError::Untrusted(why.to_string()))?;
    let answer = outbound.ask(request).await?;
    match answer.status {
        200 => Ok(answer.body),
        400 | 404 | 410 => Err(FetchError::Unknown),
        status => Err(FetchError::Status(status, String::new())),
    }
}
