//! Makes this crate's binaries and tests find libpython where the build found it, and compiles
//! its Python sources.

/// Each with the name that its code goes by in tracebacks.
const SOURCES: [(&str, &str); 5] = [
    ("src/python/declared.py", "<qntx declared>"),
    ("src/python/errors.py", "<qntx errors>"),
    ("src/python/resolve.py", "<resolve>"),
    ("src/python/qntx/__init__.py", "<qntx>"),
    ("src/python/qntx/_checks.py", "<qntx>"),
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    pyfind::link();
    pyfind::compile(&SOURCES);
}
