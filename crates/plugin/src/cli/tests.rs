//! The command line, without a process.

use super::*;

fn parse(args: &[&str], piped: bool) -> Result<Invocation, clap::Error> {
    Invocation::parse(args.iter().map(OsString::from).collect(), piped)
}

#[test]
fn the_definition_is_sound() {
    use clap::CommandFactory as _;
    Cli::command().debug_assert();
}

#[test]
fn a_core_may_pass_anything() {
    let args = ["qntx-python-plugin", "--port", "38700", "--shiny", "--mode=fast", "extra", "-x"];
    let invocation = parse(&args, true).unwrap();
    assert!(invocation.by_core);
    assert_eq!(invocation.ignored, ["--shiny", "--mode=fast", "extra", "-x"]);
    assert_eq!(invocation.listen().unwrap(), ("127.0.0.1".to_owned(), 38700));
}

#[test]
fn a_person_is_told_about_an_unknown_argument() {
    assert!(parse(&["qntx-python-plugin", "--port", "1", "--shiny"], false).is_err());
    assert!(parse(&["qntx-python-plugin", "--shiny"], true).is_err(), "no --port: not a core");
}

#[test]
fn a_repeated_port_is_the_last_one() {
    let invocation = parse(&["p", "--port", "1", "--port=2"], true).unwrap();
    assert_eq!(invocation.listen().unwrap().1, 2);
}

#[test]
fn the_name_is_the_flags_or_the_binarys() {
    let name = |args: &[&str]| parse(args, false).unwrap().name();
    assert_eq!(name(&["/a/b/qntx-python-plugin"]), "python");
    assert_eq!(name(&["qntx-pandas-plugin"]), "pandas");
    assert_eq!(name(&["qntx-plugin"]), "python");
    assert_eq!(name(&["anything"]), "python");
    assert_eq!(name(&["qntx-pandas-plugin", "--name", "x"]), "x");
}

#[test]
fn addresses_are_split_at_the_port() {
    for (address, host, port) in [
        ("localhost", "localhost", None),
        ("localhost:1", "localhost", Some(1)),
        ("[::1]:1", "[::1]", Some(1)),
        ("[::1]", "[::1]", None),
        ("::1", "::1", None),
        ("0.0.0.0:9000", "0.0.0.0", Some(9000)),
    ] {
        let (got_host, got_port) = split_address(address).unwrap();
        assert_eq!((got_host.as_str(), got_port), (host, port), "{address}");
    }
    for wrong in ["", ":1", "h:x", "h:70000"] {
        assert!(split_address(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn flags_become_the_configuration() {
    let args = ["p", "--timeout-secs", "0.5", "--memory", "512M", "--max-concurrency", "2"];
    let (config, fixed) = parse(&args, false).unwrap().config().unwrap();
    assert_eq!(config.defaults.wall, Duration::from_millis(500));
    assert_eq!(config.defaults.memory_bytes, 512 << 20);
    assert_eq!((config.max_concurrency, config.interactive_reserve), (2, 1));
    assert!(fixed.contains("timeout_secs") && fixed.contains("memory"));
    assert!(!fixed.contains("queue"));
    assert_eq!(config.file_roots, [std::env::current_dir().unwrap()]);
}

#[test]
fn flags_stand_before_and_after_the_command() {
    for args in [["p", "--memory", "1G", "eval", "1"], ["p", "eval", "1", "--memory", "1G"]] {
        let invocation = parse(&args, false).unwrap();
        assert_eq!(invocation.cli.options.memory, Some(1 << 30));
        assert!(matches!(invocation.cli.command, Some(Command::Eval { .. })));
    }
    let negative = parse(&["p", "eval", "-1"], false).unwrap();
    assert!(matches!(negative.cli.command, Some(Command::Eval { expr, .. }) if expr == "-1"));
}

#[test]
fn a_default_above_the_maximum_is_refused() {
    let args = ["p", "--timeout-secs", "10", "--max-timeout-secs", "5"];
    assert!(parse(&args, false).unwrap().config().is_err());
    let (config, _) = parse(&["p", "--max-timeout-secs", "5"], false).unwrap().config().unwrap();
    assert_eq!(config.defaults.wall.as_secs(), 5);
}

#[test]
fn the_parts_of_tls_come_together_or_not_at_all() {
    use crate::tls::Mode;
    let (cert, key) = (["--tls-cert", "/c.pem"], ["--tls-key", "/k.pem"]);
    let authority = ["--tls-client-ca", "/a.pem"];
    let start = |flags: &[&[&str]]| {
        let args = [&["p"], flags.concat().as_slice()].concat();
        let invocation = parse(&args, false).unwrap();
        invocation.tls().map(|files| (files, invocation.config().unwrap().0.tls))
    };
    assert_eq!(start(&[]).unwrap(), (None, Mode::Off));
    let (files, mode) = start(&[&cert, &key]).unwrap();
    let files = files.unwrap();
    assert_eq!((files.cert, files.key), ("/c.pem".into(), "/k.pem".into()));
    assert_eq!((files.client_ca, mode), (None, Mode::Server));
    assert_eq!(start(&[&cert, &key, &authority]).unwrap().1, Mode::Mutual);
    for (wrong, needed) in [
        (vec![cert.as_slice()], "--tls-key"),
        (vec![&key], "--tls-cert"),
        (vec![&authority], "--tls-cert and --tls-key"),
        (vec![&cert, &authority], "--tls-key"),
        (vec![&key, &authority], "--tls-cert"),
    ] {
        let failure = start(&wrong).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.error.to_string().ends_with(&format!("needs {needed}")), "{wrong:?}");
        assert!(failure.hint.is_some(), "{wrong:?}");
    }
}

#[test]
fn values_without_sense_are_refused() {
    for args in [
        ["p", "--timeout-secs", "0"],
        ["p", "--timeout-secs", "-1"],
        ["p", "--timeout-secs", "soon"],
        ["p", "--memory", "lots"],
        ["p", "--max-concurrency", "0"],
        ["p", "--port", "70000"],
        ["p", "--log-format", "xml"],
    ] {
        assert!(parse(&args, false).is_err(), "{args:?}");
    }
}
