//! `tools/find-python`, alone with interpreters made for the test: scripts that answer
//! its probe as a CPython would.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A machine: a home, a PATH, and nothing else to find.
struct Machine {
    root: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
    path: Vec<PathBuf>,
}

impl Machine {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a directory");
        Self { root, variables: Vec::new(), path: Vec::new() }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    /// An interpreter that answers the probe with `answer`, and else tells its own path.
    fn interpreter(&self, path: &str, answer: &str) -> PathBuf {
        let file = self.at(path);
        fs::create_dir_all(file.parent().expect("inside")).expect("made");
        let script = format!(
            "#!/bin/sh\n[ \"$1\" = -I ] && {{ echo '{answer}'; exit 0; }}\necho \"I am $0 $*\"\n"
        );
        fs::write(&file, script).expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("set");
        file
    }

    fn on_path(&mut self, directory: &str) {
        self.path.push(self.at(directory));
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools/find-python");
        let mut path = self.path.clone();
        // What the script itself needs: timeout, readlink. No python is under this name.
        path.push(self.tools());
        let mut command = Command::new("/bin/sh");
        command.arg(script).args(arguments).env_clear();
        command.env("PATH", std::env::join_paths(path).expect("joined"));
        command.env("HOME", self.at("home"));
        command.env("FIND_PYTHON_COMMON", self.at("nothing here"));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.output().expect("run")
    }

    /// A directory with the tools of the base system, and no Python.
    fn tools(&self) -> PathBuf {
        let directory = self.at("tools");
        fs::create_dir_all(&directory).expect("made");
        for tool in ["timeout", "readlink"] {
            let found = ["/usr/bin", "/bin"].map(|d| Path::new(d).join(tool));
            if let Some(found) = found.iter().find(|path| path.exists()) {
                // It may be there from an earlier run.
                let _ = std::os::unix::fs::symlink(found, directory.join(tool));
            }
        }
        directory
    }

    fn chosen(&self) -> String {
        let output = self.run(&["--path"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn refused(&self) -> String {
        let output = self.run(&["--path"]);
        assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn the_preferred_version_wins_wherever_it_is() {
    let mut machine = Machine::new();
    machine.on_path("bin");
    machine.interpreter("bin/python3", "ok|12|9|/x");
    machine.interpreter("bin/python3.14", "ok|14|0|/x");
    let best = machine.interpreter("home/.pyenv/versions/3.13.0/bin/python", "ok|13|0|/x");
    assert_eq!(machine.chosen(), shown(&best));
}

#[test]
fn without_it_the_next_best_and_the_newest_patch_wins() {
    let mut machine = Machine::new();
    machine.on_path("bin");
    machine.interpreter("bin/python3.9", "ok|9|20|/x");
    machine.interpreter("bin/python3.12", "ok|12|1|/x");
    let uv = "home/.local/share/uv/python/cpython-3.12.7-linux-x86_64-gnu/bin/python3";
    let best = machine.interpreter(uv, "ok|12|7|/x");
    assert_eq!(machine.chosen(), shown(&best));
    let best = machine.interpreter("bin/python3.14", "ok|14|0|/x");
    assert_eq!(machine.chosen(), shown(&best));
}

#[test]
fn an_active_environment_is_taken_when_it_fits() {
    let mut machine = Machine::new();
    machine.on_path("bin");
    let other = machine.interpreter("bin/python3.13", "ok|13|0|/x");
    let venv = machine.interpreter("venv/bin/python", "ok|11|2|/x");
    machine.variables.push(("VIRTUAL_ENV", shown(&machine.at("venv"))));
    assert_eq!(machine.chosen(), shown(&venv));
    machine.interpreter("venv/bin/python", "no|it was built without a shared library");
    assert_eq!(machine.chosen(), shown(&other));
}

#[test]
fn a_shim_is_not_even_started() {
    let mut machine = Machine::new();
    machine.on_path("home/.pyenv/shims");
    machine.on_path("bin");
    let shim = machine.interpreter("home/.pyenv/shims/python3.13", "ok|13|0|/x");
    let trace = machine.at("started");
    fs::write(&shim, format!("#!/bin/sh\ntouch {}\n", trace.display())).expect("written");
    let best = machine.interpreter("bin/python3.10", "ok|10|1|/x");
    assert_eq!(machine.chosen(), shown(&best));
    assert!(!trace.exists());
}

#[test]
fn one_that_does_not_answer_is_passed_over() {
    let mut machine = Machine::new();
    machine.on_path("bin");
    for answer in ["", "Python 2.7", "ok"] {
        machine.interpreter("bin/python3.13", answer);
        let best = machine.interpreter("bin/python3.9", "ok|9|0|/x");
        assert_eq!(machine.chosen(), shown(&best), "{answer}");
    }
}

#[test]
fn a_wish_is_taken_as_it_is_or_refused_by_name() {
    let mut machine = Machine::new();
    machine.on_path("bin");
    machine.interpreter("bin/python3.13", "ok|13|0|/x");
    let wish = machine.interpreter("wish/python", "ok|9|1|/x");
    machine.variables = vec![("PYO3_PYTHON", shown(&wish))];
    assert_eq!(machine.chosen(), shown(&wish));
    machine.interpreter("wish/python", "no|it is PyPy, not CPython");
    let said = machine.refused();
    assert!(said.contains("it is PyPy") && said.contains("unset PYO3_PYTHON"), "{said}");
}

#[test]
fn cargos_own_setting_is_no_wish() {
    let mut machine = Machine::new();
    machine.on_path("bin");
    let best = machine.interpreter("bin/python3.13", "ok|13|0|/x");
    machine.variables = vec![("PYO3_PYTHON", "/somewhere/tools/find-python".to_owned())];
    assert_eq!(machine.chosen(), shown(&best));
}

#[test]
fn when_none_fits_everything_looked_at_is_named_with_a_remedy() {
    let mut machine = Machine::new();
    machine.on_path("bin");
    let said = machine.refused();
    assert!(said.contains("no python on this machine"), "{said}");
    let old = machine.interpreter("bin/python3", "no|it is 3.6; 3.9 to 3.14 are supported");
    let said = machine.refused();
    assert!(said.contains(&shown(&old)) && said.contains("it is 3.6"), "{said}");
    assert!(said.contains("uv python install 3.13"), "{said}");
    machine.interpreter("bin/apt-get", "");
    assert!(machine.refused().contains("sudo apt-get install python3-dev"));
    machine.interpreter("bin/nix", "");
    assert!(machine.refused().contains("hint: nix develop"));
}

#[test]
fn it_becomes_the_interpreter_with_the_arguments_as_they_were() {
    let mut machine = Machine::new();
    machine.on_path("bin");
    let best = machine.interpreter("bin/python3.13", "ok|13|0|/x");
    let output = machine.run(&["-c", "print(1, 2)"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(said, format!("I am {} -c print(1, 2)\n", best.display()));
}
