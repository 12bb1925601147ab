//! What the build found is what the linked library is, and it is found without help.

use pyo3::Python;

#[test]
fn the_linked_library_is_the_one_the_build_found() {
    Python::initialize();
    Python::attach(|py| {
        let found = py.version_str().split_whitespace().next();
        assert_eq!(found, Some(env!("QNTX_PYTHON_BUILD_VERSION")));
    });
}
