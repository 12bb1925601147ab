//! What the build found is what the linked library is, and it is found without help.

use std::ffi::CStr;

#[test]
fn the_linked_library_is_the_one_the_build_found() {
    #[expect(unsafe_code, reason = "the C API's only way to ask before start-up")]
    // SAFETY: Py_GetVersion may be called at any time and returns a static, NUL-terminated string.
    let version = unsafe { CStr::from_ptr(pyo3::ffi::Py_GetVersion()) };
    let found = version.to_string_lossy();
    let found = found.split_whitespace().next();
    assert_eq!(found, Some(env!("QNTX_PYTHON_BUILD_VERSION")));
}
