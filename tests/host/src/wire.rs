//! The wire, a second time.
//!
//! **Invariant:** typed from the contract on its own. A wrong number, name or
//! type in `crates/proto` meets the right one here.

mod domain;
mod services;
mod store;
mod value;

pub use domain::*;
pub use services::*;
pub use store::*;
pub use value::{Kind, List, Struct, Value};
