//! What the kernel says about a sealed child to those who look from outside.

use std::os::unix::fs::MetadataExt;

use sandbox::process::Exit;
use sandbox::rlimit::{ChildRlimits, Limit, Resource, memory_of, read_for};

use crate::roles;
use crate::world::{World, Zygote};

fn status(pid: i32) -> impl Fn(&str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    move |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().trim().to_owned()
    }
}

pub(crate) fn kernel_shows_the_seal(world: &World) {
    let zygote = Zygote::start(world);
    let sleeper = zygote.sleeper("own");
    let own_filters: u32 =
        status(std::process::id().cast_signed())("Seccomp_filters:").parse().unwrap();
    for (pid, filters) in [
        (i32::try_from(zygote.process.0.id()).unwrap(), own_filters + 4),
        (sleeper.process.pid(), own_filters + 5),
    ] {
        let field = status(pid);
        assert_eq!(field("Seccomp:"), "2");
        assert_eq!(field("Seccomp_filters:"), filters.to_string());
        assert_eq!(field("NoNewPrivs:"), "1");
        for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
            assert_eq!(u64::from_str_radix(&field(set), 16), Ok(0), "{set}");
        }
        if rustix::process::geteuid().is_root() {
            assert_eq!(u64::from_str_radix(&field("CapBnd:"), 16), Ok(0));
        }
        // a process that is not dumpable has its /proc files owned by root
        let owner = std::fs::metadata(format!("/proc/{pid}/mem")).unwrap().uid();
        assert_eq!(owner, 0, "dumpable");
        let core = read_for(pid, Resource::Core).unwrap();
        assert_eq!(core, Limit { soft: 0, hard: 0 });
    }
    // and the child's own account of it agrees
    let said = &sleeper.said;
    assert!(said.contains(&format!("seccomp_filters: {}", own_filters + 5)), "{said}");
    for part in ["landlock: Full", "landlock_layers: 2", "no_new_privs: true", "weakened: []"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert!(said.contains("capabilities_dropped: true"), "{said}");
}

pub(crate) fn limits_from_outside(world: &World) {
    let zygote = Zygote::start(world);
    let sleeper = zygote.sleeper("own");
    let pid = sleeper.process.pid();
    let before = memory_of(pid).unwrap().data;
    let limits = ChildRlimits {
        data_bytes: Some(64 << 20),
        cpu_secs: Some(7),
        fsize_bytes: Some(1 << 20),
        nofile: Some(64),
        nproc: None,
    };
    limits.apply_to(pid).unwrap();
    let data = before + (64 << 20);
    assert_eq!(read_for(pid, Resource::Data).unwrap().soft, data);
    assert_eq!(read_for(pid, Resource::Cpu).unwrap().soft, 7);
    assert_eq!(read_for(pid, Resource::OpenFiles).unwrap().soft, 64);
    let text = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let shown = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..].split_ascii_whitespace().take(2).collect::<Vec<_>>().join(" ")
    };
    let file_size = shown("Max file size");
    assert_eq!(file_size.split(' ').next(), Some("1048576"), "{file_size}");
    assert_eq!(shown("Max locked memory"), "0 0");
    assert_eq!(shown("Max msgqueue size"), "0 0");
    assert_eq!(shown("Max core file size"), "0 0");
}

pub(crate) fn no_stray_descriptor(world: &World) {
    let zygote = Zygote::start(world);
    let report = zygote.run("sealed", "descriptors", "own", 0);
    let text = String::from_utf8_lossy(&report.bytes).into_owned();
    let (held, own) = text.rsplit_once(' ').unwrap();
    assert_eq!(held, format!("[2, {own}]"));
}

pub(crate) fn refused_call_is_named(world: &World) {
    let zygote = Zygote::start(world);
    let report = zygote.run("sealed", "unshare", "own", 0);
    assert_eq!(report.reaped.exit, Exit::Signal(libc::SIGSYS));
    let mut expected = roles::TRAP_PREFIX.to_vec();
    expected.extend(i32::try_from(libc::SYS_unshare).unwrap().to_le_bytes());
    assert_eq!(report.bytes, expected);
}
