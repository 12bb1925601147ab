//! The interpreter side: the zygote and its children.
//!
//! One thread, blocking, no async runtime. The same binary as the supervisor,
//! re-executed with [`proto::ZYGOTE_ARG`].
//!
//! **Invariant:** a zygote never runs user code and has one thread whenever it
//! forks; a child talks to the supervisor and to nobody else.

pub mod channel;
pub mod child;
pub mod convert;
pub mod errors;
pub mod execute;
pub mod ffi;
pub mod hints;
pub mod interpreter;
pub mod learned;
pub mod link;
pub mod natives;
pub mod pages;
pub mod qntx;
pub mod scout;
mod source;
pub mod tail;
pub mod text;
pub mod variables;
pub mod zygote;

pub use proto::ZYGOTE_ARG;
pub use zygote::zygote_main;
