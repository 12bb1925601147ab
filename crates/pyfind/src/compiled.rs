//! Python sources of ours, compiled by the interpreter the build was configured with.

use std::env;
use std::path::PathBuf;
use std::process::Command;

/// For each source: what the interpreter's byte code is called, then the code itself, without
/// shared references where it can be written so: which objects are shared is not always the same.
const COMPILE: &str = "
import importlib.util, marshal, os, sys
for name, file, out in zip(*[iter(sys.argv[1:])] * 3):
    with open(name, encoding='utf-8') as source:
        code = compile(source.read(), file, 'exec', dont_inherit=True)
    try:
        code = marshal.dumps(code, 2)
    except ValueError:
        code = marshal.dumps(code)
    os.makedirs(os.path.dirname(out), exist_ok=True)
    with open(out, 'wb') as compiled:
        compiled.write(importlib.util.MAGIC_NUMBER + code)
";

/// Compiles each source, a file relative to the crate, under the file name that tracebacks give
/// it. `a/b.py` becomes `$OUT_DIR/a/b.py.code`: `importlib.util.MAGIC_NUMBER`, then what
/// `marshal` reads.
///
/// # Panics
/// When the interpreter does not compile one; its own words are shown.
pub fn compile(sources: &[(&str, &str)]) {
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let python = pyo3_build_config::get().executable().unwrap_or_default().to_owned();
    let mut command = Command::new(&python);
    command.args(["-I", "-S", "-c", COMPILE]);
    for (source, file) in sources {
        println!("cargo::rerun-if-changed={source}");
        command.args([source, file]).arg(out.join(format!("{source}.code")));
    }
    match command.output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => panic!(
            "{python} does not compile our sources ({}):\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(error) => panic!("{python} can't be run: {error}"),
    }
}
