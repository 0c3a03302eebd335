//! The settings of sources before they are built, from the examples of the manual.

use super::*;
use crate::config::{
    mistake::Collector,
    tests::{all_of_the_manual, environment_of},
};
use secrecy::ExposeSecret;

#[test]
fn the_sources_of_the_manual_have_the_settings_that_it_shows() {
    let (text, environment, mistakes) = (all_of_the_manual(), environment_of(&[]), Collector::default());
    let document = Document::parse("paystream.toml", &text, &environment, &mistakes).unwrap();
    let sources = document.sections("source").into_iter().map(|mut section| {
        let name = section.text("name", "a name").map(|(_, name)| name);
        one(&mut section, name).unwrap()
    });
    let sources: Vec<SourceSettings> = sources.collect();
    let source = sources.first().unwrap();
    assert_eq!((&*source.name, source.live, source.shared_ids), ("acme", Some(true), false));
    assert_eq!(source.secrets[0].text.expose_secret(), "whsec_0123456789abcdef0123456789abcdef");
    assert_eq!(source.max_age, Some(Duration::from_secs(300)));
    assert_eq!(source.max_future, Some(Duration::from_secs(300)));
    assert!(source.api.is_none());
    let api = |name| sources.iter().find(|source| &*source.name == name).unwrap().api.as_ref().unwrap();
    let client_id = api("plaid").client_id.as_ref().map(ExposeSecret::expose_secret);
    assert_eq!(client_id, Some("5f0c1e6f7a92d4c89f2c61d0"));
    let api = api("mollie");
    assert!(api.client_id.is_none());
    assert_eq!(api.key.expose_secret(), "live_dHar4XY7LxsDOtmnkVtjNVWXLSlXsM");
    assert_eq!(api.url.as_deref(), Some("https://api.mollie.com"));
}
