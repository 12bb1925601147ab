//! What can be made to go wrong with a service.
//!
//! **Invariant:** without a fault a service behaves as the contract says.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// One service's present illness.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Fault {
    #[default]
    None,
    /// Answers correctly, but late.
    Slow(Duration),
    /// `success = false` with this text; a gRPC error where there is no such field.
    Refuse(String),
    /// The right protocol, the wrong bytes.
    Garbage,
    /// Takes the request and never answers.
    Hang,
}

/// The illness, to be set from a scenario.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<Fault>>);

impl Faults {
    pub fn set(&self, fault: Fault) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    #[must_use]
    pub fn get(&self) -> Fault {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
