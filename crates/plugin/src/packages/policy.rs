//! Who may install what, from where, and where it goes.
//!
//! **Invariant:** everything here is the operator's; a request only narrows it.

use super::requirement::{Requirement, normalise};
use crate::error::Rejected;
use std::path::PathBuf;
use std::time::Duration;

/// The index that uv uses by itself.
const PYPI: &str = "https://pypi.org/simple";

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
    /// The index that is used; `None` = PyPI.
    pub index_url: Option<String>,
    /// Further indexes that a request may name.
    pub indexes: Vec<String>,
    /// Every new package needs a hash in the request.
    pub require_hashes: bool,
    /// `name @ https://…` may be asked for.
    pub urls: bool,
    /// Requests may turn `only_binary` off: build code then runs outside the sandbox.
    pub builds: bool,
    /// What scripts declare (PEP 723) is installed for them.
    pub scripts: Scripts,
    /// Longest an execution waits for that.
    pub script_wait: Duration,
    /// Longest an install takes.
    pub timeout: Duration,
    /// Generations kept beside the one in force.
    pub keep: usize,
    /// Generations kept for longer than this are removed.
    pub keep_age: Duration,
    /// Bytes of all generations together.
    pub keep_bytes: u64,
}

/// Whether an execution gets what its script declares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scripts {
    /// It does not; a script that fails for it is told.
    #[default]
    Off,
    /// It does when every name is on the list of allowed packages.
    AllowList,
    /// It does.
    On,
}

impl std::str::FromStr for Scripts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            "allow-list" => Ok(Self::AllowList),
            "on" => Ok(Self::On),
            _ => Err("it is one of off, allow-list, on".to_owned()),
        }
    }
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
            indexes: Vec::new(),
            require_hashes: false,
            urls: false,
            builds: false,
            scripts: Scripts::Off,
            script_wait: Duration::from_secs(120),
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

    /// The directory of all environments; `None` without a home.
    #[must_use]
    pub fn base(&self) -> Option<PathBuf> {
        let site = self.site_dir.as_ref().map(|site| site.join(".environments"));
        site.or_else(|| Some(self.home.as_ref()?.join("environments")))
    }

    /// Where uv keeps what it downloaded: beside the environments, so that
    /// files are linked instead of copied. `None` without a home.
    #[must_use]
    pub fn cache(&self) -> Option<PathBuf> {
        let site = self.site_dir.as_ref().map(|site| site.join(".uv-cache"));
        site.or_else(|| Some(self.home.as_ref()?.join("uv-cache")))
    }

    /// Reads and checks one requirement of a script.
    pub fn script_requirement(&self, text: &str) -> Result<Requirement, Rejected> {
        let requirement = self.requirement(text)?;
        if self.scripts == Scripts::AllowList && self.allowed.is_empty() {
            return Err(refused(
                "code",
                format!(
                    "the script declares `{}`, and no package is on the list of those that scripts \
                     may have (`allowed_packages`, --allow-package)",
                    requirement.name()
                ),
            ));
        }
        Ok(requirement)
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
        let usual = self.index_url.as_deref().unwrap_or(PYPI);
        let same = |known: &&str| known.trim_end_matches('/') == asked.trim_end_matches('/');
        let mut known = std::iter::once(usual).chain(self.indexes.iter().map(String::as_str));
        // Whoever names an address has this machine ask there.
        match known.find(same) {
            Some(known) => Ok(Some(known.to_owned())),
            None => Err(refused(
                "index_url",
                "this index is not among those that the operator allows (`index_url`, \
                 `allowed_indexes`; --index-url, --allow-index)",
            )),
        }
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

/// The address of an index, when it is one.
pub fn index_address(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '$' | '`' | '\\' | '"' | '\'');
    let web = text.starts_with("https://") || text.starts_with("http://");
    (web && text.chars().all(plain)).then(|| text.to_owned())
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
    fn a_request_names_only_an_index_that_the_operator_listed() {
        let policy = Policy { index_url: Some("https://a/simple".into()), ..Policy::default() };
        assert!(policy.index(Some("https://b/simple")).is_err());
        assert!(policy.index(Some(PYPI)).is_err(), "another one was chosen");
        assert_eq!(policy.index(None).unwrap().as_deref(), Some("https://a/simple"));
        assert!(policy.index(Some("https://a/simple/")).is_ok());
        let policy = Policy { indexes: vec!["https://b/simple".into()], ..policy };
        assert_eq!(
            policy.index(Some("https://b/simple/")).unwrap().as_deref(),
            Some("https://b/simple")
        );
        let policy = Policy::default();
        assert!(policy.index(Some(PYPI)).is_ok());
        for bad in ["http://169.254.169.254/", "file:///etc", "--x", "https://pypi.org/simple/x"] {
            assert!(policy.index(Some(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_address_of_an_index_is_a_web_address() {
        for bad in ["file:///etc", "--x", "https://a b", "https://${HOME}", ""] {
            assert_eq!(index_address(bad), None, "{bad}");
        }
        assert!(index_address("http://a:3141/simple").is_some());
    }

    #[test]
    fn with_a_list_scripts_get_what_is_on_it_and_nothing_when_it_is_empty() {
        let listed = |allowed: &[&str]| Policy {
            scripts: Scripts::AllowList,
            allowed: allowed.iter().map(|name| (*name).to_owned()).collect(),
            ..Policy::default()
        };
        assert!(listed(&["a"]).script_requirement("A>=1").is_ok());
        assert!(listed(&["a"]).script_requirement("b").is_err());
        assert!(listed(&[]).script_requirement("a").is_err());
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
