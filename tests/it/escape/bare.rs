//! An attack outside the sandbox: an ordinary process in a directory of its own, with limits.
//!
//! **Invariant:** it is harmless: loopback, temporary directories, sleepers of its own to aim at.

use super::attack::{Attack, BareExpect};
use super::prefix::Prefix;
use super::world::{Others, World, stops};
use serde_json::{Value, json};
use std::io::Read as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Longest that a bare run may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Said after the program: the runner reads the last such line.
const SAID: &str = "\n@RESULT ";

/// A bare run.
#[derive(Debug)]
pub(crate) struct Bare;

struct Sleeper(Child);

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Bare {
    /// Runs it unless it can't show anything here; complains when it does not do what it says.
    pub(crate) fn run(attack: &Attack, prefix: &Prefix) -> Result<(), String> {
        let unprivileged = attack.bare_unprivileged.as_ref().filter(|_| !prefix.is_root());
        let BareExpect::Comes(expected) = unprivileged.unwrap_or(&attack.bare) else {
            return Ok(());
        };
        let world = World::new(prefix);
        let sleep = || {
            let mut sleeper = prefix.command("sleep");
            Sleeper(sleeper.arg("60").stdin(Stdio::null()).spawn().unwrap())
        };
        let [sibling, supervisor, zygote] = [(); 3].map(|()| sleep());
        let others = Others {
            sibling: sibling.0.id(),
            supervisor: supervisor.0.id(),
            zygote: zygote.0.id(),
        };
        let before = [world.fingerprint("outside"), world.fingerprint("granted")];
        let result = Self::result(attack, prefix, &world, others)?;
        if result != *expected {
            return Err(format!("{} bare: {result}, not {expected}", attack.name));
        }
        let touched = match attack.canary.as_deref() {
            Some("outside") => world.fingerprint("outside") != before[0],
            Some("granted") => world.fingerprint("granted") != before[1],
            Some("network") => world.was_called(),
            Some("sibling") => stops(sibling.0.id()),
            Some(other) => return Err(format!("{}: no canary is called {other}", attack.name)),
            None => return Ok(()),
        };
        // where the bare run may be refused, nothing is touched
        let refused = expected.get("errno").is_some();
        if touched == refused {
            return Err(format!("{} bare: its canary was not touched", attack.name));
        }
        Ok(())
    }

    fn result(
        attack: &Attack,
        prefix: &Prefix,
        world: &World,
        others: Others,
    ) -> Result<Value, String> {
        let program = world.path("program.py");
        let said = format!("\nprint({SAID:?} + json.dumps(_result), flush=True)\n");
        std::fs::write(&program, attack.program(&world.described(others)) + &said).unwrap();
        // descriptor 9 is what somebody left open
        let once = "\"$0\" -I -B \"$1\"; code=$?; ";
        let shell = format!(
            "ulimit -c 0; ulimit -t 20; exec 9<\"$2\"; {} [ $code -gt 128 ] && kill -$((code - 128)) $$; exit $code",
            once.repeat(attack.runs)
        );
        let mut child = prefix
            .command("sh")
            .args(["-c", &shell])
            .arg(&prefix.python)
            .arg(&program)
            .arg(world.path("outside/secret"))
            .current_dir(world.path("work"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let reader = std::thread::spawn(move || {
            let mut text = Vec::new();
            stdout.read_to_end(&mut text).map(|_| text)
        });
        let errors = std::thread::spawn(move || {
            let mut text = Vec::new();
            stderr.read_to_end(&mut text).map(|_| text)
        });
        let until = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > until {
                child.kill().unwrap();
                child.wait().unwrap();
                return Err(format!("{} bare: not done within {PATIENCE:?}", attack.name));
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let text = String::from_utf8_lossy(&reader.join().unwrap().unwrap()).into_owned();
        let errors = String::from_utf8_lossy(&errors.join().unwrap().unwrap()).into_owned();
        if let Some(signal) = status.signal() {
            return Ok(json!({ "signal": signal }));
        }
        let line = text.rsplit_once(SAID).map(|(_, rest)| rest.lines().next().unwrap_or_default());
        let line = line.ok_or_else(|| format!("{} bare: no result: {errors}", attack.name))?;
        serde_json::from_str(line).map_err(|error| format!("{} bare: {error}", attack.name))
    }
}
