//! Stand-ins for what the faces are driven with in unit tests.
//!
//! **Invariant:** compiled for tests only.

use crate::answer::{Answer, Captured, Usage};
use crate::api::attestations::{Find, FindError};
use crate::api::{Api, Execute};
use crate::config::Config;
use crate::error::{Rejected, RunError};
use crate::request::{Request, Source};
use crate::settings::Settings;
use crate::store::{Attestation, Filter};
use crate::supervisor::Snapshot;
use bytes::Bytes;
use proto::Outcome;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What it answers to a lookup of modules.
const FOUND: &[u8] = br#"{"modules":{"os":{"available":true,"location":"/lib/os.py"},"numpy":{"available":false}},"distributions":{"pip":"24.2"}}"#;

struct Running<'r>(&'r AtomicUsize);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Answers with `outcome` and keeps what it was asked for.
pub(crate) struct Fake {
    pub(crate) outcome: Outcome,
    pub(crate) asked: Mutex<Vec<Request>>,
    /// The configurations it was given since the start.
    pub(crate) configs: Mutex<Vec<Config>>,
    /// Executions that were begun and not ended.
    pub(crate) running: AtomicUsize,
}

impl Execute for Fake {
    async fn execute(&self, request: Request) -> Result<Answer, RunError> {
        let busy = matches!(&request.source, Source::Code { text, .. } if text == "busy");
        let hangs = matches!(&request.source, Source::Code { text, .. } if text == "hang");
        let looks_up =
            matches!(&request.source, Source::Code { text, .. } if text.starts_with("_names = "));
        let panics = matches!(&request.source, Source::Code { text, .. } if text == "panic");
        self.asked.lock().unwrap().push(request);
        assert!(!panics, "a stand-in that was told to panic");
        if busy {
            let retry_after = Duration::from_secs(7);
            return Err(Rejected::Busy { running: 1, queued: 2, retry_after }.into());
        }
        if hangs {
            self.running.fetch_add(1, Ordering::SeqCst);
            let _running = Running(&self.running);
            std::future::pending::<()>().await;
        }
        let mut answer = answer(self.outcome.clone());
        if looks_up {
            answer.result = Some(Bytes::from_static(FOUND));
        }
        Ok(answer)
    }

    async fn reconfigure(&self, config: Config) -> bool {
        self.configs.lock().unwrap().push(config);
        true
    }

    fn sessions(&self) -> Vec<crate::sessions::View> {
        Vec::new()
    }

    fn end_session(&self, _: &str) -> bool {
        false
    }

    async fn interrupt_session(
        &self,
        _: &str,
        _: Duration,
    ) -> Result<crate::sessions::Interrupted, crate::error::Rejected> {
        Ok(crate::sessions::Interrupted::Idle)
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            ready: true,
            python_version: "3.13.0".to_owned(),
            preloaded: vec!["json".to_owned()],
            set_aside: vec![("numpy".to_owned(), "starts threads".to_owned())],
            ..Snapshot::default()
        }
    }
}

pub(crate) struct Nothing;

impl Find for Nothing {
    async fn find(&self, filter: Filter) -> Result<Vec<Attestation>, FindError> {
        match filter.subjects.first() {
            Some(subject) => Err(FindError { reason: format!("{subject} is down") }),
            None => Ok(Vec::new()),
        }
    }
}

pub(crate) fn answer(outcome: Outcome) -> Answer {
    Answer {
        execution_id: 7,
        outcome,
        stdout: Captured { bytes: b"Hello, \"World\"!\n\xff".to_vec(), truncated: true },
        stderr: Captured::default(),
        result: Some(Bytes::from_static(b"{\"a\":123456789012345678901234567890}")),
        variables: vec![("x".to_owned(), "'1'".to_owned())],
        declarations: None,
        duration: Duration::from_micros(5999),
        usage: Usage { queued: Duration::from_millis(3), host_calls: 2, ..Usage::default() },
        notes: Vec::new(),
        limit: None,
        weakened: Vec::new(),
        grant: crate::answer::Grant::default(),
    }
}

pub(crate) fn api(outcome: Outcome) -> Api<Fake, Nothing> {
    let config = Config { file_roots: vec!["/srv/scripts".into()], ..Config::default() };
    let settings = Settings::new(config, std::collections::BTreeSet::new(), false);
    let fake = Fake {
        outcome,
        asked: Mutex::default(),
        configs: Mutex::default(),
        running: AtomicUsize::new(0),
    };
    Api::new(fake, Nothing, Arc::new(settings), Arc::default())
}
