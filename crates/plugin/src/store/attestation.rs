//! What is attested, asked for and found: the domain's words, free of any wire.
//!
//! **Invariant:** an [`Attestation`] here is complete (id, times, at least one
//! predicate and context); a [`Command`] is what a caller wants and carries
//! neither id nor signature.

use super::attributes::{self, AttributeError, Attributes};
use proto::protocol as wire;
use serde::Serialize;

/// The core's spelling of "no time at all": Go's zero time as Unix milliseconds.
const GO_ZERO_MS: i64 = -62_135_596_800_000;

/// One stored statement: who says what of whom, in which context, and when.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Attestation {
    pub id: String,
    pub subjects: Vec<String>,
    pub predicates: Vec<String>,
    pub contexts: Vec<String>,
    pub actors: Vec<String>,
    /// When it is said to hold; Unix milliseconds.
    pub timestamp: i64,
    pub source: String,
    pub attributes: Attributes,
    /// When the store took it; Unix milliseconds.
    pub created_at: i64,
    /// Ed25519 over canonical JSON; empty from the embedded store, which has no
    /// node key to sign with.
    #[serde(skip)]
    pub signature: Vec<u8>,
    #[serde(skip)]
    pub signer_did: String,
}

/// A wish to attest. The store adds id, actors and times.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Command {
    pub subjects: Vec<String>,
    pub predicates: Vec<String>,
    pub contexts: Vec<String>,
    /// Sent for the record: every store of today replaces them by `[id]`.
    pub actors: Vec<String>,
    /// Unix milliseconds; `None` or 0 is now.
    pub timestamp: Option<i64>,
    pub attributes: Attributes,
    pub source: String,
    /// Stored as the attribute `source_version`.
    pub source_version: String,
}

/// Which attestations: any value within a list suffices, all lists that are
/// not empty have to match.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    pub subjects: Vec<String>,
    pub predicates: Vec<String>,
    pub contexts: Vec<String>,
    pub actors: Vec<String>,
    /// On `timestamp`, inclusive; Unix milliseconds.
    pub time_start: Option<i64>,
    pub time_end: Option<i64>,
    /// `None` or 0 is everything.
    pub limit: Option<u32>,
}

/// Whether `ms` is one of the ways to say "no time": 0, or Go's year 1.
#[must_use]
pub fn is_zero_time(ms: i64) -> bool {
    ms == 0 || ms <= GO_ZERO_MS
}

impl Attestation {
    /// The time to order by: `timestamp`, or the store's own clock where the
    /// writer gave none. Zero when neither knows; then only the store's order
    /// is left.
    #[must_use]
    pub fn effective_time(&self) -> i64 {
        match (is_zero_time(self.timestamp), is_zero_time(self.created_at)) {
            (false, _) => self.timestamp,
            (true, false) => self.created_at,
            (true, true) => 0,
        }
    }
}

impl From<Attestation> for wire::Attestation {
    fn from(a: Attestation) -> Self {
        Self {
            id: a.id,
            subjects: a.subjects,
            predicates: a.predicates,
            contexts: a.contexts,
            actors: a.actors,
            timestamp: a.timestamp,
            source: a.source,
            attributes: Some(attributes::to_struct(&a.attributes)),
            created_at: a.created_at,
            signature: a.signature,
            signer_did: a.signer_did,
        }
    }
}

impl TryFrom<wire::Attestation> for Attestation {
    type Error = AttributeError;

    fn try_from(a: wire::Attestation) -> Result<Self, AttributeError> {
        Ok(Self {
            id: a.id,
            subjects: a.subjects,
            predicates: a.predicates,
            contexts: a.contexts,
            actors: a.actors,
            timestamp: a.timestamp,
            source: a.source,
            attributes: a.attributes.map(attributes::from_struct).transpose()?.unwrap_or_default(),
            created_at: a.created_at,
            signature: a.signature,
            signer_did: a.signer_did,
        })
    }
}

impl From<Command> for wire::AttestationCommand {
    fn from(c: Command) -> Self {
        let attributes = (!c.attributes.is_empty()).then(|| attributes::to_struct(&c.attributes));
        Self {
            subjects: c.subjects,
            predicates: c.predicates,
            contexts: c.contexts,
            actors: c.actors,
            timestamp: c.timestamp.filter(|ms| *ms != 0),
            attributes,
            source: c.source,
            source_version: c.source_version,
        }
    }
}

impl TryFrom<wire::AttestationCommand> for Command {
    type Error = AttributeError;

    fn try_from(c: wire::AttestationCommand) -> Result<Self, AttributeError> {
        Ok(Self {
            subjects: c.subjects,
            predicates: c.predicates,
            contexts: c.contexts,
            actors: c.actors,
            timestamp: c.timestamp,
            attributes: c.attributes.map(attributes::from_struct).transpose()?.unwrap_or_default(),
            source: c.source,
            source_version: c.source_version,
        })
    }
}

impl From<Filter> for wire::AttestationFilter {
    fn from(f: Filter) -> Self {
        Self {
            subjects: f.subjects,
            predicates: f.predicates,
            contexts: f.contexts,
            actors: f.actors,
            time_start: f.time_start,
            time_end: f.time_end,
            // Absent is everything as well, and a core may read that as nothing asked for.
            limit: Some(f.limit.map_or(i32::MAX, |n| i32::try_from(n).unwrap_or(i32::MAX))),
        }
    }
}

impl From<wire::AttestationFilter> for Filter {
    fn from(f: wire::AttestationFilter) -> Self {
        Self {
            subjects: f.subjects,
            predicates: f.predicates,
            contexts: f.contexts,
            actors: f.actors,
            time_start: f.time_start,
            time_end: f.time_end,
            // a negative limit has no meaning; like 0 it is no limit
            limit: f.limit.and_then(|n| u32::try_from(n).ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(timestamp: i64, created_at: i64) -> i64 {
        Attestation {
            id: String::new(),
            subjects: vec![],
            predicates: vec![],
            contexts: vec![],
            actors: vec![],
            timestamp,
            source: String::new(),
            attributes: Attributes::new(),
            created_at,
            signature: vec![],
            signer_did: String::new(),
        }
        .effective_time()
    }

    #[test]
    fn a_query_always_sends_a_limit() {
        for (wanted, sent) in [(None, i32::MAX), (Some(7), 7), (Some(u32::MAX), i32::MAX)] {
            let filter = Filter { limit: wanted, ..Filter::default() };
            assert_eq!(wire::AttestationFilter::from(filter).limit, Some(sent));
        }
    }

    #[test]
    fn a_zero_timestamp_takes_the_stores_clock() {
        assert_eq!(at(5, 9), 5);
        assert_eq!(at(0, 9), 9);
        assert_eq!(at(GO_ZERO_MS, 9), 9);
        assert_eq!(at(GO_ZERO_MS, GO_ZERO_MS), 0);
        assert_eq!(at(-1, 9), -1, "one millisecond before 1970 is a time like any other");
    }
}
