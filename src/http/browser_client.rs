//! The modules of the client package, which the pages use as they are.

use super::pages::{JAVASCRIPT, Page};

/// Each module at the path by which `web-demo/paystream.js` finds it in the repository too.
macro_rules! modules {
    ($($name:literal),* $(,)?) => {
        [$(Page::new(concat!("/clients/js/src/", $name), JAVASCRIPT, include_str!(concat!("../../clients/js/src/", $name)))),*]
    };
}

pub(super) static MODULES: [Page; 6] =
    modules!["index.js", "ledger.js", "link.js", "money.js", "sse.js", "watch.js"];
