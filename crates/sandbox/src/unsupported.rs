//! The same interface on systems without Landlock and seccomp.
//!
//! **Invariant:** nothing here ever succeeds, so nothing runs unconfined by accident.
