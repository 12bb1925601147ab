//! Profiles, read from every shape an operator may write them in.

use super::*;
use crate::config::Config;

fn read(keys: &[(&str, &str)]) -> (Profiles, Vec<String>) {
    let mut profiles = Profiles::default();
    let mut complaints = profiles.set_all(keys.iter().copied());
    complaints.extend(profiles.settle(&Reserved::of(&Config::default())));
    (profiles, complaints)
}

#[test]
fn the_default_profile_is_made_of_plain_keys() {
    let keys = [
        ("read_paths", "/etc:/usr"),
        ("network", "tcp:443, 80,443"),
        ("processes", "allowed"),
        ("executables", r#"["/bin/sh"]"#),
        ("environment", "LANG, API_KEY"),
    ];
    let (profiles, complaints) = read(&keys);
    assert_eq!(complaints, [""; 0]);
    let profile = &profiles.default;
    assert_eq!(profile.read_paths, ["/etc", "/usr"].map(PathBuf::from));
    assert_eq!(profile.ports, [80, 443]);
    assert!(profile.processes);
    let shell = PathBuf::from("/bin/sh").canonicalize().unwrap();
    assert_eq!(profile.executables, [shell], "links are resolved");
    assert_eq!(profile.environment, ["LANG", "API_KEY"]);
    assert_eq!(profile.granted().len(), 4, "{:?}", profile.granted());
    assert!(!profile.requestable);
}

#[test]
fn named_profiles_come_as_json_or_as_flattened_tables() {
    let json = r#"{"web": {"network": "tcp:443", "requestable": true,
                           "limits": {"timeout_secs": 5, "memory_bytes": "64M", "threads": 3}}}"#;
    let flat = [
        ("profiles.web.network", "tcp:443"),
        ("profiles.web.requestable", "true"),
        ("profiles.web.limits.timeout_secs", "5.000000"),
        ("profiles.web.limits.memory_bytes", "64M"),
        ("profiles.web.limits.threads", "3"),
    ];
    let (from_json, complaints) = read(&[("profiles", json)]);
    assert_eq!(complaints, [""; 0]);
    let (from_tables, complaints) = read(&flat);
    assert_eq!(complaints, [""; 0]);
    assert_eq!(from_json, from_tables);
    let mut limits = Limits::default();
    from_json.named["web"].limits.apply(&mut limits);
    assert_eq!((limits.wall.as_secs(), limits.memory_bytes, limits.threads), (5, 64 << 20, 3));
    assert_eq!(limits.host_calls, Limits::default().host_calls);
}

#[test]
fn a_request_may_name_only_what_was_opened_to_requests() {
    let json = r#"{"web": {"network": "tcp:443", "requestable": true}, "shell": {"processes": "allowed"}}"#;
    let (profiles, _) = read(&[("profiles", json), ("handlers", "crawl=web,build=shell")]);
    assert!(profiles.requested("web").is_ok());
    assert!(profiles.requested("default").is_ok());
    for name in ["shell", "nothing", "", "WEB"] {
        let refusal = profiles.requested(name).unwrap_err();
        assert!(refusal.contains("they may name: web"), "{refusal}");
    }
    assert_eq!(profiles.of_handler("Build").unwrap().0, "shell", "the core writes lower case");
    assert!(profiles.of_handler("other").is_none());
}

#[test]
fn what_makes_no_sense_is_named_and_grants_nothing() {
    for (name, value, words) in [
        ("network", "tcp:http", "`http` is no port"),
        ("network", "tcp:0", "`0` is no port"),
        ("network", "tcp:70000", "`70000` is no port"),
        ("network", "tcp:", "is no port"),
        ("network", "udp:53", "neither"),
        ("network", "all", "neither"),
        ("processes", "yes", "neither `none` nor `allowed`"),
        ("read_paths", "/no/such/place", "No such file"),
        ("read_paths", "relative", "not an absolute path"),
        ("read_paths", "[1]", "a list of strings"),
        ("write_paths", "/proc", "the kernel's settings"),
        ("write_paths", "/proc/sys", "a place of"),
        ("write_paths", "/", "it holds"),
        ("read_paths", "/", "the scratch directories"),
        ("environment", "A-B", "no name"),
        ("environment", "LD_PRELOAD", "the interpreter itself"),
        ("environment", "PYTHONPATH", "the interpreter itself"),
        ("wings", "1", "unknown"),
        ("profiles", "[]", "JSON object"),
        ("profiles", r#"{"web": 1}"#, "JSON object"),
        ("profiles", r#"{"web": {"network": "tcp:x"}}"#, "`network`: `x` is no port"),
        ("profiles", r#"{"web": {"wings": 1}}"#, "unknown"),
        ("profiles", r#"{"web": {"limits": {"wings": 1}}}"#, "unknown limit `wings`"),
        ("profiles", r#"{"web": {"limits": {"threads": -1}}}"#, "makes no sense"),
        ("profiles", r#"{"web": {"requestable": "maybe"}}"#, "true or false"),
        ("profiles", r#"{"Web": {"network": "tcp:443"}}"#, "a-z"),
        ("profiles", r#"{"default": {"network": "tcp:443"}}"#, "`sandbox.network`"),
        ("profiles", r#"{"web": {"network": "tcp:443", "read_paths": ["/no/such"]}}"#, "No such"),
        ("handlers", "crawl=web", "no profile `web`"),
        ("handlers", "crawl", "`handler=profile`"),
    ] {
        let (profiles, complaints) = read(&[(name, value)]);
        assert_eq!(profiles, Profiles::default(), "{name} = {value}");
        let named = complaints.iter().any(|c| c.contains("`sandbox.") && c.contains(words));
        assert!(named, "{name} = {value}: {complaints:?}");
    }
}
