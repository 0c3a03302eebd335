//! The settings of this room, as the configuration gives them at start and at each reload.

use super::key::KeySettings;
use crate::payment::Name;
use std::time::Duration;

/// How far clocks may differ unless the configuration says otherwise.
pub const DEFAULT_LEEWAY: Duration = Duration::from_secs(30);

/// Who may watch payments, and from which pages.
#[derive(Clone, Debug)]
pub struct AccessSettings {
    /// The audience that the `aud` of every token has to name.
    pub audience: String,
    /// The origins whose pages may read answers, e.g. `https://shop.example`.
    pub cors: Vec<String>,
    /// The keys that may sign tokens. Without keys no token is valid.
    pub keys: Vec<KeySettings>,
    /// For development: a request without a token may watch every payment of this realm, and pages of every loopback origin
    /// may read answers.
    pub open: Option<Name>,
    /// How far the clock of a token's maker and the clock of this node may differ.
    pub leeway: Duration,
}

impl Default for AccessSettings {
    fn default() -> Self {
        Self {
            audience: "paystream".into(),
            cors: Vec::new(),
            keys: Vec::new(),
            open: None,
            leeway: DEFAULT_LEEWAY,
        }
    }
}
