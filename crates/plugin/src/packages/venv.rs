//! The virtual environment that is active where the plugin is started.
//!
//! **Invariant:** its packages are read, behind those of the environment in
//! force, and never changed; one of another Python is left out and said.

use std::path::{Path, PathBuf};

/// The version of the Python this binary is linked to.
const VERSION: &str = env!("QNTX_PYTHON_BUILD_VERSION");

/// The `site-packages` of the virtual environment at `root`.
pub fn site(root: &Path) -> Result<PathBuf, String> {
    let minor = VERSION.splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
    let left_out = |why: String| Err(format!("the virtual environment {} {why}", root.display()));
    let Ok(about) = std::fs::read_to_string(root.join("pyvenv.cfg")) else {
        return left_out("(VIRTUAL_ENV) has no pyvenv.cfg; it is left out".to_owned());
    };
    let site = root.join(format!("lib/python{minor}/site-packages"));
    if site.is_dir() {
        return Ok(site);
    }
    let version = about.lines().filter_map(|line| line.split_once('=')).find_map(|(key, value)| {
        matches!(key.trim(), "version" | "version_info").then(|| value.trim().to_owned())
    });
    let version = version.unwrap_or_else(|| "another version".to_owned());
    left_out(format!("is of Python {version}, and this is Python {minor}; it is left out"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_another_python_is_left_out_and_named() {
        let root = tempfile::tempdir().unwrap();
        assert!(site(root.path()).unwrap_err().contains("pyvenv.cfg"));
        std::fs::write(root.path().join("pyvenv.cfg"), "home = /x\nversion_info = 3.2.1\n")
            .unwrap();
        let reason = site(root.path()).unwrap_err();
        assert!(reason.contains("Python 3.2.1"), "{reason}");
        let minor = VERSION.splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
        let own = root.path().join(format!("lib/python{minor}/site-packages"));
        std::fs::create_dir_all(&own).unwrap();
        assert_eq!(site(root.path()), Ok(own));
    }
}
