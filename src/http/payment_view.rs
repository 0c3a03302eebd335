//! The modules that show a payment, which the pages of the shop and of the operators share: each serves them below its own path, so that
//! their relative imports hold.

/// Files of `web-demo/`, each at the same path below `$prefix`.
macro_rules! files {
    ($prefix:literal; $($name:literal: $content_type:ident),* $(,)?) => {
        [$(Page::new(concat!($prefix, $name), $content_type, include_str!(concat!("../../web-demo/", $name)))),*]
    };
}

/// The files of the view of a payment, below `$prefix`.
macro_rules! payment_view {
    ($prefix:literal) => {
        files![
            $prefix;
            "format.js": JAVASCRIPT,
            "icon.svg": SVG,
            "payments/detail.js": JAVASCRIPT,
            "payments/follow.js": JAVASCRIPT,
            "payments/gateway.js": JAVASCRIPT,
            "payments/page.js": JAVASCRIPT,
            "payments/words.js": JAVASCRIPT,
            "paystream.js": JAVASCRIPT,
            "statuses.js": JAVASCRIPT,
            "theme.css": CSS,
            "timeline.js": JAVASCRIPT,
        ]
    };
}

pub(super) use {files, payment_view};

/// How many files the view has.
pub(super) const VIEW: usize = 11;
