//! The services against in-process servers that behave, misbehave and vanish.
