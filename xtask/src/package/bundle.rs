//! The CPython that goes into the archive: the standard library, the shared library and
//! the libraries those need, the C library left out.
//!
//! Left out as well: tests, Tk, IDLE, pip, and the modules whose libraries are under the
//! GPL (readline, gdbm) or need a terminal (curses).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::package::elf;
use crate::python::finder;
use crate::shell::Shell;

/// What of the standard library's folder stays out.
const LEFT_OUT: [&str; 10] = [
    "__pycache__",
    "ensurepip",
    "idlelib",
    "lib2to3",
    "site-packages",
    "dist-packages",
    "test",
    "tkinter",
    "turtle.py",
    "turtledemo",
];

/// Beginnings of the extension modules that stay out.
const EXTENSIONS_LEFT_OUT: [&str; 9] =
    ["_tkinter", "_test", "_ctypes_test", "_xxtest", "xx", "readline", "_curses", "_gdbm", "_dbm"];

/// The C library's own files: every Linux has them, and they have to be its own.
const LIBC: [&str; 10] = [
    "ld-linux",
    "libc.so",
    "libm.so",
    "libdl.so",
    "libpthread.so",
    "librt.so",
    "libutil.so",
    "libresolv.so",
    "libnsl.so",
    "linux-vdso",
];

/// Stands in the bundle for the prefix its CPython was built for.
const PREFIX: &str = "/python";

/// Prefixes that tell nothing of a machine; in them lies more than CPython, too.
const COMMON: [&str; 2] = ["/usr", "/usr/local"];

/// What the interpreter is asked.
const QUESTIONS: &str = "
import os, sys, sysconfig
var = sysconfig.get_config_var
print('%d.%d.%d' % sys.version_info[:3])
print(sys.base_prefix)
print(os.path.dirname(os.__file__))
print(os.path.realpath(os.path.join(var('LIBDIR'), var('INSTSONAME'))))
print(os.path.realpath(sys.executable))
";

/// A CPython, copied.
#[derive(Debug)]
pub(crate) struct Bundle {
    pub(crate) version: String,
    /// File names of the libraries beside libpython.
    pub(crate) libraries: BTreeSet<String>,
}

impl Bundle {
    /// Copies the CPython the build takes to `target`, as a prefix of its own, and beside
    /// it what `plugin` needs besides.
    pub(crate) fn copy(sh: &Shell, plugin: &Path, target: &Path) -> Result<Self> {
        let said = sh.read(sh.command(finder(sh)).args(["-I", "-c", QUESTIONS]))?;
        let lines: Vec<&str> = said.lines().collect();
        let [version, prefix, stdlib, library, executable] = lines[..] else {
            anyhow::bail!("the interpreter answers {said}");
        };
        let short = version.rsplit_once('.').context("no version")?.0;
        ensure!(short == "3.13", "the archive bundles CPython 3.13, and {version} was found");

        let lib = target.join("lib");
        let home = lib.join(format!("python{short}"));
        copy_tree(Path::new(stdlib), &home)?;
        if !COMMON.contains(&prefix) {
            forget_prefix(&home, prefix)?;
        }
        let bin = target.join("bin");
        fs::create_dir_all(&bin)?;
        for name in ["python3".to_owned(), format!("python{short}")] {
            fs::copy(executable, bin.join(name))?;
        }

        let soname = Path::new(library).file_name().context("no library")?;
        fs::copy(library, lib.join(soname))?;
        let mut libraries = BTreeMap::new();
        for file in elf_files(target)? {
            libraries.extend(needed(sh, &file)?);
        }
        libraries.extend(needed(sh, plugin)?);
        libraries.remove(&soname.to_string_lossy().into_owned());
        for (name, path) in &libraries {
            fs::copy(path, lib.join(name)).with_context(|| format!("cannot copy {name}"))?;
        }
        for file in elf_files(target)? {
            sh.read(sh.command("strip").arg("--strip-unneeded").arg(&file))?;
            let mut bytes = fs::read(&file)?;
            elf::forget_run_path(&mut bytes)?;
            if let Some(private) = private(prefix) {
                elf::rename(&mut bytes, private, PREFIX)?;
            }
            fs::write(&file, bytes)?;
        }
        compile(sh, &home)?;
        Ok(Self { version: version.to_owned(), libraries: libraries.into_keys().collect() })
    }
}

/// The part of a prefix that tells of this machine, when there is one to hide. The last
/// component is not in it: linkers let strings share their ends, and `3.13.0` may be the
/// end of `…/versions/3.13.0` and the version that CPython tells.
fn private(prefix: &str) -> Option<&str> {
    let (parent, _) = prefix.rsplit_once('/')?;
    (!COMMON.contains(&prefix) && parent.len() >= PREFIX.len()).then_some(parent)
}

/// The newest glibc that any file under `directory` asks for.
pub(crate) fn glibc_floor(directory: &Path) -> Result<Option<(u32, u32)>> {
    let mut newest = None;
    for file in elf_files(directory)? {
        newest = newest.max(elf::glibc(&fs::read(file)?));
    }
    Ok(newest)
}

/// Copies what is not left out; links become what they point to.
fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if LEFT_OUT.contains(&name.as_str())
            || name.starts_with("config-")
            || Path::new(&name).extension().is_some_and(|e| e == "a" || e == "pyc")
            || (from.ends_with("lib-dynload")
                && EXTENSIONS_LEFT_OUT.iter().any(|begin| name.starts_with(begin)))
        {
            continue;
        }
        if path.is_dir() {
            copy_tree(&path, &to.join(name))?;
        } else if path.is_file() {
            let target = to.join(&name);
            fs::copy(&path, &target)?;
            fs::set_permissions(&target, fs::Permissions::from_mode(0o644))?;
        }
    }
    Ok(())
}

/// sysconfig's data names the prefix CPython was built for: a path of this machine.
fn forget_prefix(home: &Path, prefix: &str) -> Result<()> {
    for entry in fs::read_dir(home)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("_sysconfigdata") {
            let text = fs::read_to_string(&path)?;
            fs::write(&path, text.replace(prefix, PREFIX))?;
        }
    }
    Ok(())
}

/// Compiles the standard library, so that a sandboxed interpreter, which can write no
/// cache, need not do it at every start. Caches marked as unchecked hold no time.
fn compile(sh: &Shell, home: &Path) -> Result<()> {
    let mut command = sh.command(finder(sh));
    command.args(["-m", "compileall", "-q", "-j", "1", "--invalidation-mode", "unchecked-hash"]);
    command.arg("-s").arg(home.parent().unwrap_or(home)).arg(home);
    // Constant sets are written in the order of the hash seed. (-I would ignore it.)
    command.env("PYTHONHASHSEED", "0").env_remove("PYTHONPATH").env_remove("PYTHONHOME");
    sh.read(&mut command).map(|_| ())
}

/// The libraries a file needs and where this machine has them, the C library's left out.
fn needed(sh: &Shell, file: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let output = sh.output(sh.command("ldd").arg(file))?;
    let mut found = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Some((name, path)) = line.trim().split_once(" => ") else { continue };
        if LIBC.iter().any(|begin| name.starts_with(begin)) {
            continue;
        }
        let path = path.split(" (").next().unwrap_or_default();
        ensure!(path.starts_with('/'), "{} needs {name}, which is not here", file.display());
        found.insert(name.to_owned(), PathBuf::from(path));
    }
    Ok(found)
}

/// Every ELF file under `directory`, in order.
fn elf_files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if elf::is_elf64(&fs::read(&path)?) {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::private;

    #[test]
    fn what_cpython_tells_of_itself_is_never_renamed() {
        assert_eq!(private("/home/me/.pyenv/versions/3.13.0"), Some("/home/me/.pyenv/versions"));
        assert_eq!(private("/usr"), None);
        assert_eq!(private("/usr/local"), None);
        assert_eq!(private("/opt/python"), None);
    }
}
