//! The flags about spares and sessions.
//!
//! **Invariant:** each of them is a key of the configuration too.

use super::{positive, secs, size};
use crate::config::Config;
use crate::env;
use clap::Args;
use clap::builder::BoolishValueParser;
use std::collections::BTreeSet;
use std::time::Duration;

/// What is kept: processes ready for the next execution, and sessions.
#[derive(Debug, Clone, Args)]
pub struct PoolOptions {
    /// Processes each tier keeps ready when nothing happens [default: 4]
    #[arg(long, global = true, value_name = "N", value_parser = positive, env = env::MIN_SPARES)]
    pub min_spares: Option<usize>,
    /// Most processes each tier keeps ready [default: 16]
    #[arg(long, global = true, value_name = "N", value_parser = positive, env = env::MAX_SPARES)]
    pub max_spares: Option<usize>,
    /// Sessions at a time; the one unused for longest gives way [default: 64]
    #[arg(long, global = true, value_name = "N", value_parser = positive, env = env::MAX_SESSIONS)]
    pub max_sessions: Option<usize>,
    /// Idle time after which a session ends [default: 900]
    #[arg(long, global = true, value_name = "SECS", value_parser = secs, env = env::SESSION_IDLE)]
    pub session_idle_secs: Option<Duration>,
    /// Memory of all sessions together: bytes, or 512M, 1G [default: 2G]
    #[arg(long, global = true, value_name = "SIZE", value_parser = size, env = env::SESSION_MEMORY)]
    pub session_memory: Option<u64>,
    /// Run each glyph of PythonService in a session of its own
    #[arg(long, global = true, value_parser = BoolishValueParser::new(), env = env::GLYPH_SESSIONS)]
    pub glyph_sessions: bool,
}

impl PoolOptions {
    /// Puts what was given into `config`, and its keys among the `fixed`.
    pub(super) fn apply(&self, config: &mut Config, fixed: &mut BTreeSet<&'static str>) {
        if let Some(spares) = self.min_spares {
            fixed.insert("min_spares");
            config.min_spares = spares;
            config.max_spares = config.max_spares.max(spares);
        }
        if let Some(spares) = self.max_spares {
            fixed.insert("max_spares");
            config.max_spares = spares;
        }
        if let Some(most) = self.max_sessions {
            fixed.insert("max_sessions");
            config.max_sessions = most;
        }
        if let Some(idle) = self.session_idle_secs {
            fixed.insert("session_idle_secs");
            config.session_idle = idle;
        }
        if let Some(bytes) = self.session_memory {
            fixed.insert("session_memory");
            config.session_memory = bytes;
        }
        if self.glyph_sessions {
            fixed.insert("glyph_sessions");
            config.glyph_sessions = true;
        }
    }
}
