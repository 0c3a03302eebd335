use super::*;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, PKCS_RSA_SHA256,
    RsaKeySize, SignatureAlgorithm, date_time_ymd,
};

fn key_pair(algorithm: &'static SignatureAlgorithm) -> KeyPair {
    if algorithm == &PKCS_RSA_SHA256 {
        KeyPair::generate_rsa_for(algorithm, RsaKeySize::_2048).unwrap()
    } else {
        KeyPair::generate_for(algorithm).unwrap()
    }
}

fn parse(chain: &str, pair: &KeyPair) -> Result<Certificate, CertificateError> {
    Certificate::parse(chain, &pair.serialize_pem().into())
}

#[test]
fn keys_of_all_kinds_that_browsers_take_are_accepted() {
    for algorithm in [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ED25519,
        &PKCS_RSA_SHA256,
    ] {
        let pair = key_pair(algorithm);
        let params = CertificateParams::new(vec!["pay.example".to_owned()]).unwrap();
        let chain = params.self_signed(&pair).unwrap().pem();
        assert!(parse(&chain, &pair).is_ok(), "{algorithm:?}");
        assert!(
            matches!(parse(&chain, &key_pair(algorithm)), Err(CertificateError::KeyOfAnother)),
            "{algorithm:?}"
        );
    }
}

#[test]
fn names_and_times_are_those_of_the_certificate() {
    let pair = KeyPair::generate().unwrap();
    let names = ["pay.example", "*.shop.example"].map(str::to_owned);
    let mut params = CertificateParams::new(names).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    let certificate = parse(&params.self_signed(&pair).unwrap().pem(), &pair).unwrap();
    assert_eq!(
        (certificate.not_before().as_secs(), certificate.not_after().as_secs()),
        (1_577_836_800, 1_609_459_200)
    );
    assert_eq!(certificate.name(), "pay.example");
    for (host, is_for) in [
        ("pay.example", true),
        ("PAY.example", true),
        ("a.shop.example", true),
        ("shop.example", false),
        ("a.b.shop.example", false),
        ("example", false),
        ("pay.example.evil", false),
        ("", false),
        ("..", false),
    ] {
        assert_eq!(certificate.is_for(host), is_for, "{host}");
    }
}

#[test]
fn a_certificate_for_clients_alone_is_refused() {
    let pair = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["pay.example".to_owned()]).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let chain = params.self_signed(&pair).unwrap().pem();
    assert!(matches!(parse(&chain, &pair), Err(CertificateError::Leaf(_))), "{:?}", parse(&chain, &pair));
}

#[test]
fn a_chain_in_the_wrong_order_is_noticed() {
    let (root, issuer, own) =
        (KeyPair::generate().unwrap(), KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let authority = |name: &str| {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params
    };
    let root_pem = authority("root").self_signed(&root).unwrap().pem();
    let root = Issuer::new(authority("root"), root);
    let issuer_pem = authority("issuer").signed_by(&issuer, &root).unwrap().pem();
    let issuer = Issuer::new(authority("issuer"), issuer);
    let params = CertificateParams::new(vec!["pay.example".to_owned()]).unwrap();
    let own_pem = params.signed_by(&own, &issuer).unwrap().pem();
    let is_out_of_order = |chain: &[&String]| {
        let chain: String = chain.iter().map(|pem| pem.as_str()).collect();
        parse(&chain, &own).unwrap().is_out_of_order()
    };
    assert!(!is_out_of_order(&[&own_pem]));
    assert!(!is_out_of_order(&[&own_pem, &issuer_pem, &root_pem]));
    assert!(is_out_of_order(&[&own_pem, &root_pem, &issuer_pem]));
    assert!(is_out_of_order(&[&own_pem, &root_pem]));
}
