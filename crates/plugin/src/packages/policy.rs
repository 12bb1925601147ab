//! Who may install what, from where, and where it goes.
//!
//! **Invariant:** everything here is the operator's; a request only narrows it.

use super::requirement::{Requirement, normalise};
use crate::error::Rejected;
use std::path::PathBuf;
use std::time::Duration;

/// The configuration of packages.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Where uv is; `None` = next to the binary, then on PATH.
    pub uv: Option<PathBuf>,
    /// `site_dir`: environments live here instead of in the user's data directory.
    pub site_dir: Option<PathBuf>,
    /// The data directory they live in otherwise; `None` without a home.
    pub home: Option<PathBuf>,
    /// The environment executions see.
    pub environment: String,
    /// Installing is allowed at all.
    pub installs: bool,
    /// Names that may be asked for; empty = every.
    pub allowed: Vec<String>,
    /// The one index; `None` = uv's own, or the one a request names.
    pub index_url: Option<String>,
    /// Every new package needs a hash in the request.
    pub require_hashes: bool,
    /// `name @ https://…` may be asked for.
    pub urls: bool,
    /// Requests may turn `only_binary` off: build code then runs outside the sandbox.
    pub builds: bool,
    /// Longest an install takes.
    pub timeout: Duration,
    /// Generations kept beside the one in force.
    pub keep: usize,
    /// Generations kept for longer than this are removed.
    pub keep_age: Duration,
    /// Bytes of all generations together.
    pub keep_bytes: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            uv: None,
            site_dir: None,
            home: None,
            environment: "default".to_owned(),
            installs: true,
            allowed: Vec::new(),
            index_url: None,
            require_hashes: false,
            urls: false,
            builds: false,
            timeout: Duration::from_secs(600),
            keep: 5,
            keep_age: Duration::from_secs(90 * 86_400),
            keep_bytes: 10 << 30,
        }
    }
}

impl Policy {
    /// Whether anything may be installed.
    pub fn may_install(&self) -> Result<(), Rejected> {
        if self.installs {
            return Ok(());
        }
        Err(refused("package", "installing packages is turned off (configuration key `installs`)"))
    }

    /// Reads and checks one requirement.
    pub fn requirement(&self, text: &str) -> Result<Requirement, Rejected> {
        let requirement =
            Requirement::parse(text, self.urls).map_err(|e| refused("package", e.to_string()))?;
        let name = requirement.name();
        let listed = self.allowed.iter().any(|allowed| normalise(allowed) == name);
        if !self.allowed.is_empty() && !listed {
            let allowed = self.allowed.join(", ");
            return Err(refused(
                "package",
                format!("`{name}` may not be installed here; allowed are: {allowed}"),
            ));
        }
        Ok(requirement)
    }

    /// The index to be used, given the one a request names.
    pub fn index(&self, asked: Option<&str>) -> Result<Option<String>, Rejected> {
        let Some(asked) = asked else { return Ok(self.index_url.clone()) };
        match &self.index_url {
            Some(pinned) if pinned.trim_end_matches('/') != asked.trim_end_matches('/') => {
                return Err(refused("index_url", "the index is fixed by the configuration"));
            }
            Some(_) | None => {}
        }
        let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '$' | '`' | '\\' | '"' | '\'');
        let web = asked.starts_with("https://") || asked.starts_with("http://");
        if !web || !asked.chars().all(plain) {
            return Err(refused("index_url", "`index_url` has to be an http or https address"));
        }
        Ok(Some(asked.to_owned()))
    }

    /// Whether wheels alone are taken, given what a request says.
    pub fn only_binary(&self, asked: Option<bool>) -> Result<bool, Rejected> {
        match asked {
            Some(false) if !self.builds => Err(refused(
                "only_binary",
                "`only_binary: false` builds packages from source, which runs their code outside \
                 the sandbox; --dangerously-allow-builds allows it",
            )),
            Some(only) => Ok(only),
            None => Ok(true),
        }
    }
}

/// The name of an environment, when it is one.
pub fn environment_name(name: &str) -> Result<(), Rejected> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if begins && name.len() <= 64 && name.chars().all(good) {
        return Ok(());
    }
    Err(refused("environment", "`environment` is 1 to 64 letters, digits, - _ and ."))
}

fn refused(field: &str, reason: impl Into<String>) -> Rejected {
    Rejected::field(field, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_allowed_names_compares_normalised() {
        let policy = Policy { allowed: vec!["My.Package".to_owned()], ..Policy::default() };
        assert!(policy.requirement("my_package>=1").is_ok());
        let refusal = policy.requirement("other").unwrap_err().to_string();
        assert!(refusal.contains("My.Package"), "{refusal}");
    }

    #[test]
    fn a_pinned_index_is_the_only_one() {
        let policy = Policy { index_url: Some("https://a/simple".into()), ..Policy::default() };
        assert!(policy.index(Some("https://b/simple")).is_err());
        assert_eq!(policy.index(None).unwrap().as_deref(), Some("https://a/simple"));
        assert!(policy.index(Some("https://a/simple/")).is_ok());
        for bad in ["file:///etc", "--x", "https://a b", "https://${HOME}"] {
            assert!(Policy::default().index(Some(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn code_of_packages_runs_at_install_only_where_the_operator_allows_it() {
        assert!(Policy::default().only_binary(Some(false)).is_err());
        assert_eq!(Policy::default().only_binary(None), Ok(true));
        let policy = Policy { builds: true, ..Policy::default() };
        assert_eq!(policy.only_binary(Some(false)), Ok(false));
    }

    #[test]
    fn names_of_environments_are_no_paths() {
        for bad in ["", ".", "..", "a/b", ".x", "-x", &"a".repeat(65)] {
            assert!(environment_name(bad).is_err(), "{bad}");
        }
        assert!(environment_name("data-2.x").is_ok());
    }
}
