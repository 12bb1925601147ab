//! What a host call can fail with, as a script sees it.
//!
//! **Invariant:** every failure has a kind from a closed list, names the call,
//! and says whether the same call may succeed later.

use super::context::CallContext;
use crate::store::{AttributeError, StoreError};
use std::error::Error as _;
use tonic::{Code, Status};

/// The classes of module `qntx` that a failure becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostErrorKind {
    /// The attestation store can't be reached, or answers what makes no sense.
    StoreUnavailable,
    /// The service understood and said no.
    Refused,
    /// A size or a rate beyond what the service takes.
    LimitExceeded,
    /// No answer before the deadline.
    Timeout,
    /// The arguments are wrong.
    InvalidArgument,
    /// The service is not there: not in this set-up, or not at the moment.
    NotAvailable,
}

/// A failed host call.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{call}: {reason}")]
pub struct HostError {
    pub kind: HostErrorKind,
    /// The call's name in Python.
    pub call: String,
    pub reason: String,
    pub retryable: bool,
    /// `attest_many`: how many were created before the failure.
    pub created: u32,
}

impl HostErrorKind {
    /// The name of the exception class.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::StoreUnavailable => "StoreUnavailable",
            Self::Refused => "Refused",
            Self::LimitExceeded => "LimitExceeded",
            Self::Timeout => "Timeout",
            Self::InvalidArgument => "InvalidArgument",
            Self::NotAvailable => "NotAvailable",
        }
    }
}

/// Which of the core's services a call goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    Store,
    Queue,
    Schedule,
    File,
    Llm,
    Embedding,
    VectorSearch,
    Search,
    Ground,
    Fetch,
    Names,
}

impl Service {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Store => "attestation store",
            Self::Queue => "queue",
            Self::Schedule => "schedule service",
            Self::File => "file service",
            Self::Llm => "LLM service",
            Self::Embedding => "embedding service",
            Self::VectorSearch => "vector search service",
            Self::Search => "search service",
            Self::Ground => "ground service",
            Self::Fetch => "fetch service",
            Self::Names => "name service",
        }
    }

    /// The kind of "it can't be reached".
    fn gone(self) -> HostErrorKind {
        match self {
            Self::Store => HostErrorKind::StoreUnavailable,
            Self::Queue
            | Self::Schedule
            | Self::File
            | Self::Llm
            | Self::Embedding
            | Self::VectorSearch
            | Self::Search
            | Self::Ground
            | Self::Fetch
            | Self::Names => HostErrorKind::NotAvailable,
        }
    }
}

/// One call under way: who, which service, until when. Makes its errors.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) name: &'a str,
    pub(super) service: Service,
    pub(super) context: &'a CallContext,
}

impl Call<'_> {
    pub(super) fn error(&self, kind: HostErrorKind, reason: impl Into<String>) -> HostError {
        HostError {
            kind,
            call: self.name.to_owned(),
            reason: reason.into(),
            retryable: false,
            created: 0,
        }
    }

    fn passing(&self, kind: HostErrorKind, reason: impl Into<String>) -> HostError {
        HostError { retryable: true, ..self.error(kind, reason) }
    }

    pub(super) fn invalid(&self, reason: impl Into<String>) -> HostError {
        self.error(HostErrorKind::InvalidArgument, reason)
    }

    /// `success = false` with its text.
    pub(super) fn refused(&self, reason: String) -> HostError {
        let reason = if reason.is_empty() {
            format!("the {} refused without a reason", self.service.name())
        } else {
            reason
        };
        self.error(HostErrorKind::Refused, reason)
    }

    pub(super) fn timeout(&self) -> HostError {
        let reason = format!("the {} did not answer before the deadline", self.service.name());
        self.passing(HostErrorKind::Timeout, reason)
    }

    pub(super) fn absent(&self, why: &str) -> HostError {
        let reason = format!("there is no {}: {why}", self.service.name());
        self.error(HostErrorKind::NotAvailable, reason)
    }

    /// An answer that is no answer.
    pub(super) fn garbage(&self, what: impl std::fmt::Display) -> HostError {
        let reason = format!("the {} answered what makes no sense: {what}", self.service.name());
        self.error(self.service.gone(), reason)
    }

    /// A gRPC error: the service's own, or the transport's.
    pub(super) fn status(&self, status: &Status) -> HostError {
        let text = status.message();
        let name = self.service.name();
        if let Some(cause) = transport_cause(status) {
            // the client's own timer, set from the same deadline
            if cause.is::<tonic::TimeoutExpired>() {
                return self.timeout();
            }
            return self
                .passing(self.service.gone(), format!("the {name} can't be reached: {cause}"));
        }
        match status.code() {
            Code::DeadlineExceeded => self.timeout(),
            Code::Unavailable | Code::Cancelled | Code::Aborted => {
                self.passing(self.service.gone(), format!("the {name} is not available: {text}"))
            }
            Code::ResourceExhausted => self.passing(
                HostErrorKind::LimitExceeded,
                format!("the {name} is at its limit: {text}"),
            ),
            // tonic's word for an answer beyond the decode limit
            Code::OutOfRange => {
                self.error(HostErrorKind::LimitExceeded, format!("the {name}'s answer: {text}"))
            }
            Code::InvalidArgument => self.invalid(text),
            Code::Unimplemented => {
                self.error(HostErrorKind::NotAvailable, format!("the {name} can't do this: {text}"))
            }
            Code::Internal | Code::DataLoss => self.garbage(text),
            Code::Ok
            | Code::Unknown
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::FailedPrecondition => self.refused(text.to_owned()),
        }
    }

    /// The embedded store's failure.
    pub(super) fn store(&self, error: &StoreError) -> HostError {
        if let StoreError::Attribute(attribute) = error {
            return self.attribute(attribute);
        }
        if error.is_callers() {
            return self.refused(error.to_string());
        }
        let reason = match error.source() {
            Some(cause) => format!("{error}: {cause} ({})", error.remedy()),
            None => format!("{error} ({})", error.remedy()),
        };
        let mut failed = self.error(HostErrorKind::StoreUnavailable, reason);
        failed.retryable = error.retryable();
        failed
    }

    pub(super) fn attribute(&self, error: &AttributeError) -> HostError {
        self.invalid(error.to_string())
    }
}

/// The innermost cause of a failure below gRPC; `None` for an answer of the service.
fn transport_cause(status: &Status) -> Option<&(dyn std::error::Error + 'static)> {
    let mut cause = status.source()?;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    Some(cause)
}
