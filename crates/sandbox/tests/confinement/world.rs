//! The surroundings of a test: directories, an identity, a zygote and what its children report.

use std::fs;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sandbox::fds::{packet_pair, recv_with_fds, send_with_fds};
use sandbox::process::{Exit, Pidfd, Reaped};

use crate::cases::Expect;
use crate::roles;

/// A directory tree with `scratch/{own,sibling}`, `outside` and a copy of this binary.
pub(crate) struct World {
    directory: PathBuf,
    /// Two local servers, of which a grant may name the first.
    servers: Option<[std::net::TcpListener; 2]>,
    // removed with the world, unless it is another process's
    _owned: Option<tempfile::TempDir>,
}

impl World {
    pub(crate) fn new() -> Self {
        let owned = tempfile::tempdir().unwrap();
        let server = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let servers = Some([server(), server()]);
        let world = Self { directory: owned.path().to_owned(), servers, _owned: Some(owned) };
        let copy = world.path("binary");
        fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
        for name in ["", "scratch", "scratch/own", "scratch/sibling", "outside"] {
            fs::create_dir_all(world.path(name)).unwrap();
            fs::set_permissions(world.path(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        for name in ["scratch/sibling/secret", "outside/file", "outside/made", "outside/movable"] {
            fs::write(world.path(name), b"secret").unwrap();
        }
        world
    }

    /// The world that another process made.
    pub(crate) fn adopt(directory: PathBuf) -> Self {
        Self { directory, servers: None, _owned: None }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// This binary in a role, with a bare environment.
    pub(crate) fn command(&self, role: &str) -> Command {
        let mut command = Command::new(self.path("binary"));
        command
            .env_clear()
            .env(roles::ROLE, role)
            .env(roles::WORLD, &self.directory)
            .env(roles::SUPERVISOR, std::process::id().to_string())
            .current_dir("/");
        if let Some(servers) = &self.servers {
            for (name, server) in [roles::PORT, roles::OTHER_PORT].iter().zip(servers) {
                command.env(name, server.local_addr().unwrap().port().to_string());
            }
        }
        command
    }

    /// Runs a case without any confinement.
    pub(crate) fn bare(&self, case: &str, sibling: i32) -> Report {
        let (reader, writer) = std::io::pipe().unwrap();
        let child = self
            .command("bare")
            .env(roles::CASE, case)
            .env(roles::SIBLING, sibling.to_string())
            .stdout(writer)
            .spawn()
            .unwrap();
        Report::of_child(child, reader.into())
    }
}

/// A process that ends with the test.
pub(crate) struct Guard(pub(crate) Child);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A sealed zygote that forks children on request.
pub(crate) struct Zygote {
    control: OwnedFd,
    pub(crate) process: Guard,
}

impl Zygote {
    pub(crate) fn start(world: &World) -> Self {
        Self::start_with(world, "")
    }

    /// With these grants, of `network`, `write`, `processes`, `namespace`.
    pub(crate) fn start_with(world: &World, grants: &str) -> Self {
        let (control, theirs) = packet_pair().unwrap();
        let mut command = world.command("zygote");
        command.env(roles::GRANTS, grants);
        let process = command.stdin(Stdio::from(theirs)).spawn().unwrap();
        let zygote = Self { control, process: Guard(process) };
        assert_eq!(zygote.answer(), "sealed");
        zygote
    }

    fn answer(&self) -> String {
        assert!(readable(&self.control), "the zygote does not answer");
        let mut buffer = [0; 4096];
        let received = recv_with_fds(&self.control, &mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..received.len]).into_owned()
    }

    /// Forks a child in `mode` that plays `case`, and returns it with the end it reports to.
    pub(crate) fn fork(&self, mode: &str, case: &str, scratch: &str, sibling: i32) -> Forked {
        let (reader, writer) = std::io::pipe().unwrap();
        let request = format!("{mode} {case} {scratch} {sibling}");
        send_with_fds(&self.control, request.as_bytes(), &[writer]).unwrap();
        let pid = self.answer().parse().unwrap();
        Forked { pid, report: reader.into() }
    }

    pub(crate) fn run(&self, mode: &str, case: &str, scratch: &str, sibling: i32) -> Report {
        let forked = self.fork(mode, case, scratch, sibling);
        Report::collect(forked.pid, forked.report)
    }

    /// A sealed child that has said "ready" and sleeps, with what it said.
    pub(crate) fn sleeper(&self, scratch: &str) -> Sleeper {
        let forked = self.fork("sealed", "sleep", scratch, 0);
        let process = Pidfd::open_child(forked.pid).unwrap();
        assert!(readable(&forked.report), "the sleeper does not report");
        let mut buffer = [0; 4096];
        let length = std::fs::File::from(forked.report).read(&mut buffer).unwrap();
        Sleeper { process, said: String::from_utf8_lossy(&buffer[..length]).into_owned() }
    }
}

/// A child just forked.
pub(crate) struct Forked {
    pub(crate) pid: i32,
    pub(crate) report: OwnedFd,
}

/// A child that sleeps until the test ends.
pub(crate) struct Sleeper {
    pub(crate) process: Pidfd,
    pub(crate) said: String,
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// What a process wrote, and how it ended.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) bytes: Vec<u8>,
    pub(crate) reaped: Reaped,
}

impl Report {
    /// Reaps through a pidfd like any other; the handle gives its number up.
    fn of_child(child: Child, report: OwnedFd) -> Self {
        Self::collect(i32::try_from(child.id()).unwrap(), report)
    }

    fn collect(pid: i32, report: OwnedFd) -> Self {
        let process = Pidfd::open_child(pid).unwrap();
        if !readable(process.as_fd()) {
            process.kill().unwrap();
        }
        let reaped = process.wait().unwrap();
        let mut bytes = Vec::new();
        std::fs::File::from(report).read_to_end(&mut bytes).unwrap();
        Self { bytes, reaped }
    }

    /// The report in the terms of a case's declaration.
    pub(crate) fn outcome(&self) -> Result<Expect, String> {
        let text = String::from_utf8_lossy(&self.bytes);
        match self.reaped.exit {
            Exit::Signal(31) if self.bytes.starts_with(roles::TRAP_PREFIX) => {
                let number = self.bytes[roles::TRAP_PREFIX.len()..].first_chunk::<4>();
                let name = number.and_then(|number| {
                    sandbox::syscalls::syscall_name(i32::from_le_bytes(*number).into())
                });
                name.map(Expect::Trapped).ok_or_else(|| format!("{:?}", self.bytes))
            }
            Exit::Signal(signal) if text.is_empty() => Ok(Expect::Dies(signal)),
            // exec leaves no report behind: the pipe closes and the other program ends well
            Exit::Code(0) if text == "done" || text.is_empty() => Ok(Expect::Done),
            Exit::Code(0) if text == "no effect" => Ok(Expect::NoEffect),
            Exit::Code(0) if text.starts_with("errno ") => {
                text[6..].parse().map(Expect::Errno).map_err(|_| text.into_owned())
            }
            exit @ (Exit::Code(_) | Exit::Signal(_)) => Err(format!("{exit:?} {text}")),
        }
    }
}

/// Waits up to ten seconds for something to read.
pub(crate) fn readable(fd: impl AsFd) -> bool {
    let limit = rustix::event::Timespec::try_from(Duration::from_secs(10)).unwrap();
    let flags = rustix::event::PollFlags::IN;
    let mut polled = [rustix::event::PollFd::from_borrowed_fd(fd.as_fd(), flags)];
    rustix::event::poll(&mut polled, Some(&limit)).unwrap() == 1
}
