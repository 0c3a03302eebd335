//! A certificate with its chain and its private key.

use rustls::{
    Error, InconsistentKeys, SignatureScheme,
    crypto::aws_lc_rs,
    sign::{CertifiedKey, SigningKey},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use std::{fmt, sync::Arc, time::Duration};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage};

/// The most certificates of a chain. Public chains have three or four.
const MAX_CHAIN: usize = 16;

/// The last second that a certificate can state: the end of the year 9999 (RFC 5280, section 4.1.2.5).
const LAST_SECOND: Duration = Duration::from_secs(253_402_300_799);

/// A certificate that can be presented to clients: its key fits, and its names and times could be read.
pub struct Certificate {
    certified: Arc<CertifiedKey>,
    /// Its first name, by which metrics and logs call it.
    name: String,
    not_before: UnixTime,
    not_after: UnixTime,
    /// Of the chain and the key. The key itself is held by `certified` alone.
    digest: [u8; 32],
}

/// Why a certificate cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CertificateError {
    /// The chain is not PEM, or has no certificate or too many.
    #[error(
        "the chain has no certificates in PEM ({0}); give the file that the authority calls fullchain: the certificate first, then its issuers"
    )]
    Chain(String),
    /// The certificate cannot be read, or clients would refuse it whatever its issuer is.
    #[error("the first certificate of the chain cannot be used ({0})")]
    Leaf(String),
    /// The certificate is for no host.
    #[error(
        "the first certificate of the chain names no host (no DNS name among its subject alternative names); clients refuse it"
    )]
    Nameless,
    /// The key cannot be read, or its kind cannot be used.
    #[error(
        "the private key cannot be used ({0}); give one in PEM that is not encrypted: ECDSA (P-256, P-384 or P-521), Ed25519, or RSA of 2048 bits and more"
    )]
    Key(String),
    /// The key is another certificate's.
    #[error("the private key does not belong to the first certificate of the chain")]
    KeyOfAnother,
}

impl Certificate {
    /// Reads a chain, whose first certificate is the server's own, and the private key, both in PEM.
    pub fn parse(chain: &str, key: &SecretString) -> Result<Self, CertificateError> {
        let certificates: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(chain.as_bytes()).take(MAX_CHAIN + 1).collect();
        let certificates = certificates.map_err(|error| CertificateError::Chain(error.to_string()))?;
        if certificates.len() > MAX_CHAIN {
            return Err(CertificateError::Chain(format!("it has more than {MAX_CHAIN}")));
        }
        let Some(leaf) = certificates.first() else {
            return Err(CertificateError::Chain("it has none".to_owned()));
        };
        let own = EndEntityCert::try_from(leaf).map_err(|error| CertificateError::Leaf(error.to_string()))?;
        let name = own.valid_dns_names().next().ok_or(CertificateError::Nameless)?.to_owned();
        let (not_before, not_after) = validity(&own)?;
        let digest = digest(&certificates, key);
        let key = PrivateKeyDer::from_pem_slice(key.expose_secret().as_bytes())
            .map_err(|error| CertificateError::Key(error.to_string()))?;
        let key = aws_lc_rs::sign::any_supported_type(&key)
            .map_err(|error| CertificateError::Key(error.to_string()))?;
        let certified = CertifiedKey::new(certificates, key);
        match certified.keys_match() {
            Ok(()) => {}
            // The library cannot tell; a client would.
            Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(_) => return Err(CertificateError::KeyOfAnother),
        }
        Ok(Self { certified: Arc::new(certified), name, not_before, not_after, digest })
    }

    /// The first name of a host that the certificate is for.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first moment from which clients accept the certificate.
    #[must_use]
    pub const fn not_before(&self) -> UnixTime {
        self.not_before
    }

    /// The last moment at which clients accept the certificate.
    #[must_use]
    pub const fn not_after(&self) -> UnixTime {
        self.not_after
    }

    /// Whether the certificate is for this host.
    #[must_use]
    pub fn is_for(&self, host: &str) -> bool {
        let Ok(host) = ServerName::try_from(host) else { return false };
        let leaf = self.certified.cert.first().and_then(|leaf| EndEntityCert::try_from(leaf).ok());
        leaf.is_some_and(|leaf| leaf.verify_is_valid_for_subject_name(&host).is_ok())
    }

    /// Whether the order of the chain is wrong or an issuer is missing in its middle: each certificate should be signed by the next.
    #[must_use]
    pub fn is_out_of_order(&self) -> bool {
        let chain: Vec<_> = self.certified.cert.iter().map(EndEntityCert::try_from).collect();
        chain.windows(2).any(|pair| match pair {
            [Ok(one), Ok(issuer)] => one.issuer() != issuer.subject(),
            _ => true,
        })
    }

    /// Whether its key can sign in one of these ways.
    pub(super) fn signs(&self, schemes: &[SignatureScheme]) -> bool {
        SigningKey::choose_scheme(&*self.certified.key, schemes).is_some()
    }

    pub(super) fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified)
    }
}

/// The times between which a certificate is valid. The library states them when it refuses a certificate for being too old or too new;
/// both are asked for in that way, with a chain that leads nowhere.
fn validity(leaf: &EndEntityCert<'_>) -> Result<(UnixTime, UnixTime), CertificateError> {
    let at = |time| {
        let verified = leaf.verify_for_usage(
            ALL_VERIFICATION_ALGS,
            &[],
            &[],
            UnixTime::since_unix_epoch(time),
            KeyUsage::server_auth(),
            None,
            None,
        );
        verified.err()
    };
    let unusable = |why: Option<webpki::Error>| {
        CertificateError::Leaf(why.map_or_else(|| "its times".to_owned(), |why| why.to_string()))
    };
    let not_after = match at(LAST_SECOND) {
        Some(webpki::Error::CertExpired { not_after, .. }) => not_after,
        // It never expires.
        Some(webpki::Error::UnknownIssuer) => UnixTime::since_unix_epoch(LAST_SECOND),
        why => return Err(unusable(why)),
    };
    let not_before = match at(Duration::ZERO) {
        Some(webpki::Error::CertNotValidYet { not_before, .. }) => not_before,
        Some(webpki::Error::UnknownIssuer) => UnixTime::since_unix_epoch(Duration::ZERO),
        why => return Err(unusable(why)),
    };
    // In between, everything but the issuer has to be right.
    match at(Duration::from_secs(not_after.as_secs())) {
        None | Some(webpki::Error::UnknownIssuer) => Ok((not_before, not_after)),
        // A certificate that signs itself, as in tests and closed networks: clients that pin it accept it.
        Some(webpki::Error::CaUsedAsEndEntity) => Ok((not_before, not_after)),
        why => Err(unusable(why)),
    }
}

fn digest(chain: &[CertificateDer<'_>], key: &SecretString) -> [u8; 32] {
    let mut digest = Sha256::new();
    for certificate in chain {
        digest.update(certificate.len().to_be_bytes());
        digest.update(certificate);
    }
    digest.update(key.expose_secret());
    digest.finalize().into()
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
