//! Paths and rights to Landlock layers.
//!
//! The rights and what each ABI knows of them come from the `landlock` crate; the three calls are
//! made directly, because a child pays for every one and the crate's checks of each rule cost it
//! as much again (60 µs of 170 measured). A right the kernel does not know is an error there, not
//! a silence.
//!
//! **Invariant:** every layer handles every right that the kernel knows, so whatever a rule does
//! not grant is denied; sockets, devices and listening are granted by no rule, `EXECUTE` and TCP
//! connections by none but those of a grant or of a [tool](crate::tool).

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use ::landlock::{ABI, Access, AccessFs, AccessNet, BitFlags, Scope};
use rustix::fs::{Mode, OFlags};

use crate::policy::outermost;
use crate::{Grants, LANDLOCK_FLOOR, LandlockLevel, SealError, sys};

/// Devices that programs use without a thought: `(path, writable, why)`.
const DEVICES: &[(&str, bool)] =
    &[("/dev/null", true), ("/dev/zero", false), ("/dev/urandom", false), ("/dev/random", false)];

/// What a child may read of its own `/proc` directory: `(name, why)`. Not the whole directory: it
/// also holds `net` and `mountinfo`, which describe the host.
const OWN_PROC_FILES: &[&str] = &["maps", "stat", "statm", "status"];

/// What a rule grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Read files and list directories.
    Read,
    /// List directories, but read no file.
    List,
    /// Read and write this one file.
    ReadWriteFile,
    /// Everything that files in a scratch directory need; only for a real directory, not a link.
    Scratch,
    /// The same, where an operator granted it, for a directory or a file.
    Write,
    /// Read and execute, where an operator granted it, or a tool has to.
    Execute,
    /// As [`Scratch`](Self::Scratch), and execute what was written.
    Workshop,
}

impl Reach {
    fn rights(self, abi: ABI, is_dir: bool) -> BitFlags<AccessFs> {
        let file = AccessFs::ReadFile;
        let rights = match self {
            Self::Read => file | AccessFs::ReadDir,
            Self::List => AccessFs::ReadDir.into(),
            Self::ReadWriteFile => file | AccessFs::WriteFile | AccessFs::Truncate,
            Self::Execute => file | AccessFs::ReadDir | AccessFs::Execute,
            Self::Workshop => {
                return Self::Scratch.rights(abi, is_dir) | Self::Execute.rights(abi, is_dir);
            }
            Self::Scratch | Self::Write => {
                file | AccessFs::ReadDir
                    | AccessFs::WriteFile
                    | AccessFs::Truncate
                    | AccessFs::RemoveDir
                    | AccessFs::RemoveFile
                    | AccessFs::MakeDir
                    | AccessFs::MakeReg
                    | AccessFs::MakeSym
                    | AccessFs::MakeFifo
                    | AccessFs::Refer
            }
        };
        let known = if is_dir { AccessFs::from_all(abi) } else { AccessFs::from_file(abi) };
        rights & known
    }
}

/// A path opened for a rule.
#[derive(Debug)]
pub(crate) struct Rule {
    fd: OwnedFd,
    reach: Reach,
    is_dir: bool,
}

impl Rule {
    /// `None` when the path does not exist.
    pub(crate) fn open(path: &Path, reach: Reach) -> Result<Option<Self>, SealError> {
        let failed = |errno: rustix::io::Errno| SealError::Path {
            path: path.display().to_string(),
            source: errno.into(),
        };
        // a link in place of a scratch directory would grant writing elsewhere
        let whole = matches!(reach, Reach::Scratch | Reach::Workshop);
        let links = if whole { OFlags::NOFOLLOW } else { OFlags::empty() };
        let flags = OFlags::PATH | OFlags::CLOEXEC | links;
        let fd = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Ok(None),
            Err(errno) => return Err(failed(errno)),
        };
        let mode = rustix::fs::fstat(&fd).map_err(failed)?.st_mode;
        let is_dir = rustix::fs::FileType::from_raw_mode(mode) == rustix::fs::FileType::Directory;
        if whole && !is_dir {
            return Err(failed(rustix::io::Errno::NOTDIR));
        }
        Ok(Some(Self { fd, reach, is_dir }))
    }

    /// As [`open`](Self::open), but the path has to exist.
    pub(crate) fn demand(path: &Path, reach: Reach) -> Result<Self, SealError> {
        Self::open(path, reach)?.ok_or_else(|| SealError::Path {
            path: path.display().to_string(),
            source: io::ErrorKind::NotFound.into(),
        })
    }
}

/// Rules for readable paths and the common devices; names of paths that do not exist are added to
/// `skipped`.
pub(crate) fn shared_rules(
    read: &[PathBuf],
    skipped: &mut Vec<String>,
) -> Result<Vec<Rule>, SealError> {
    let mut rules = Vec::with_capacity(read.len() + DEVICES.len());
    for path in outermost(read.iter().cloned()) {
        match Rule::open(&path, Reach::Read)? {
            Some(rule) => rules.push(rule),
            None => skipped.push(path.display().to_string()),
        }
    }
    for (path, writable) in DEVICES {
        let reach = if *writable { Reach::ReadWriteFile } else { Reach::Read };
        rules.extend(Rule::open(Path::new(path), reach)?);
    }
    Ok(rules)
}

/// Rules for what is granted beyond reading; a path that is gone by now is an error.
pub(crate) fn granted_rules(grants: &Grants) -> Result<Vec<Rule>, SealError> {
    let execute = grants.execute.iter().flatten();
    let paths = grants.write.iter().map(|path| (path, Reach::Write));
    paths
        .chain(execute.map(|path| (path, Reach::Execute)))
        .map(|(path, reach)| Rule::demand(path, reach))
        .collect()
}

/// Rules for what the calling process may see of itself under `/proc`.
pub(crate) fn own_proc_rules() -> Result<Vec<Rule>, SealError> {
    let own = Path::new("/proc/self");
    let mut rules = Vec::with_capacity(OWN_PROC_FILES.len() + 1);
    rules.extend(Rule::open(own, Reach::List)?);
    for name in OWN_PROC_FILES {
        rules.extend(Rule::open(&own.join(name), Reach::Read)?);
    }
    Ok(rules)
}

/// The ABI to use: the kernel's, or less when a test asks for less.
pub(crate) fn effective_abi(cap: Option<u32>) -> u32 {
    let trial = crate::trial::landlock_abi_cap().unwrap_or(u32::MAX);
    sys::landlock_abi().min(cap.unwrap_or(u32::MAX)).min(trial)
}

/// How much of the floor an ABI gives.
pub(crate) fn level(abi: u32) -> LandlockLevel {
    const SINCE: &[(u32, &str)] = &[
        (2, "renaming between directories is refused instead of governed"),
        (3, "truncating files outside the scratch directory is not denied"),
        (4, "TCP is denied by seccomp alone"),
        (5, "device commands on reachable devices are not denied"),
        (6, "signals to and abstract sockets of other processes are denied by seccomp alone"),
    ];
    if abi == 0 {
        return LandlockLevel::None;
    }
    let missing: Vec<String> = SINCE
        .iter()
        .filter(|(since, _)| abi < *since)
        .map(|(since, what)| format!("ABI {since}: {what}"))
        .collect();
    if missing.is_empty() { LandlockLevel::Full } else { LandlockLevel::Partial { missing } }
}

/// Refuses an ABI below the floor, or, when that is allowed, says what is weaker.
pub(crate) fn check_floor(abi: u32, allow_weak: bool) -> Result<Vec<String>, SealError> {
    let reasons = match level(abi) {
        LandlockLevel::Full => return Ok(Vec::new()),
        LandlockLevel::Partial { missing } => missing,
        LandlockLevel::None => {
            vec!["no Landlock: the whole file system is open to what the user may open".to_owned()]
        }
    };
    if allow_weak {
        return Ok(reasons);
    }
    Err(SealError::BelowFloor {
        reason: format!(
            "Landlock ABI {abi} where {LANDLOCK_FLOOR} is the floor ({})",
            reasons.join("; ")
        ),
    })
}

/// Confines the calling thread, and all processes it forks, to what the rules grant.
///
/// Without Landlock (`abi` 0) nothing happens; [`check_floor`] has let that pass before.
pub(crate) fn restrict<'a>(
    abi: u32,
    rules: impl Iterator<Item = &'a Rule>,
    ports: &[u16],
) -> Result<(), SealError> {
    restrict_to(abi, AccessNet::from_all(known_abi(abi)), rules, ports)
}

/// As [`restrict`], for a tool: TCP connections go through, listening does not.
pub(crate) fn restrict_tool<'a>(
    abi: u32,
    rules: impl Iterator<Item = &'a Rule>,
) -> Result<(), SealError> {
    restrict_to(abi, AccessNet::from_all(known_abi(abi)) & AccessNet::BindTcp, rules, &[])
}

fn restrict_to<'a>(
    abi: u32,
    network: BitFlags<AccessNet>,
    rules: impl Iterator<Item = &'a Rule>,
    ports: &[u16],
) -> Result<(), SealError> {
    if abi == 0 {
        return Ok(());
    }
    let failed = |step: &'static str| move |source: io::Error| SealError::Step { step, source };
    let known = known_abi(abi);
    let handled = sys::LandlockHandled {
        file: AccessFs::from_all(known).bits(),
        network: network.bits(),
        scoped: Scope::from_all(known).bits(),
    };
    let ruleset = sys::landlock_create(&handled).map_err(failed("create a landlock ruleset"))?;
    for rule in rules {
        let rights = rule.reach.rights(known, rule.is_dir).bits();
        if rights != 0 {
            sys::landlock_allow(ruleset.as_fd(), rule.fd.as_fd(), rights)
                .map_err(failed("add a landlock rule"))?;
        }
    }
    let connect = BitFlags::from(AccessNet::ConnectTcp).bits();
    for port in ports {
        sys::landlock_allow_port(ruleset.as_fd(), *port, connect)
            .map_err(failed("add a landlock rule for a port"))?;
    }
    sys::landlock_restrict(ruleset.as_fd()).map_err(failed("enter a landlock layer"))
}

fn known_abi(abi: u32) -> ABI {
    match abi {
        0 => ABI::Unsupported,
        1 => ABI::V1,
        2 => ABI::V2,
        3 => ABI::V3,
        4 => ABI::V4,
        5 => ABI::V5,
        6 => ABI::V6,
        7 => ABI::V7,
        8 => ABI::V8,
        9 => ABI::V9,
        _ => ABI::V10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_is_full_from_the_floor_on() {
        assert_eq!(level(0), LandlockLevel::None);
        for abi in 1..LANDLOCK_FLOOR {
            assert!(matches!(level(abi), LandlockLevel::Partial { .. }), "{abi}");
            assert!(check_floor(abi, false).unwrap_err().to_string().contains("--dangerously"));
            assert!(!check_floor(abi, true).unwrap().is_empty());
        }
        for abi in LANDLOCK_FLOOR..12 {
            assert_eq!(level(abi), LandlockLevel::Full);
            assert!(check_floor(abi, false).unwrap().is_empty());
        }
    }

    #[test]
    fn no_reach_grants_sockets_or_devices_and_two_grant_execution() {
        let never = AccessFs::MakeChar
            | AccessFs::MakeBlock
            | AccessFs::MakeSock
            | AccessFs::IoctlDev
            | AccessFs::ResolveUnix;
        for abi in 1..=10 {
            for reach in [
                Reach::Read,
                Reach::List,
                Reach::ReadWriteFile,
                Reach::Scratch,
                Reach::Write,
                Reach::Execute,
                Reach::Workshop,
            ] {
                for is_dir in [true, false] {
                    let rights = reach.rights(known_abi(abi), is_dir);
                    assert!((rights & never).is_empty(), "{reach:?} at {abi}: {rights:?}");
                    let executes = rights.contains(AccessFs::Execute);
                    let may = matches!(reach, Reach::Execute | Reach::Workshop);
                    assert_eq!(executes, may, "{reach:?} at {abi}");
                    assert!(AccessFs::from_all(known_abi(abi)).contains(rights));
                }
            }
        }
    }

    #[test]
    fn reading_grants_no_change() {
        let rights = Reach::Read.rights(ABI::V10, true);
        assert_eq!(rights, AccessFs::ReadFile | AccessFs::ReadDir);
        assert_eq!(Reach::List.rights(ABI::V10, true), BitFlags::from(AccessFs::ReadDir));
        assert!(Reach::List.rights(ABI::V10, false).is_empty());
    }
}
