//! What the build found is what the linked library is, and it is found without help.

use pyo3::prelude::*;

#[test]
fn the_linked_library_is_the_one_the_build_found() {
    Python::initialize();
    Python::attach(|py| {
        let sys = py.import("sys").expect("sys");
        let version: String = sys.getattr("version").and_then(|v| v.extract()).expect("text");
        let found = version.split_whitespace().next();
        assert_eq!(found, Some(env!("QNTX_PYTHON_BUILD_VERSION")));
    });
}
