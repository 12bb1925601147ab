//! Whether processes that an execution starts can be ended for sure.
//!
//! A process that forks all the time outruns whoever kills its children one by one. A PID namespace
//! of the execution's own ends with it, whatever it holds: the kernel sees to that, also when the
//! supervisor itself is killed. Where the machine grants none, processes are not granted either.
//!
//! **Invariant:** what is said here was tried, not read off a setting.

use crate::config::Config;
use sandbox::process::{SingleThreaded, try_namespace};
use std::process::{Command, ExitCode, Stdio};

/// The first argument that chooses the role of trying.
pub const ARG: &str = "qntx:namespaces";

/// Tries the namespaces in a process of one thread; says why not on its standard error.
#[must_use]
pub fn attempt() -> ExitCode {
    let tried = SingleThreaded::prove()
        .map_err(|error| error.to_string())
        .and_then(|proof| try_namespace(proof).map_err(|error| error.to_string()));
    match tried {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            // The one who started this reads it there; without a reader there is nobody to tell.
            let _ = rustix::io::write(rustix::stdio::stderr(), reason.as_bytes());
            ExitCode::FAILURE
        }
    }
}

/// Why user and PID namespaces can't be had here; `Ok` when they can. Blocks for a few
/// milliseconds.
///
/// # Errors
/// The reason.
pub fn namespaces() -> Result<(), String> {
    let output = Command::new("/proc/self/exe")
        .arg(ARG)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(if reason.is_empty() { output.status.to_string() } else { reason })
}

/// Takes processes out of every profile when what they start could not be ended for sure; the
/// complaints. Profiles that are about processes go as a whole.
pub fn hold(config: &mut Config) -> Vec<String> {
    let profiles = &config.profiles;
    let granted = profiles.default.processes || profiles.named.values().any(|p| p.processes);
    if !granted || config.no_sandbox {
        return Vec::new();
    }
    match namespaces() {
        Ok(()) => Vec::new(),
        Err(reason) => refuse(config, &reason),
    }
}

fn refuse(config: &mut Config, reason: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut complain = |key: &str, what: &str| {
        complaints.push(format!(
            "`{key}`: this machine grants no user and PID namespaces ({reason}), so what an \
             execution starts could not be ended for sure; {what}"
        ));
    };
    let profiles = &mut config.profiles;
    if profiles.default.processes {
        profiles.default.processes = false;
        complain("sandbox.processes", "no processes are granted");
    }
    profiles.named.retain(|name, profile| {
        if profile.processes {
            complain(&format!("sandbox.profiles.{name}"), "the profile is not in force");
        }
        !profile.processes
    });
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Profile;

    #[test]
    fn without_namespaces_no_profile_has_processes() {
        let mut config = Config::default();
        let shell = Profile { processes: true, ..Profile::default() };
        let web = Profile { ports: vec![443], ..Profile::default() };
        config.profiles.default = Profile { ports: vec![80], ..shell.clone() };
        config.profiles.named.insert("shell".to_owned(), shell);
        config.profiles.named.insert("web".to_owned(), web.clone());
        let complaints = refuse(&mut config, "EPERM");
        assert_eq!(complaints.len(), 2);
        assert!(complaints.iter().all(|c| c.contains("EPERM") && c.contains("`sandbox.")));
        assert!(!config.profiles.default.processes);
        assert_eq!(config.profiles.default.ports, [80], "the rest of the default stays");
        assert_eq!(config.profiles.named.keys().collect::<Vec<_>>(), ["web"]);
    }
}
