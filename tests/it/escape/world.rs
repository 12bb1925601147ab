//! What an attack finds around it: files outside, files it may read, services on this machine.

use super::prefix::{Prefix, open};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Directories and services, removed on drop.
#[derive(Debug)]
pub(crate) struct World {
    place: tempfile::TempDir,
    tcp: TcpListener,
    udp: UdpSocket,
    unix: UnixListener,
    datagram: UnixDatagram,
    named: UnixListener,
    name: String,
    /// A descriptor that every process started meanwhile inherits.
    _left: File,
}

/// Process ids that attacks aim at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Others {
    pub(crate) sibling: u32,
    pub(crate) supervisor: u32,
    pub(crate) zygote: u32,
}

impl World {
    pub(crate) fn new(prefix: &Prefix) -> Self {
        let place = tempfile::tempdir().unwrap();
        open(place.path());
        let at = |name: &str| place.path().join(name);
        for name in ["outside", "granted", "work"] {
            fs::create_dir(at(name)).unwrap();
        }
        furnish(place.path());
        let unix = UnixListener::bind(at("unix")).unwrap();
        let datagram = UnixDatagram::bind(at("datagram")).unwrap();
        let name = format!("escape-{}-{}", std::process::id(), place.path().display());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let named = UnixListener::bind_addr(&address).unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        tcp.set_nonblocking(true).unwrap();
        udp.set_nonblocking(true).unwrap();
        unix.set_nonblocking(true).unwrap();
        datagram.set_nonblocking(true).unwrap();
        named.set_nonblocking(true).unwrap();
        let left = File::open("/dev/null").unwrap();
        rustix::io::fcntl_setfd(&left, rustix::io::FdFlags::empty()).unwrap();
        prefix.give(place.path());
        Self { place, tcp, udp, unix, datagram, named, name, _left: left }
    }

    /// Files and directories as they were made, whatever became of them since.
    pub(crate) fn restore(&self, prefix: &Prefix) {
        for name in ["outside", "granted"] {
            for entry in fs::read_dir(self.path(name)).unwrap().map(Result::unwrap) {
                let path = entry.path();
                if entry.file_type().unwrap().is_dir() {
                    fs::remove_dir_all(path).unwrap();
                } else {
                    fs::remove_file(path).unwrap();
                }
            }
        }
        furnish(self.place.path());
        prefix.give(&self.path("outside"));
        prefix.give(&self.path("granted"));
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// What attacks are told.
    pub(crate) fn described(&self, others: Others) -> Value {
        json!({
            "outside": self.path("outside"),
            "granted": self.path("granted"),
            "leasable": self.path("granted/leased"),
            "tcp": self.tcp.local_addr().unwrap().port(),
            "udp": self.udp.local_addr().unwrap().port(),
            "unix": self.path("unix"),
            "unix_datagram": self.path("datagram"),
            "abstract": self.name,
            "sibling": others.sibling,
            "supervisor": others.supervisor,
            "zygote": others.zygote,
        })
    }

    /// Whether anything has arrived at a service since the last question.
    pub(crate) fn was_called(&self) -> bool {
        let mut byte = [0; 8];
        let calls = [
            self.tcp.accept().is_ok(),
            self.udp.recv(&mut byte).is_ok(),
            self.unix.accept().is_ok(),
            self.datagram.recv(&mut byte).is_ok(),
            self.named.accept().is_ok(),
        ];
        calls.contains(&true)
    }

    /// Every name, mode, owner, size, time and content beneath a directory of the world.
    pub(crate) fn fingerprint(&self, name: &str) -> String {
        let mut lines = Vec::new();
        look(&self.path(name), &mut lines);
        lines.sort();
        lines.join("\n")
    }
}

fn furnish(place: &Path) {
    fs::create_dir(place.join("outside/empty")).unwrap();
    for (name, text) in [
        ("outside/secret", "secret"),
        ("outside/movable", "movable"),
        ("granted/module.py", "value = 1\n# long enough to read\n"),
        ("granted/leased", "leased"),
    ] {
        fs::write(place.join(name), text).unwrap();
    }
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(place.join("outside/secret"), "user.given", b"1", flags).unwrap();
    std::os::unix::fs::symlink("secret", place.join("outside/link")).unwrap();
}

fn look(path: &Path, lines: &mut Vec<String>) {
    let about = fs::symlink_metadata(path).unwrap();
    let (owner, group) = (about.uid(), about.gid());
    let (seconds, nanoseconds) = (about.mtime(), about.mtime_nsec());
    let content = if about.is_file() { fs::read(path).unwrap() } else { Vec::new() };
    lines.push(format!(
        "{} {:o} {owner} {group} {seconds}.{nanoseconds} {content:?}",
        path.display(),
        about.mode()
    ));
    if about.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| look(&entry.unwrap().path(), lines));
    }
}

/// Whether a process runs: neither gone, nor a zombie, nor stopped. Waits a moment for a signal
/// under way to arrive.
pub(crate) fn runs(pid: u32) -> bool {
    let state = || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.chars().next()
    };
    matches!(state(), Some('R' | 'S' | 'D'))
}

/// Whether it stops running within a second.
pub(crate) fn stops(pid: u32) -> bool {
    let until = Instant::now() + Duration::from_secs(1);
    while Instant::now() < until {
        if !runs(pid) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    false
}
