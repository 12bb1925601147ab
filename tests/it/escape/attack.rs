//! One attack: its header and its code.

use serde_json::Value;
use std::path::{Path, PathBuf};

/// Put in front of every attack.
const PRELUDE: &str = include_str!("../../escape/_prelude.py");

/// A file of the corpus.
#[derive(Debug, Clone)]
pub(crate) struct Attack {
    pub(crate) name: String,
    pub(crate) title: String,
    /// Row of the list it comes from, or `own`.
    pub(crate) row: String,
    pub(crate) layer: String,
    pub(crate) bare: BareExpect,
    /// The same, where an unprivileged user gets something else.
    pub(crate) bare_unprivileged: Option<BareExpect>,
    pub(crate) sandboxed: Expect,
    /// The same, where the machine grants scratch directories no file system of their own.
    pub(crate) sandboxed_unmounted: Option<Expect>,
    /// What the bare run has to have touched.
    pub(crate) canary: Option<String>,
    pub(crate) limits: Option<Value>,
    pub(crate) timeout: f64,
    /// Run so many times, the last one counts.
    pub(crate) runs: usize,
    pub(crate) code: String,
}

/// What an attack comes to outside the sandbox.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum BareExpect {
    Comes(Value),
    /// Can't be shown on the machine the corpus was written on: why.
    NotShown(String),
}

/// What it must come to inside.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expect {
    /// `_result`; `true` when it is a success that the model accepts.
    Result(Value, bool),
    /// An outcome other than a value, with the signal or system call it names.
    Outcome(String, Option<String>),
}

impl Attack {
    /// The whole corpus, by name.
    pub(crate) fn all() -> Vec<Self> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/escape");
        let mut files: Vec<PathBuf> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "py"))
            .filter(|path| !path.file_name().unwrap().to_string_lossy().starts_with('_'))
            .collect();
        files.sort();
        files.iter().map(|path| Self::read(path)).collect()
    }

    fn read(path: &Path) -> Self {
        let code = std::fs::read_to_string(path).unwrap();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let header: Vec<&str> = code.lines().map_while(|line| line.strip_prefix("# ")).collect();
        let optional = |key: &str| {
            let line = header.iter().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
            line.map(str::to_owned)
        };
        let field = |key: &str| optional(key).unwrap_or_else(|| panic!("{name}: no `# {key}:`"));
        Self {
            title: (*header.first().unwrap()).to_owned(),
            row: field("row"),
            layer: field("layer"),
            bare: BareExpect::parse(&field("bare")),
            bare_unprivileged: optional("bare-unprivileged").map(|text| BareExpect::parse(&text)),
            sandboxed: Expect::parse(&field("sandboxed")),
            sandboxed_unmounted: optional("sandboxed-unmounted").map(|text| Expect::parse(&text)),
            canary: optional("canary"),
            limits: optional("limits").map(|text| serde_json::from_str(&text).unwrap()),
            timeout: optional("timeout").map_or(20.0, |text| text.parse().unwrap()),
            runs: optional("runs").map_or(1, |text| text.parse().unwrap()),
            code,
            name,
        }
    }

    /// The program, told about the world.
    pub(crate) fn program(&self, world: &Value) -> String {
        format!("{}{}", PRELUDE.replace("@WORLD@", &world.to_string()), self.code)
    }
}

impl BareExpect {
    fn parse(text: &str) -> Self {
        match text.strip_prefix("n/a ") {
            Some(reason) => Self::NotShown(reason.to_owned()),
            None => Self::Comes(serde_json::from_str(text).unwrap()),
        }
    }
}

impl Expect {
    fn parse(text: &str) -> Self {
        let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
        match kind {
            "errno" => Self::Result(serde_json::json!({"errno": errno(rest)}), false),
            "result" => Self::Result(serde_json::from_str(rest).unwrap(), false),
            "accepted" => Self::Result(serde_json::from_str(rest).unwrap(), true),
            "outcome" => {
                let (outcome, about) = rest.split_once(' ').unwrap_or((rest, ""));
                Self::Outcome(outcome.to_owned(), (!about.is_empty()).then(|| about.to_owned()))
            }
            other => panic!("{other}?"),
        }
    }
}

/// Error numbers by the names that headers use.
const ERRNO: [(&str, i32); 11] = [
    ("ENOSPC", libc::ENOSPC),
    ("EPERM", libc::EPERM),
    ("EACCES", libc::EACCES),
    ("ENOSYS", libc::ENOSYS),
    ("EXDEV", libc::EXDEV),
    ("EINVAL", libc::EINVAL),
    ("ENOTTY", libc::ENOTTY),
    ("EFBIG", libc::EFBIG),
    ("ENOMEM", libc::ENOMEM),
    ("EOPNOTSUPP", libc::EOPNOTSUPP),
    ("EPROTONOSUPPORT", libc::EPROTONOSUPPORT),
];

fn errno(name: &str) -> i32 {
    ERRNO.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("{name}?")).1
}

/// A result as the matrix shows it.
pub(crate) fn shown(value: &Value) -> String {
    if let Some(number) = value.get("errno").and_then(Value::as_i64) {
        let known = ERRNO.iter().find(|(_, known)| i64::from(*known) == number);
        return known.map_or_else(|| format!("errno {number}"), |(name, _)| (*name).to_owned());
    }
    if let Some(signal) = value.get("signal") {
        return format!("signal {signal}");
    }
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
