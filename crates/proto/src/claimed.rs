//! What a child sends is an allegation until it has been looked at.
//!
//! **Invariant:** the only way from `Claimed<T>` to `T` is [`Claimed::check`].

use crate::frame::{Done, FromChild, HostCall, Note, from_child, note};
use crate::limits::Limits;

/// A value that came from a child and was not checked yet.
#[derive(Debug, Clone)]
pub struct Claimed<T>(T);

/// Why a claim was not accepted; ends the child that made it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// A frame of another execution or zygote generation: late or forged.
    #[error("a frame of execution {execution} (generation {generation}) arrived here")]
    Stale { generation: u32, execution: u64 },
    /// A frame without a kind this build knows.
    #[error("a frame of unknown kind")]
    Unknown,
    /// A field is larger than the limits of this execution allow.
    #[error("{field} has {actual} bytes or entries, the limit is {limit}")]
    TooLarge { field: &'static str, actual: usize, limit: usize },
}

/// A frame that passed [`Claimed::check`].
#[derive(Debug, Clone, PartialEq)]
pub enum Checked {
    /// The spare is sealed and warm.
    Warm(crate::frame::Warm),
    /// A host call.
    Call(HostCall),
    /// The run has ended.
    Done(Box<Done>),
    /// The SIGSYS handler's word on which syscall was refused.
    Trapped(u32),
    /// progress() or log().
    Note(Note),
}

/// Most bytes of a traceback that are kept.
pub const MAX_TRACEBACK: usize = 256 << 10;
/// Most captured variables.
pub const MAX_VARIABLES: usize = 10_000;
/// Most bytes of a captured variable's repr, cut by the child.
pub const MAX_REPR: usize = 4 << 10;
/// Most bytes of a host call's arguments: what the core's services accept.
pub const MAX_ARGS: usize = 5 << 20;
/// Most bytes of a log line.
pub const MAX_LOG: usize = 64 << 10;

impl Claimed<FromChild> {
    /// Wraps a decoded frame.
    #[must_use]
    pub fn new(frame: FromChild) -> Self {
        Self(frame)
    }

    /// The frame, when it belongs to `execution` under `generation` and stays
    /// within `limits`.
    pub fn check(
        self,
        generation: u32,
        execution: u64,
        limits: &Limits,
    ) -> Result<Checked, ClaimError> {
        let frame = self.0;
        if frame.generation != generation || frame.execution != execution {
            return Err(ClaimError::Stale {
                generation: frame.generation,
                execution: frame.execution,
            });
        }
        match frame.kind {
            Some(from_child::Kind::Warm(warm)) => Ok(Checked::Warm(warm)),
            Some(from_child::Kind::Call(call)) => {
                within("call.name", call.name.len(), 64)?;
                within("call.args", call.args.len(), MAX_ARGS)?;
                Ok(Checked::Call(call))
            }
            Some(from_child::Kind::Done(done)) => {
                within("result", done.result.as_ref().map_or(0, Vec::len), limits.result_bytes)?;
                within("variables", done.variables.len(), MAX_VARIABLES)?;
                for variable in &done.variables {
                    within("variable.name", variable.name.len(), MAX_REPR)?;
                    within("variable.repr", variable.repr.len(), MAX_REPR)?;
                }
                if let Some(crate::frame::done::End::Raised(raised)) = &done.end {
                    within("traceback", raised.traceback.len(), MAX_TRACEBACK)?;
                    within("message", raised.message.len(), MAX_TRACEBACK)?;
                }
                within("imported", done.imported.len(), MAX_VARIABLES)?;
                Ok(Checked::Done(Box::new(done)))
            }
            Some(from_child::Kind::Trapped(trapped)) => Ok(Checked::Trapped(trapped.syscall)),
            Some(from_child::Kind::Note(n)) => {
                match &n.kind {
                    Some(note::Kind::Log(log)) => {
                        within("log.message", log.message.len(), MAX_LOG)?;
                        within("log.fields", log.fields.len(), MAX_LOG)?;
                        within("log.level", log.level.len(), 16)?;
                        within("log.stage", log.stage.len(), 256)?;
                    }
                    Some(note::Kind::Progress(p)) => {
                        within("progress.message", p.message.len(), MAX_LOG)?;
                    }
                    None => return Err(ClaimError::Unknown),
                }
                Ok(Checked::Note(n))
            }
            None => Err(ClaimError::Unknown),
        }
    }
}

fn within(field: &'static str, actual: usize, limit: usize) -> Result<(), ClaimError> {
    if actual > limit { Err(ClaimError::TooLarge { field, actual, limit }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{FromChild, from_child};

    fn done(result: usize) -> Claimed<FromChild> {
        Claimed::new(FromChild {
            generation: 2,
            execution: 7,
            kind: Some(from_child::Kind::Done(Done {
                result: Some(vec![b'1'; result]),
                ..Done::default()
            })),
        })
    }

    #[test]
    fn a_frame_of_another_execution_is_stale() {
        let limits = Limits::default();
        assert!(matches!(done(1).check(2, 8, &limits), Err(ClaimError::Stale { .. })));
        assert!(matches!(done(1).check(1, 7, &limits), Err(ClaimError::Stale { .. })));
        assert!(done(1).check(2, 7, &limits).is_ok());
    }

    #[test]
    fn a_result_above_the_limit_is_refused() {
        let limits = Limits { result_bytes: 10, ..Limits::default() };
        assert_eq!(
            done(11).check(2, 7, &limits),
            Err(ClaimError::TooLarge { field: "result", actual: 11, limit: 10 })
        );
    }

    #[test]
    fn a_frame_without_a_kind_is_refused() {
        let empty = Claimed::new(FromChild { generation: 2, execution: 7, kind: None });
        assert_eq!(empty.check(2, 7, &Limits::default()), Err(ClaimError::Unknown));
    }
}
