//! On whose behalf a host call is made.
//!
//! **Invariant:** everything in here is the supervisor's own knowledge; nothing
//! a child sent gets in.

use super::cursor::Cursors;
use std::time::Instant;

/// One execution, as the services are told about it. Made once per execution:
/// it owns the queries the script has open.
#[derive(Debug)]
pub struct CallContext {
    /// The handler that runs; its name is added to the contexts of what it attests.
    pub handler: Option<String>,
    /// The canvas glyph that runs: the default actor is `glyph:{id}`.
    pub glyph_id: Option<String>,
    /// `source` of what is attested, prefix of handler names.
    pub plugin_name: String,
    /// `source_version` of what is attested.
    pub plugin_version: String,
    /// No call is waited for beyond it.
    pub deadline: Instant,
    /// The execution may make TCP connections, so it may look up names.
    pub connects: bool,
    pub(super) cursors: Cursors,
}

impl CallContext {
    /// A context without handler and glyph.
    #[must_use]
    pub fn new(
        plugin_name: impl Into<String>,
        plugin_version: impl Into<String>,
        deadline: Instant,
    ) -> Self {
        Self {
            handler: None,
            glyph_id: None,
            plugin_name: plugin_name.into(),
            plugin_version: plugin_version.into(),
            deadline,
            connects: false,
            cursors: Cursors::default(),
        }
    }

    /// The registry key of a handler: `plugin/handler`, unless it is one already.
    /// A handler of our own may come with the dot of older versions.
    pub(super) fn handler_key(&self, handler: &str) -> String {
        if handler.contains('/') {
            return handler.to_owned();
        }
        let dotted = handler.strip_prefix(&self.plugin_name).and_then(|h| h.strip_prefix('.'));
        // The script handler has its dot as a part of its name.
        let bare = dotted.filter(|rest| *rest != "script" && !rest.is_empty()).unwrap_or(handler);
        format!("{}/{bare}", self.plugin_name)
    }

    /// The raw name behind a registry key of our own.
    pub(super) fn own_handler<'k>(&self, key: &'k str) -> Option<&'k str> {
        key.strip_prefix(&self.plugin_name)?.strip_prefix('/')
    }
}
