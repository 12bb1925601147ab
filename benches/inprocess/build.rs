//! Makes the yardstick find libpython where the build found it.

fn main() {
    pyfind::link();
}
