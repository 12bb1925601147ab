//! Places that no profile may reach into, and paths that are not there.
//!
//! **Invariant:** paths are compared with their links resolved, so that no link leads in.

use super::Profile;
use crate::config::Config;
use std::path::{Path, PathBuf};

/// Where the plugin keeps what executions must not share or change.
#[derive(Debug, Clone, Default)]
pub struct Reserved {
    /// Not to be read or written: what other executions have.
    hidden: Vec<(PathBuf, &'static str)>,
    /// Not to be written.
    kept: Vec<(PathBuf, &'static str)>,
}

/// Never written by an execution, whatever lies beneath.
const SYSTEM: [(&str, &str); 3] = [
    ("/proc", "the kernel's settings and other processes"),
    ("/sys", "the kernel's settings"),
    ("/dev", "devices"),
];

impl Reserved {
    /// What this configuration keeps for the plugin.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let scratch = config.scratch_root.clone().unwrap_or_else(std::env::temp_dir);
        let mut kept: Vec<_> = SYSTEM.map(|(path, why)| (PathBuf::from(path), why)).into();
        let packages = [&config.packages.site_dir, &config.packages.home];
        kept.extend(packages.into_iter().flatten().map(|path| (real(path), "packages")));
        kept.extend(config.state_dir.iter().map(|path| (real(path), "the plugin's own state")));
        Self { hidden: vec![(real(&scratch), "the scratch directories of all executions")], kept }
    }

    /// Takes the paths out of `profile` that can't be granted, and says why.
    pub(super) fn keep_out(&self, key: &str, profile: &mut Profile, complaints: &mut Vec<String>) {
        let mut pass = |field: &str, paths: &mut Vec<PathBuf>, writes: bool| {
            paths.retain_mut(|path| match self.check(path, writes) {
                Ok(found) => {
                    *path = found;
                    true
                }
                Err(reason) => {
                    complaints.push(format!("`{key}.{field}`: {}: {reason}", path.display()));
                    false
                }
            });
        };
        pass("read_paths", &mut profile.read_paths, false);
        pass("write_paths", &mut profile.write_paths, true);
        pass("executables", &mut profile.executables, false);
    }

    fn check(&self, path: &Path, writes: bool) -> Result<PathBuf, String> {
        if !path.is_absolute() {
            return Err("not an absolute path".to_owned());
        }
        let found = path.canonicalize().map_err(|error| error.to_string())?;
        let holds = |(place, what): &(PathBuf, &'static str)| {
            place.starts_with(&found).then(|| format!("it holds {what} ({})", place.display()))
        };
        if let Some(reason) = self.hidden.iter().find_map(holds) {
            return Err(reason);
        }
        let within = |(place, what): &(PathBuf, &'static str)| {
            found.starts_with(place).then(|| format!("it is a place of {what}"))
        };
        let reason = self.kept.iter().find_map(|place| holds(place).or_else(|| within(place)));
        match reason.filter(|_| writes) {
            Some(reason) => Err(reason),
            None => Ok(found),
        }
    }
}

fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}
