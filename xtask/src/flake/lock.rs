//! flake.lock: which nixpkgs it pins, and that its bytes are those Nix itself writes.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value};

/// The pin, decided here once: moving it is an edit of this file and of flake.lock.
const PIN: [(&str, &str); 5] = [
    ("owner", "NixOS"),
    ("repo", "nixpkgs"),
    ("type", "github"),
    ("rev", "0e251e24a4f24e036a084b6b4b2d2491af4167f4"),
    ("narHash", "sha256-yNJd40f11EzXBjSByCB7IPpeFFAdeoSKKM67dGkfFoU="),
];
const LAST_MODIFIED: u64 = 1_786_599_213;

/// What is wrong with the lock file.
pub(crate) fn faults(text: &str) -> Result<Vec<String>> {
    let lock: Value = serde_json::from_str(text).context("flake.lock is no JSON")?;
    let mut faults = pin_faults(&lock["nodes"]["nixpkgs"]["locked"]);
    let nodes: Vec<&String> = lock["nodes"].as_object().into_iter().flat_map(Map::keys).collect();
    if nodes != ["nixpkgs", "root"] {
        faults.push(format!("flake.lock: nixpkgs is to be the only input, not {nodes:?}"));
    }
    let canonical = format!("{}\n", serde_json::to_string_pretty(&sorted(&lock))?);
    if canonical != text {
        faults
            .push("flake.lock: not as Nix writes it (indent 2, sorted, final newline)".to_owned());
    }
    Ok(faults)
}

/// Fails when Nix reads another pin from the lock file than the one known here.
pub(crate) fn agrees(metadata: &str) -> Result<()> {
    let metadata: Value = serde_json::from_str(metadata).context("nix wrote no JSON")?;
    let faults = pin_faults(&metadata["locks"]["nodes"]["nixpkgs"]["locked"]);
    ensure!(faults.is_empty(), "nix flake metadata: {}", faults.join("; "));
    Ok(())
}

fn pin_faults(locked: &Value) -> Vec<String> {
    let mut faults: Vec<String> = PIN
        .iter()
        .filter(|(key, value)| locked[*key].as_str() != Some(*value))
        .map(|(key, value)| format!("the pin's {key} is {}, not {value}", locked[*key]))
        .collect();
    if locked["lastModified"].as_u64() != Some(LAST_MODIFIED) {
        faults.push(format!("the pin's lastModified is {}", locked["lastModified"]));
    }
    faults
}

/// The same value with the keys of every object in order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let mut keys: Vec<&String> = object.keys().collect();
            keys.sort();
            Value::Object(keys.into_iter().map(|key| (key.clone(), sorted(&object[key]))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::faults;

    const LOCK: &str = include_str!("../../../flake.lock");

    #[test]
    fn the_lock_file_is_as_nix_writes_it() {
        assert_eq!(faults(LOCK).expect("JSON"), Vec::<String>::new());
    }

    #[test]
    fn another_pin_order_or_ending_is_a_fault() {
        for other in [
            LOCK.replace("0e251e24", "0e251e25"),
            LOCK.replace("1786599213", "1786599214"),
            LOCK.replace("  ", "    "),
            LOCK.trim_end().to_owned(),
            LOCK.replace("\"owner\"", "\"zzz\""),
        ] {
            assert_ne!(other, LOCK);
            assert!(!faults(&other).expect("JSON").is_empty());
        }
    }
}
