//! Certificates at addresses that requests name. Whoever sends a request chooses the address, so it has to stand, letter by
//! letter, below the one place where the provider publishes them; nothing else is ever fetched.
//!
//! That the answer came over TLS from the provider's host is not enough: a proxy that inspects what leaves a company is
//! trusted by its machines for that. So the chain is checked against Mozilla's roots, which are compiled in, and not against
//! those of the machine; whoever may sign for a browser there may not sign for a payment here. A program that is older than
//! its provider's next root refuses what is good: until it is replaced, the certificate can be pinned.
//!
//! Revocation is not asked for: certificates of the day give no one to ask, and what PayPal's own libraries check is this.

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

/// The most certificates of an answer that are looked at. Public chains have three.
const MAX_CERTIFICATES: usize = 8;

/// The longest name of a certificate below its place. PayPal's have thirty characters.
const MAX_NAME: usize = 128;

/// Certificates of one provider.
#[derive(PartialEq)]
pub(crate) struct Certificates {
    rule: CertificateRule,
    /// Which of the provider's two worlds the source is of, if it says so.
    live: Option<bool>,
    roots: Cow<'static, [TrustAnchor<'static>]>,
}

impl Certificates {
    /// By a preset's rule.
    pub(crate) const fn new(rule: CertificateRule, live: Option<bool>) -> Self {
        Self { rule, live, roots: Cow::Borrowed(webpki_roots::TLS_SERVER_ROOTS) }
    }

    #[cfg(test)]
    pub(super) fn with_roots(self, roots: Vec<TrustAnchor<'static>>) -> Self {
        Self { roots: Cow::Owned(roots), ..self }
    }

    /// The address that a request names, if it may be asked.
    pub(super) fn name_of(&self, around: RequestParts<'_>) -> Result<String, Rejection> {
        let address = around.header(&self.rule.header).ok_or(Rejection::MissingHeader)?;
        self.place_of(address).map(|_| address.to_owned()).ok_or(Rejection::KeyAddress)
    }

    fn place_of(&self, address: &str) -> Option<&Published> {
        let places = [(true, &self.rule.live), (false, &self.rule.test)];
        let mut mine = places.into_iter().filter(|(live, _)| self.live.is_none_or(|wanted| wanted == *live));
        mine.find(|(_, place)| is_below(&place.below, address)).map(|(_, place)| place)
    }

    /// Fetches a certificate and what it needs to be trusted.
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

    /// Whether the first certificate is one for the provider's messages, and the others link it to a root, now.
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

    /// Where the issuer's certificate is to be had, by the word of the certificate itself (RFC 5280, 4.2.2.1), for providers
    /// that publish theirs alone. It is looked for, not parsed: what is found there links the certificate to a root or is
    /// good for nothing, and it is asked for only below the place that the preset names.
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

/// Signing messages has no key usage of its own in public certificates; the name says what they are for.
struct AnyUse;

impl ExtendedKeyUsageValidator for AnyUse {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

/// Whether an address is a plain name below a place. Compared as text, so that there is nothing to read it another way: no
/// user, no port, no dots that climb, no escapes, no query.
fn is_below(place: &str, address: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    address.strip_prefix(place).is_some_and(|name| {
        (1..=MAX_NAME).contains(&name.len()) && !name.starts_with('.') && name.chars().all(plain)
    })
}

fn public_key(chain: &[CertificateDer<'static>]) -> Result<ParsedPublicKey, FetchError> {
    let untrusted = |why: &dyn ToString| FetchError::Untrusted(why.to_string());
    let own = chain.first().ok_or_else(|| untrusted(&"there is no certificate"))?;
    let own = EndEntityCert::try_from(own).map_err(|why| untrusted(&why))?;
    ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, own.subject_public_key_info().as_ref())
        .map_err(|why| untrusted(&why))
}

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
