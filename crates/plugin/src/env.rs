//! The environment variables, each the equivalent of a flag.
//!
//! **Invariant:** no other file names an environment variable of ours; the
//! environment is read while the configuration is made and never again.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// `--address HOST[:PORT]`
pub const ADDRESS: &str = "QNTX_PYTHON_ADDRESS";
/// `--port`
pub const PORT: &str = "QNTX_PYTHON_PORT";
/// `--name`
pub const NAME: &str = "QNTX_PYTHON_NAME";
/// `--log-level`: error, warn, info, debug, trace, or a filter of tracing's
pub const LOG_LEVEL: &str = "QNTX_PYTHON_LOG_LEVEL";
/// `--log-format`: auto, json, text
pub const LOG_FORMAT: &str = "QNTX_PYTHON_LOG_FORMAT";
/// `--python-path`, separated by colons
pub const PYTHON_PATH: &str = "QNTX_PYTHON_PATH";
/// `--python-home`
pub const PYTHON_HOME: &str = "QNTX_PYTHON_HOME";
/// `--file-root`, separated by colons
pub const FILE_ROOT: &str = "QNTX_PYTHON_FILE_ROOT";
/// `--store`: a path, or `:memory:`
pub const STORE: &str = "QNTX_PYTHON_STORE";
/// `--timeout-secs`
pub const TIMEOUT_SECS: &str = "QNTX_PYTHON_TIMEOUT_SECS";
/// `--max-timeout-secs`
pub const MAX_TIMEOUT_SECS: &str = "QNTX_PYTHON_MAX_TIMEOUT_SECS";
/// `--memory`: bytes, or 512M, 1G
pub const MEMORY: &str = "QNTX_PYTHON_MEMORY";
/// `--max-concurrency`
pub const MAX_CONCURRENCY: &str = "QNTX_PYTHON_MAX_CONCURRENCY";
/// `--queue`
pub const QUEUE: &str = "QNTX_PYTHON_QUEUE";
/// `--min-spares`
pub const MIN_SPARES: &str = "QNTX_PYTHON_MIN_SPARES";
/// `--max-spares`
pub const MAX_SPARES: &str = "QNTX_PYTHON_MAX_SPARES";
/// `--max-sessions`
pub const MAX_SESSIONS: &str = "QNTX_PYTHON_MAX_SESSIONS";
/// `--session-idle-secs`
pub const SESSION_IDLE: &str = "QNTX_PYTHON_SESSION_IDLE_SECS";
/// `--session-memory`: bytes, or 512M, 1G
pub const SESSION_MEMORY: &str = "QNTX_PYTHON_SESSION_MEMORY";
/// `--glyph-sessions`: true or false
pub const GLYPH_SESSIONS: &str = "QNTX_PYTHON_GLYPH_SESSIONS";
/// `--token-file`
pub const TOKEN_FILE: &str = "QNTX_PYTHON_TOKEN_FILE";
/// `--tls-cert`
pub const TLS_CERT: &str = "QNTX_PYTHON_TLS_CERT";
/// `--tls-key`
pub const TLS_KEY: &str = "QNTX_PYTHON_TLS_KEY";
/// `--tls-client-ca`
pub const TLS_CLIENT_CA: &str = "QNTX_PYTHON_TLS_CLIENT_CA";
/// `--scratch-dir`
pub const SCRATCH_DIR: &str = "QNTX_PYTHON_SCRATCH_DIR";
/// `--dangerously-no-sandbox`: true or false
pub const NO_SANDBOX: &str = "QNTX_PYTHON_DANGEROUSLY_NO_SANDBOX";
/// `--dangerously-allow-weak-sandbox`: true or false
pub const WEAK_SANDBOX: &str = "QNTX_PYTHON_DANGEROUSLY_ALLOW_WEAK_SANDBOX";
/// `--outlive-parent`: true or false
pub const OUTLIVE_PARENT: &str = "QNTX_PYTHON_OUTLIVE_PARENT";

/// `--uv`
pub const UV: &str = "QNTX_PYTHON_UV";
/// `--site-dir`
pub const SITE_DIR: &str = "QNTX_PYTHON_SITE_DIR";
/// `--environment`
pub const ENVIRONMENT: &str = "QNTX_PYTHON_ENVIRONMENT";
/// `--no-installs`: true or false
pub const NO_INSTALLS: &str = "QNTX_PYTHON_NO_INSTALLS";
/// `--allow-package`, separated by commas
pub const ALLOW_PACKAGE: &str = "QNTX_PYTHON_ALLOW_PACKAGE";
/// `--index-url`
pub const INDEX_URL: &str = "QNTX_PYTHON_INDEX_URL";
/// `--allow-index`, separated by commas
pub const ALLOW_INDEX: &str = "QNTX_PYTHON_ALLOW_INDEX";
/// `--script-dependencies`: off, allow-list, on
pub const SCRIPT_DEPENDENCIES: &str = "QNTX_PYTHON_SCRIPT_DEPENDENCIES";
/// `--script-wait-secs`
pub const SCRIPT_WAIT: &str = "QNTX_PYTHON_SCRIPT_WAIT_SECS";
/// `--require-hashes`: true or false
pub const REQUIRE_HASHES: &str = "QNTX_PYTHON_REQUIRE_HASHES";
/// `--allow-package-urls`: true or false
pub const PACKAGE_URLS: &str = "QNTX_PYTHON_ALLOW_PACKAGE_URLS";
/// `--dangerously-allow-builds`: true or false
pub const BUILDS: &str = "QNTX_PYTHON_DANGEROUSLY_ALLOW_BUILDS";
/// `--install-timeout-secs`
pub const INSTALL_TIMEOUT: &str = "QNTX_PYTHON_INSTALL_TIMEOUT_SECS";
/// `--keep-generations`
pub const KEEP_GENERATIONS: &str = "QNTX_PYTHON_KEEP_GENERATIONS";

/// `--sandbox-read-path`, separated by colons
pub const SANDBOX_READ_PATH: &str = "QNTX_PYTHON_SANDBOX_READ_PATH";
/// `--sandbox-write-path`, separated by colons
pub const SANDBOX_WRITE_PATH: &str = "QNTX_PYTHON_SANDBOX_WRITE_PATH";
/// `--sandbox-network`: none, or like tcp:443,80
pub const SANDBOX_NETWORK: &str = "QNTX_PYTHON_SANDBOX_NETWORK";
/// `--sandbox-processes`: none or allowed
pub const SANDBOX_PROCESSES: &str = "QNTX_PYTHON_SANDBOX_PROCESSES";
/// `--sandbox-executable`, separated by colons
pub const SANDBOX_EXECUTABLE: &str = "QNTX_PYTHON_SANDBOX_EXECUTABLE";
/// `--sandbox-environment`, separated by commas
pub const SANDBOX_ENVIRONMENT: &str = "QNTX_PYTHON_SANDBOX_ENVIRONMENT";
/// `--sandbox-profiles`: a JSON object
pub const SANDBOX_PROFILES: &str = "QNTX_PYTHON_SANDBOX_PROFILES";
/// `--sandbox-handlers`: handler=profile, separated by commas
pub const SANDBOX_HANDLERS: &str = "QNTX_PYTHON_SANDBOX_HANDLERS";

/// What uv may know of how this machine reaches the network.
const NETWORK: [&str; 12] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "LANG",
    "LC_ALL",
];

/// Those of `names` that are set, with their values; what is not UTF-8 is left out.
#[must_use]
pub fn passed(names: &[String]) -> std::collections::HashMap<String, String> {
    names.iter().filter_map(|name| Some((name.clone(), std::env::var(name).ok()?))).collect()
}

/// Proxies and certificates.
#[must_use]
pub fn network() -> Vec<(OsString, OsString)> {
    let set = NETWORK.iter().filter_map(|name| Some((name.into(), std::env::var_os(name)?)));
    set.collect()
}

/// Files and directories with certificates that the environment names.
#[must_use]
pub fn certificates() -> Vec<PathBuf> {
    let set = ["SSL_CERT_FILE", "SSL_CERT_DIR"].iter().filter_map(std::env::var_os);
    set.flat_map(|value| std::env::split_paths(&value).collect::<Vec<_>>())
        .filter(|path| path.is_absolute())
        .collect()
}

/// The virtual environment that is active.
#[must_use]
pub fn virtual_environment() -> Option<PathBuf> {
    Some(PathBuf::from(std::env::var_os("VIRTUAL_ENV")?)).filter(|path| path.is_absolute())
}

/// The absolute directories of PATH.
#[must_use]
pub fn search_path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).filter(|directory| directory.is_absolute()).collect()
}

/// Where the embedded store is when nobody names a place; `None` without HOME.
#[must_use]
pub fn default_store() -> Option<PathBuf> {
    Some(data_home()?.join("attestations.db"))
}

/// The user's data directory of this plugin; `None` without HOME.
#[must_use]
pub fn data_home() -> Option<PathBuf> {
    let absolute = |name: &str| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    // By the XDG specification a relative path counts as not set.
    let data = absolute("XDG_DATA_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".local").join("share")))?;
    Some(data.join("qntx-python"))
}

/// Where the plugin remembers things when nobody names a place; `None` without HOME.
#[must_use]
pub fn default_state() -> Option<PathBuf> {
    let absolute = |name: &str| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    let state = absolute("XDG_STATE_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".local").join("state")))?;
    Some(state.join("qntx-python"))
}

/// `~` and `~/…` under the home directory; anything else, and without a home
/// everything, as it is.
#[must_use]
pub fn expand_home(path: &str) -> PathBuf {
    let rest = match path.strip_prefix('~') {
        Some("") => Some(""),
        Some(rest) => rest.strip_prefix('/'),
        None => None,
    };
    match (rest, std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        (Some(_) | None, _) => PathBuf::from(path),
    }
}
