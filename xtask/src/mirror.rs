//! `--fetch-python` against a mirror on this machine: that uv asks the mirror it is given,
//! and that a build would take what came from there.
//!
//! The archive is made of the CPython 3.13 found here, in the shape that uv expects.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use anyhow::{Context as _, Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use crate::python::finder;
use crate::shell::Shell;

/// Where uv would get its Pythons; the mirror takes this place.
const UPSTREAM: &str = "https://github.com/astral-sh/python-build-standalone/releases/download";
const ASSET: &str = "20990101/cpython-local-install_only.tar.gz";
/// Of the standard library: large, and nothing that a build or a start needs.
const LEFT_OUT: [&str; 6] =
    ["test", "idlelib", "turtledemo", "site-packages", "__pycache__", "tests"];

/// Fetches CPython from a mirror of its own, through the verb `python`.
pub(crate) fn check(sh: &Shell, uv: &Path) -> Result<()> {
    let scratch = tempfile::tempdir_in(sh.target()?)?;
    let place = scratch.path();
    let asked = |code: &str| -> Result<String> {
        let said = sh.read(sh.command(finder(sh)).args(["-I", "-c", code]))?;
        Ok(said.trim().to_owned())
    };
    let version = asked("import sys; print('%d.%d.%d' % sys.version_info[:3])")?;
    ensure!(version.starts_with("3.13."), "CPython {version} here, and 3.13 is what is fetched");
    let prefix = PathBuf::from(asked("import sys; print(sys.base_prefix)")?);
    let archive = place.join("cpython.tar.gz");
    pack(&prefix, &archive)?;

    let (address, requests) = serve(archive)?;
    let index = place.join("downloads.json");
    fs::write(&index, index_of(&version).to_string())?;
    let installed = place.join("pythons");
    let mut command = sh.itself()?;
    command.args(["python", "--fetch-python"]);
    command.env("UV_PYTHON_INSTALL_MIRROR", format!("http://{address}"));
    command.env("UV_PYTHON_DOWNLOADS_JSON_URL", &index);
    command.env("UV_PYTHON_INSTALL_DIR", &installed);
    command.env("UV_CACHE_DIR", place.join("cache"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let beside = uv.parent().context("uv is nowhere")?.to_owned();
    let path = std::env::join_paths(std::iter::once(beside).chain(std::env::split_paths(&path)))?;
    let said = sh.read(command.env("PATH", path).env_remove("PYO3_PYTHON"))?;
    let fetched = PathBuf::from(said.lines().last().unwrap_or_default());

    let requests: Vec<String> = requests.try_iter().collect();
    ensure!(
        requests.iter().any(|line| line.contains(ASSET)),
        "uv has not asked the mirror, but {requests:?}"
    );
    ensure!(
        fetched.starts_with(installed.canonicalize()?) || fetched.starts_with(&installed),
        "a build would take {}, not what came from the mirror",
        fetched.display()
    );
    let code = "import sys, ssl, sysconfig; print(sys.version.split()[0], sys.base_prefix)";
    let answer = sh.read(sh.command(&fetched).args(["-I", "-c", code]))?;
    ensure!(answer.starts_with(&version), "it answers {answer}");
    println!("fetched through {address}: {}", fetched.display());
    Ok(())
}

/// What uv knows of one download.
fn index_of(version: &str) -> serde_json::Value {
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    let (major, minor, patch) = (next(), next(), next());
    let arch = std::env::consts::ARCH;
    let key = format!("cpython-{version}-linux-{arch}-gnu");
    json!({ key: {
        "name": "cpython",
        "arch": { "family": arch, "variant": null },
        "os": "linux",
        "libc": "gnu",
        "major": major,
        "minor": minor,
        "patch": patch,
        "prerelease": "",
        "url": format!("{UPSTREAM}/{ASSET}"),
        "sha256": null,
        "variant": null,
        "build": "20990101",
    }})
}

/// An `install_only` archive of the interpreter in `prefix`.
fn pack(prefix: &Path, archive: &Path) -> Result<()> {
    let mut tar = tar::Builder::new(GzEncoder::new(File::create(archive)?, Compression::fast()));
    tar.follow_symlinks(false);
    for name in ["python3.13", "python3", "python"] {
        // Whatever of these is a link somewhere is the interpreter itself here.
        tar.append_path_with_name(
            prefix.join("bin/python3.13").canonicalize()?,
            format!("python/bin/{name}"),
        )?;
    }
    let mut open = vec![PathBuf::from("lib/python3.13"), PathBuf::from("include/python3.13")];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(prefix.join(&directory))? {
            let entry = entry?;
            let name = entry.file_name();
            let relative = directory.join(&name);
            if entry.file_type()?.is_dir() {
                if !LEFT_OUT.iter().any(|out| name == *out) {
                    open.push(relative);
                }
            } else {
                tar.append_path_with_name(entry.path(), Path::new("python").join(relative))?;
            }
        }
    }
    for entry in fs::read_dir(prefix.join("lib"))? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("libpython") {
            let name = Path::new("python/lib").join(entry.file_name());
            tar.append_path_with_name(entry.path(), name)?;
        }
    }
    tar.into_inner()?.finish()?;
    Ok(())
}

/// Answers every request with the archive; the requests' first lines come back.
fn serve(archive: PathBuf) -> Result<(String, mpsc::Receiver<String>)> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no port for the mirror")?;
    let address = listener.local_addr()?.to_string();
    let (seen, requests) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that goes away asks again.
            if let Ok(line) = answer(&stream, &archive)
                && seen.send(line).is_err()
            {
                return;
            }
        }
    });
    Ok((address, requests))
}

fn answer(mut stream: &TcpStream, archive: &Path) -> Result<String> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().context("no request")??;
    while !lines.next().context("half a request")??.is_empty() {}
    let mut file = File::open(archive)?;
    let length = file.metadata()?.len();
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n")?;
    if !first.starts_with("HEAD") {
        std::io::copy(&mut file, &mut stream)?;
    }
    Ok(first)
}
