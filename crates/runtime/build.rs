//! Makes this crate's binaries and tests find libpython where the build found it.

fn main() {
    pyfind::link();
}
