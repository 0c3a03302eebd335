//! The internals of sources that the tests of other rooms use.

pub(crate) use super::{
    fuzzing::write_xml,
    payload::{BodyForm, MAX_EVENTS, OptionValues, form, parse_xml},
    preset::{Case, Preset, built_in, exempt, from_file, own_of, presets},
    verify::{
        Adapter, Piece, Recipe, Scheme,
        adapter_tests::braintree_and_plaid::{Signer, braintree_form, braintree_hmac},
        signature_tests::{Bench, Pair},
    },
};
