//! What uv may reach of the machine, and how that is told to the process that
//! becomes uv.
//!
//! **Invariant:** uv writes in the staging directory and its cache alone; home
//! directories, `/etc` and the environments are not among what it reads, but
//! for the files that certificates and names of hosts are found by.

use sandbox::tool::ToolPolicy;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Read beside [`sandbox::SYSTEM_READ_PATHS`]: `(path, why)`.
const READ: [(&str, &str); 13] = [
    ("/usr", "libraries, certificates, the system's Python"),
    ("/bin", "uv reads /bin/sh to learn which libc there is"),
    ("/etc/ca-certificates", "certificates on Arch"),
    ("/etc/static/ssl", "certificates on NixOS"),
    ("/etc/resolv.conf", "names of hosts"),
    ("/etc/hosts", "names of hosts"),
    ("/etc/nsswitch.conf", "names of hosts"),
    ("/etc/host.conf", "names of hosts"),
    ("/etc/gai.conf", "which of a host's addresses is preferred"),
    ("/etc/services", "names of ports"),
    ("/etc/protocols", "names of protocols"),
    ("/etc/debian_version", "uv tells the index which system it runs on"),
    ("/etc/lsb-release", "uv tells the index which system it runs on"),
];

/// Where the loader of a dynamic program is: executed along with it.
const LOADERS: [&str; 5] = ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/nix/store"];

/// The confinement of one run of uv.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cage {
    pub read: Vec<PathBuf>,
    pub run: Vec<PathBuf>,
    pub write: Vec<PathBuf>,
    /// Packages are built: the system's programs, and what a build made, may be run.
    pub builds: bool,
    pub abi_cap: Option<u32>,
    pub allow_weak: bool,
}

impl Cage {
    /// For `program` (uv) with `python`, the interpreter that wheels have to fit.
    #[must_use]
    pub fn of(program: &Path, python: &Path, builds: bool) -> Self {
        let mut read: Vec<PathBuf> = sandbox::default_read_paths();
        read.extend(READ.iter().map(|(path, _)| PathBuf::from(path)));
        read.extend(crate::env::certificates());
        // In a virtual environment there are two: its own, and the one it was made from.
        let real = python.canonicalize().unwrap_or_else(|_| python.to_owned());
        for python in [python, &real] {
            read.extend(python.parent().and_then(Path::parent).map(Path::to_owned));
        }
        let mut run = vec![program.to_owned(), python.to_owned(), real];
        run.extend(LOADERS.map(PathBuf::from));
        if builds {
            run.extend(["/usr", "/bin", "/sbin"].map(PathBuf::from));
            run.extend(read.iter().filter(|path| !path.starts_with("/etc")).cloned());
        }
        Self { read, run, builds, ..Self::default() }
    }

    /// The words that [`Cage::read_words`] reads, up to the `--` that ends them.
    #[must_use]
    pub fn words(&self) -> Vec<OsString> {
        let mut words = Vec::new();
        for (name, paths) in
            [("--read", &self.read), ("--run", &self.run), ("--write", &self.write)]
        {
            words.extend(paths.iter().flat_map(|path| [name.into(), path.clone().into()]));
        }
        for (name, set) in [("--builds", self.builds), ("--allow-weak", self.allow_weak)] {
            words.extend(set.then(|| name.into()));
        }
        if let Some(cap) = self.abi_cap {
            words.extend(["--abi-cap".into(), cap.to_string().into()]);
        }
        words.push("--".into());
        words
    }

    /// Reads [`Cage::words`]; the program and its arguments are left in `words`.
    pub fn read_words(words: &mut impl Iterator<Item = OsString>) -> Option<Self> {
        let mut cage = Self::default();
        loop {
            match words.next()?.to_str()? {
                "--" => return Some(cage),
                "--read" => cage.read.push(words.next()?.into()),
                "--run" => cage.run.push(words.next()?.into()),
                "--write" => cage.write.push(words.next()?.into()),
                "--builds" => cage.builds = true,
                "--allow-weak" => cage.allow_weak = true,
                "--abi-cap" => cage.abi_cap = Some(words.next()?.to_str()?.parse().ok()?),
                _ => return None,
            }
        }
    }

    /// The same as the sandbox takes it.
    #[must_use]
    pub fn policy(self) -> ToolPolicy {
        ToolPolicy {
            read: self.read,
            run: self.run,
            write: self.write,
            run_written: self.builds,
            landlock_abi_cap: self.abi_cap,
            allow_weak: self.allow_weak,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_what_is_understood() {
        let mut cage = Cage::of(Path::new("/opt/uv"), Path::new("/opt/py/bin/python3.13"), true);
        cage.write = vec!["/a b".into(), "--".into()];
        cage.abi_cap = Some(3);
        let mut words = cage.words().into_iter().chain(["uv".into(), "--read".into()]);
        assert_eq!(Cage::read_words(&mut words), Some(cage));
        assert_eq!(words.collect::<Vec<_>>(), ["uv", "--read"]);
        assert_eq!(Cage::read_words(&mut ["--colour".into()].into_iter()), None);
        assert_eq!(Cage::read_words(&mut std::iter::empty()), None);
    }

    #[test]
    fn without_builds_nothing_runs_but_uv_and_python() {
        let cage = Cage::of(Path::new("/opt/uv"), Path::new("/opt/py/bin/python3.13"), false);
        assert!(cage.read.contains(&PathBuf::from("/opt/py")));
        for path in ["/usr", "/bin", "/usr/bin", "/opt/py"] {
            assert!(!cage.run.contains(&PathBuf::from(path)), "{path}");
        }
        for private in ["/", "/etc", "/home", "/root", "/proc", "/tmp", "/var", "/run", "/dev"] {
            assert!(!cage.read.contains(&PathBuf::from(private)), "{private}");
        }
    }
}
