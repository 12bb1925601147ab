//! The raw CPython and libc calls of the interpreter side.
//!
//! **Invariant:** the only module of this crate with `unsafe`; everything it
//! exports is safe to call as documented.
#![expect(unsafe_code, reason = "CPython's initialisation and fork API is C")]

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod heap;
#[cfg(target_os = "linux")]
mod huge;

#[cfg(not(target_os = "linux"))]
pub use elsewhere::{collapse, gather, give_back, make_huge, populate, prepare_heap};
#[cfg(target_os = "linux")]
pub use heap::{gather, give_back, prepare_heap};
#[cfg(target_os = "linux")]
pub use huge::{collapse, make_huge, populate};
use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::{CStr, CString};
use std::path::PathBuf;

/// Why CPython did not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("CPython did not start: {function}: {reason}")]
pub struct InitError {
    pub function: String,
    pub reason: String,
}

/// How CPython is to be started. No environment variable, no command line, no
/// site, no user directory has a say (PEP 587, isolated configuration).
#[derive(Debug, Clone, Default)]
pub struct Start {
    /// `sys.prefix`; its `lib/pythonX.Y` is the standard library.
    pub home: Option<PathBuf>,
    /// `sys.executable`: told to programs, never run by us.
    pub executable: Option<PathBuf>,
}

/// Starts CPython on the calling thread, which stays attached to it.
///
/// Must be called once per process, before any other use of pyo3.
pub fn initialize(start: &Start) -> Result<(), InitError> {
    let mut pre = std::mem::MaybeUninit::<ffi::PyPreConfig>::uninit();
    // SAFETY: the pointer is to a live, writable PyPreConfig, which the callee fills.
    unsafe { ffi::PyPreConfig_InitIsolatedConfig(pre.as_mut_ptr()) };
    // SAFETY: PyPreConfig_InitIsolatedConfig has written every field.
    let mut pre = unsafe { pre.assume_init() };
    pre.utf8_mode = 1;
    // SAFETY: `pre` was initialised above; pre-initialising twice is allowed and a no-op.
    check(unsafe { ffi::Py_PreInitialize(&raw const pre) })?;

    let mut config = std::mem::MaybeUninit::<ffi::PyConfig>::uninit();
    // SAFETY: the pointer is to a live, writable PyConfig, which the callee fills.
    unsafe { ffi::PyConfig_InitIsolatedConfig(config.as_mut_ptr()) };
    // SAFETY: PyConfig_InitIsolatedConfig has written every field.
    let mut config = unsafe { config.assume_init() };
    config.site_import = 0;
    config.write_bytecode = 0;
    config.parse_argv = 0;
    config.install_signal_handlers = 1;
    // What was printed before a kill has to be in the pipe already.
    config.buffered_stdio = 0;
    config.pathconfig_warnings = 0;
    let result = set_strings(&mut config, start).and_then(|()| {
        // SAFETY: `config` was initialised above and no interpreter runs in this process yet.
        check(unsafe { ffi::Py_InitializeFromConfig(&raw const config) })
    });
    // SAFETY: `config` was initialised above; clearing releases the strings set on it.
    unsafe { ffi::PyConfig_Clear(&raw mut config) };
    result
}

fn set_strings(config: &mut ffi::PyConfig, start: &Start) -> Result<(), InitError> {
    config.stdio_encoding = set(config, config.stdio_encoding, "utf-8")?;
    config.stdio_errors = set(config, config.stdio_errors, "replace")?;
    if let Some(path) = &start.home {
        config.home = set(config, config.home, &path.to_string_lossy())?;
    }
    if let Some(path) = &start.executable {
        let path = path.to_string_lossy();
        config.executable = set(config, config.executable, &path)?;
        config.program_name = set(config, config.program_name, &path)?;
    }
    Ok(())
}

/// The new value of a string field of `config` whose value is `old`.
fn set(
    config: &mut ffi::PyConfig,
    old: *mut libc::wchar_t,
    value: &str,
) -> Result<*mut libc::wchar_t, InitError> {
    let text = CString::new(value).map_err(|_| InitError {
        function: "PyConfig_SetBytesString".to_owned(),
        reason: format!("`{value}` has a NUL byte"),
    })?;
    let mut field = old;
    // SAFETY: `config` is initialised; `field` is NULL or a string the callee allocated for it, and
    // is replaced by a new one; `text` is NUL-terminated and copied.
    check(unsafe { ffi::PyConfig_SetBytesString(config, &raw mut field, text.as_ptr()) })?;
    Ok(field)
}

fn check(status: ffi::PyStatus) -> Result<(), InitError> {
    // SAFETY: PyStatus is a plain value.
    if unsafe { ffi::PyStatus_Exception(status) } == 0 {
        return Ok(());
    }
    Err(InitError { function: text(status.func), reason: text(status.err_msg) })
}

fn text(pointer: *const std::ffi::c_char) -> String {
    if pointer.is_null() {
        return "unknown".to_owned();
    }
    // SAFETY: PyStatus' strings are NUL-terminated literals of libpython.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

/// The file libpython was loaded from, as the dynamic linker knows it.
#[must_use]
pub fn libpython_path() -> Option<PathBuf> {
    let mut info = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    let address = ffi::Py_InitializeFromConfig as *const libc::c_void;
    // SAFETY: dladdr only looks the address up and fills `info`, which is live.
    if unsafe { libc::dladdr(address, info.as_mut_ptr()) } == 0 {
        return None;
    }
    // SAFETY: zeroed, which is a valid Dl_info, and then filled.
    let info = unsafe { info.assume_init() };
    if info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: dladdr's file name is NUL-terminated and lives as long as the library is loaded.
    let name = unsafe { CStr::from_ptr(info.dli_fname) };
    Some(PathBuf::from(name.to_string_lossy().into_owned()))
}

/// `(major, minor)` of the libpython that is loaded; needs no interpreter.
#[must_use]
pub fn library_version() -> (u8, u8) {
    // SAFETY: Py_GetVersion returns a static string and may be called before initialisation.
    let version = text(unsafe { ffi::Py_GetVersion() });
    let mut parts = version.split(['.', ' ']).map_while(|part| part.parse::<u8>().ok());
    (parts.next().unwrap_or(3), parts.next().unwrap_or(0))
}

/// To be called before a fork, in the parent (CPython refuses to repair a
/// child whose fork it was not told of).
pub fn before_fork(_py: Python<'_>) {
    // SAFETY: the caller is attached, as the token proves.
    unsafe { ffi::PyOS_BeforeFork() }
}

/// To be called after a fork, in the parent.
pub fn after_fork_parent(_py: Python<'_>) {
    // SAFETY: the caller is attached, as the token proves, and called `before_fork`.
    unsafe { ffi::PyOS_AfterFork_Parent() }
}

/// To be called after a fork, in the child.
pub fn after_fork_child(_py: Python<'_>) {
    // SAFETY: the caller is the forked thread, attached, and its parent called `before_fork`.
    unsafe { ffi::PyOS_AfterFork_Child() }
}

/// Flushes C's stdio buffers: `puts` from an extension is lost on `_exit` otherwise.
pub fn flush_c_stdio() {
    // SAFETY: fflush(NULL) flushes every open output stream and takes no pointer.
    unsafe { libc::fflush(std::ptr::null_mut()) };
}

/// Ends the process at once, without any destructor or `atexit` of C.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit never returns and touches no memory of ours.
    unsafe { libc::_exit(code) }
}

/// Runs a code object in `globals`; the value of an expression, None of a module.
pub fn eval_code(
    py: Python<'_>,
    code: &Py<PyAny>,
    globals: &pyo3::Bound<'_, pyo3::types::PyDict>,
) -> pyo3::PyResult<Py<PyAny>> {
    // SAFETY: the code object and the dictionary are live for the call, and the caller is attached.
    let value = unsafe { ffi::PyEval_EvalCode(code.as_ptr(), globals.as_ptr(), globals.as_ptr()) };
    // SAFETY: PyEval_EvalCode returns a new reference, or NULL with an exception set.
    unsafe { pyo3::Bound::from_owned_ptr_or_err(py, value) }.map(pyo3::Bound::unbind)
}

/// Peak resident memory of this process in KiB.
#[must_use]
pub fn max_rss_kib() -> u64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: getrusage fills the struct it is given, which is live.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) };
    // SAFETY: zeroed, which is a valid rusage, whether or not the call succeeded.
    let usage = unsafe { usage.assume_init() };
    u64::try_from(usage.ru_maxrss).unwrap_or(0)
}

/// What marks an object as immortal (PEP 683), by the version of the library; `None` where
/// there is no such mark, or not one that is known here.
#[derive(Clone, Copy)]
enum Mark {
    /// 3.12, 3.13: the whole word of the count.
    Word(u64),
    /// 3.14: its lower half; the upper one holds flags.
    Half(u32),
}

fn mark(py: Python<'_>) -> Option<Mark> {
    let free_threaded =
        py.import("sys").ok()?.getattr("abiflags").ok()?.extract::<String>().ok()?.contains('t');
    if free_threaded || cfg!(not(all(target_pointer_width = "64", target_endian = "little"))) {
        return None;
    }
    // Each differs by a bit that does not matter from what CPython itself writes, so that
    // objects met before are told from those that were immortal from the start.
    match library_version() {
        (3, 12 | 13) => Some(Mark::Word(0x1_FFFF_FFFF)),
        (3, 14) => Some(Mark::Half(3 << 30 | 1)),
        _ => None,
    }
}

/// Makes every object there is immortal: a child that uses one writes no reference count then,
/// and so copies no page for it. How many; 0 where the library knows no immortality.
///
/// Nothing alive now is ever freed afterwards. For a zygote that is about to fork.
pub fn immortalise(py: Python<'_>) -> pyo3::PyResult<usize> {
    let Some(mark) = mark(py) else { return Ok(0) };
    let roots = py.import("gc")?.call_method0("get_objects")?;
    let mut found = Found { mark, pending: Vec::new(), count: 0 };
    for root in roots.try_iter()? {
        found.see(root?.as_ptr());
    }
    while let Some(object) = found.pending.pop() {
        found.look_into(object);
    }
    Ok(found.count)
}

/// Objects met on a walk.
struct Found {
    mark: Mark,
    pending: Vec<*mut ffi::PyObject>,
    count: usize,
}

impl Found {
    /// Marks `object`, a live one or null, and remembers to look into it.
    fn see(&mut self, object: *mut ffi::PyObject) {
        if object.is_null() {
            return;
        }
        let marked = match self.mark {
            // SAFETY: a live object, whose reference count is its first eight bytes in these
            // versions.
            Mark::Word(word) => unsafe { object.cast::<u64>().read() == word },
            // SAFETY: as above, the count being the first four bytes.
            Mark::Half(half) => unsafe { object.cast::<u32>().read() == half },
        };
        if marked {
            return;
        }
        match self.mark {
            // SAFETY: as above; the caller is attached, so nobody else writes it.
            Mark::Word(word) => unsafe { object.cast::<u64>().write(word) },
            // SAFETY: as above.
            Mark::Half(half) => unsafe { object.cast::<u32>().write(half) },
        }
        self.count += 1;
        self.pending.push(object);
    }

    /// Sees what `object`, a live one, refers to.
    fn look_into(&mut self, object: *mut ffi::PyObject) {
        // SAFETY: the object is live.
        let class = unsafe { ffi::Py_TYPE(object) };
        self.see(class.cast());
        // SAFETY: the object is live. Static types say no here, and must not be traversed.
        if unsafe { ffi::PyObject_IS_GC(object) } != 0 {
            // SAFETY: a live object's type is live.
            if let Some(traverse) = unsafe { (*class).tp_traverse } {
                // SAFETY: `visit` has the signature of a visitor, and its argument is `self`.
                unsafe { traverse(object, visit, std::ptr::from_mut(self).cast()) };
            }
        }
        // SAFETY: the object is live.
        if unsafe { ffi::PyCode_Check(object) } != 0 {
            for name in [
                c"co_consts",
                c"co_names",
                c"co_varnames",
                c"co_filename",
                c"co_name",
                c"co_qualname",
                c"co_linetable",
                c"co_exceptiontable",
            ] {
                self.see_attribute(object, name);
            }
        }
        // SAFETY: the object is live.
        if unsafe { ffi::PyType_Check(object) } != 0 {
            for name in [c"__mro__", c"__bases__"] {
                self.see_attribute(object, name);
            }
        }
    }

    fn see_attribute(&mut self, object: *mut ffi::PyObject, name: &CStr) {
        // SAFETY: the object is live and the name NUL-terminated.
        let value = unsafe { ffi::PyObject_GetAttrString(object, name.as_ptr()) };
        if value.is_null() {
            // SAFETY: the caller is attached. Not every version has every attribute.
            unsafe { ffi::PyErr_Clear() };
        }
        // The reference is kept: it will be immortal.
        self.see(value);
    }
}

extern "C" fn visit(object: *mut ffi::PyObject, found: *mut libc::c_void) -> libc::c_int {
    // SAFETY: the argument that `look_into` passed, which is not used elsewhere meanwhile.
    let found = unsafe { &mut *found.cast::<Found>() };
    found.see(object);
    0
}
