//! Whose call an execution is: what fairness counts by.
//!
//! Over TCP a caller is a connection from this machine, or another machine's
//! address; in the core's calls, the handler of a job or the glyph of an
//! execution.
//!
//! **Invariant:** a caller is told by the door that let the call in, never by a
//! name the call gives itself over TCP.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

tokio::task_local! {
    /// Whose call is being answered.
    static CURRENT: Caller;
}

/// A caller; cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Caller(Arc<str>);

impl Caller {
    /// The caller at the other end of a connection: processes of this machine
    /// can only be told apart by their connections.
    #[must_use]
    pub fn of(peer: SocketAddr) -> Self {
        let ip = peer.ip().to_canonical();
        if ip.is_loopback() { Self(peer.to_string().into()) } else { Self(ip.to_string().into()) }
    }

    /// The handler whose job it is.
    #[must_use]
    pub fn handler(name: &str) -> Self {
        Self(format!("handler {name}").into())
    }

    /// The glyph the core runs.
    #[must_use]
    pub fn glyph(id: &str) -> Self {
        Self(format!("glyph {id}").into())
    }

    /// Whose call this task answers; without one, the plugin's own.
    #[must_use]
    pub fn current() -> Self {
        CURRENT.try_with(Clone::clone).unwrap_or_else(|_| Self("the plugin".into()))
    }

    /// Answers a call of this caller.
    pub async fn scope<F: Future>(self, call: F) -> F::Output {
        CURRENT.scope(self, call).await
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_machine_is_one_caller_and_ours_is_one_for_each_connection() {
        let caller = |peer: &str| Caller::of(peer.parse().expect("an address"));
        assert_eq!(caller("10.0.0.1:5"), caller("10.0.0.1:6"));
        assert_ne!(caller("10.0.0.1:5"), caller("10.0.0.2:5"));
        assert_ne!(caller("127.0.0.1:5"), caller("127.0.0.1:6"));
        assert_ne!(caller("[::ffff:127.0.0.1]:5"), caller("[::ffff:127.0.0.1]:6"));
        let outside = Caller::current();
        let inside = caller("10.0.0.1:5").scope(async { Caller::current() }).await;
        assert_eq!((inside, outside), (caller("10.0.0.1:5"), Caller::current()));
    }
}
