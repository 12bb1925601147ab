//! Forking, holding, reaping, and seals that are refused.

use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::process::Stdio;
use std::time::{Duration, Instant};

use sandbox::process::{Exit, Pidfd, cpu_time};

use crate::world::{Guard, World, Zygote, readable};

pub(crate) fn children_belong_to_the_supervisor(world: &World) {
    let zygote = Zygote::start(world);
    let sleeper = zygote.sleeper("own");
    let status = std::fs::read_to_string(format!("/proc/{}/status", sleeper.process.pid()));
    let status = status.unwrap();
    let parent = format!("PPid:\t{}\n", std::process::id());
    assert!(status.contains(&parent), "{status}");
}

pub(crate) fn killed_child(world: &World) {
    let zygote = Zygote::start(world);
    let sleeper = zygote.sleeper("own");
    assert_eq!(sleeper.process.try_wait().unwrap(), None);
    // It may not have had a core yet.
    let until = Instant::now() + Duration::from_secs(10);
    let used = loop {
        let used = cpu_time(sleeper.process.pid()).unwrap();
        if used > Duration::ZERO || Instant::now() > until {
            break used;
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    assert!(used > Duration::ZERO && used < Duration::from_secs(5), "{used:?}");
    sleeper.process.kill().unwrap();
    assert!(readable(sleeper.process.as_fd()), "a pidfd becomes readable at the end");
    let reaped = sleeper.process.wait().unwrap();
    assert_eq!(reaped.exit, Exit::Signal(libc::SIGKILL));
    assert!(
        reaped.usage.user + reaped.usage.system + Duration::from_millis(1) >= used,
        "{reaped:?}"
    );
    assert!(reaped.usage.max_rss_bytes > 100_000, "{reaped:?}");
    assert_eq!(sleeper.process.try_wait().unwrap_err().raw_os_error(), Some(libc::ECHILD));
}

pub(crate) fn strangers_pid(_: &World) {
    let init = Pidfd::open_child(1);
    assert_eq!(init.unwrap_err().raw_os_error(), Some(libc::ECHILD));
    assert!(Pidfd::open(1).is_ok(), "the process itself can be held");
    assert!(Pidfd::open_child(-3).is_err());
    assert!(Pidfd::open_child(0).is_err());
}

pub(crate) fn die_with_the_supervisor(world: &World) {
    let mut command = world.command("supervisor");
    let mut supervisor = Guard(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    let out = supervisor.0.stdout.take().unwrap();
    assert!(readable(&out), "the supervisor does not start");
    BufReader::new(out).read_line(&mut line).unwrap();
    let held: Vec<Pidfd> = line
        .split_ascii_whitespace()
        .map(|pid| Pidfd::open(pid.parse().unwrap()).unwrap())
        .collect();
    assert_eq!(held.len(), 2, "{line}");
    supervisor.0.kill().unwrap();
    supervisor.0.wait().unwrap();
    for process in held {
        let ended = readable(process.as_fd());
        process.kill().ok();
        assert!(ended, "{} outlives its supervisor", process.pid());
    }
}

fn output(world: &World, role: &str) -> String {
    let mut child = world.command(role).stdout(Stdio::piped()).spawn().unwrap();
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success(), "{text}");
    text
}

pub(crate) fn second_thread(world: &World) {
    assert_eq!(output(world, "threads"), "Err(Threads { count: 2 }) 2");
}

pub(crate) fn old_kernels(world: &World) {
    for abi in 0..sandbox::LANDLOCK_FLOOR {
        let refused = output(world, &format!("abi:{abi}"));
        assert!(refused.starts_with("refused filters=false: "), "{refused}");
        assert!(refused.contains(&format!("Landlock ABI {abi}")), "{refused}");
        assert!(refused.contains(sandbox::WEAK_FLAG), "{refused}");

        let weak = output(&World::new(), &format!("weak:{abi}"));
        let level = if abi == 0 { "sealed None" } else { "sealed Partial" };
        assert!(weak.starts_with(level), "{weak}");
        assert!(!weak.contains("weak=0") && weak.contains("filters=true"), "{weak}");
        // what the level claims is what happens: reading is governed from 1 on, truncation from 3
        assert!(weak.contains(&format!("read={}", abi < 1)), "{abi}: {weak}");
        assert!(weak.contains(&format!("truncated={}", abi < 3)), "{abi}: {weak}");
    }
    let full = output(world, &format!("abi:{}", sandbox::LANDLOCK_FLOOR));
    assert!(full.starts_with("sealed Full weak=0 read=false truncated=false"), "{full}");
}

pub(crate) fn used_up(world: &World) {
    let zygote = Zygote::start(world);
    let report = zygote.run("sealed", "apply_twice", "own", 0);
    assert_eq!(String::from_utf8_lossy(&report.bytes), "Err(AlreadyApplied)");
}
