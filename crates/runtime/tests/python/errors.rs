//! Exceptions look as `python` shows them, without frames of ours, whatever
//! the script did.

use proto::claimed::MAX_TRACEBACK;
use proto::frame::Raised;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyModule};
use runtime::errors::{exit_code, raised, register_source};

use crate::with_python;

/// Runs `code` as an execution does, under a pseudo-file of its own.
fn failing<T>(file: &str, code: &str, work: impl FnOnce(Python<'_>, &PyErr) -> T) -> T {
    with_python(|py| {
        register_source(py, file, code).expect("registered");
        let builtins = py.import("builtins").expect("builtins");
        // as a child does: what the script does to builtins is undone by the test
        let before = builtins.dict().copy().expect("a copy");
        let globals = PyModule::new(py, "__main__").expect("a module").dict();
        globals.set_item("__builtins__", &builtins).expect("set");
        let (compile, exec) = (builtins.getattr("compile"), builtins.getattr("exec"));
        let ran = compile
            .and_then(|compile| compile.call1((code, file, "exec")))
            .and_then(|code| exec?.call1((code, &globals)));
        let answer = work(py, &ran.expect_err("the code raises"));
        let _: () = builtins.dict().update(before.as_mapping()).expect("restored");
        answer
    })
}

fn shown(file: &str, code: &str) -> Raised {
    failing(file, code, |py, error| raised(py, error, file))
}

/// Whether this interpreter is at least 3.`minor`.
fn since(minor: u8) -> bool {
    with_python(|py| py.version_info() >= (3, minor))
}

/// The text; before 3.13, which marks more, both without marks under the source.
fn same_text(shown: &str, expect: &str) {
    let unmarked = |text: &str| -> String {
        let is_mark = |line: &&str| !line.is_empty() && line.chars().all(|c| " ~^".contains(c));
        text.lines().filter(|line| !is_mark(line)).flat_map(|line| [line, "\n"]).collect()
    };
    if since(13) {
        assert_eq!(shown, expect);
    } else {
        assert_eq!(unmarked(shown), unmarked(expect));
    }
}

#[test]
fn a_traceback_has_the_users_frames_with_their_source() {
    let raised = shown("<e1>", "def f(x):\n    return 1 / x\n\nf(0)\n");
    same_text(
        &raised.traceback,
        "Traceback (most recent call last):\n\
         \x20 File \"<e1>\", line 4, in <module>\n    f(0)\n    ~^^^\n\
         \x20 File \"<e1>\", line 2, in f\n    return 1 / x\n           ~~^~~\n\
         ZeroDivisionError: division by zero\n",
    );
    assert_eq!(
        (raised.r#type.as_str(), raised.message.as_str()),
        ("ZeroDivisionError", "division by zero")
    );
    assert_eq!((raised.line, raised.memory_error), (2, false));
}

#[test]
fn lines_are_pythons_lines() {
    let raised = shown("<e2>", "x = '\u{2028}\u{85}\x0c'\r\ny = 1\r1/0 # here");
    assert!(
        raised.traceback.contains("line 3, in <module>\n    1/0 # here\n"),
        "{}",
        raised.traceback
    );
    assert_eq!(raised.line, 3);
}

#[test]
fn a_syntax_error_has_a_caret_and_its_line() {
    let raised = shown("<e3>", "x = 1\ny = = 2\nz = 3\n");
    assert_eq!(
        raised.traceback,
        "  File \"<e3>\", line 2\n    y = = 2\n        ^\nSyntaxError: invalid syntax\n"
    );
    assert_eq!((raised.line, raised.message.as_str()), (2, "invalid syntax"));
    let inner = shown("<e4>", "pass\neval('1 +')");
    assert_eq!((inner.line, inner.r#type.as_str()), (2, "SyntaxError"));
}

#[test]
fn causes_and_contexts_are_shown() {
    let caused = "try:\n    {}['k']\nexcept KeyError as e:\n    raise ValueError('v') from e\n";
    let text = shown("<e5>", caused).traceback;
    assert!(text.contains("KeyError: 'k'\n\nThe above exception was the direct cause"), "{text}");
    assert!(text.ends_with("ValueError: v\n"), "{text}");
    let text = shown("<e28>", &caused.replace(" from e", "")).traceback;
    assert!(text.contains("During handling of the above exception"), "{text}");
}

#[test]
fn what_newer_pythons_add_is_shown() {
    if since(11) {
        let noted = shown("<e29>", "e = KeyError('k'); e.add_note('a note')\nraise e").traceback;
        assert!(noted.ends_with("KeyError: 'k'\na note\n"), "{noted}");
        let group = shown("<e6>", "raise ExceptionGroup('g', [ValueError(1), TypeError(2)])");
        let text = group.traceback;
        assert!(text.starts_with("  + Exception Group Traceback (most recent call last):\n"));
        assert!(text.contains("    | ValueError: 1\n"), "{text}");
    }
    if since(12) {
        let text = shown("<e7>", "counter = 1\ncuonter").traceback;
        assert!(text.ends_with("'cuonter' is not defined. Did you mean: 'counter'?\n"), "{text}");
    }
}

#[test]
fn frames_of_ours_and_of_the_import_system_are_left_out() {
    let raised = shown("<e8>", "from qntx import attest\nattest(5, 'x')\n");
    same_text(
        &raised.traceback,
        "Traceback (most recent call last):\n  File \"<e8>\", line 2, in <module>\n    attest(5, 'x')\n    \
         ~~~~~~^^^^^^^^\nTypeError: attest: subjects must be a string or a list of strings, not int\n",
    );
    let raised = shown("<e9>", "import no_such_module_at_all");
    assert!(!raised.traceback.contains("frozen"), "{}", raised.traceback);
    assert_eq!(raised.line, 1);
}

#[test]
fn recursion_is_folded() {
    let raised = shown("<e10>", "def f(): f()\nf()");
    let text = raised.traceback;
    assert!(text.contains("[Previous line repeated 9"), "{text}");
    assert!(text.contains("RecursionError: maximum recursion depth exceeded"), "{text}");
    if !since(11) {
        return; // there each Python call takes machine stack, which ends before
    }
    let long = shown(
        "<e11>",
        "import sys\nold = sys.getrecursionlimit()\nsys.setrecursionlimit(60_000)\n\
         def f(n):\n    if n: f(n - 1)\n    else: sys.setrecursionlimit(old); 1/0\nf(50_000)",
    );
    assert!(
        long.traceback.starts_with("[48002 frames in the middle are left out]\n"),
        "{:.300}",
        long.traceback
    );
    assert_eq!(long.line, 6);
}

#[test]
fn long_texts_are_cut_and_say_so() {
    let raised = shown("<e12>", "raise ValueError('é' * 1_000_000)");
    assert!(raised.traceback.len() <= MAX_TRACEBACK && raised.message.len() <= MAX_TRACEBACK);
    assert!(raised.traceback.contains("bytes are left out]"));
    assert!(raised.traceback.starts_with("Traceback (most recent call last):\n  File \"<e12>\""));
    assert!(raised.message.ends_with("é..."));
}

#[test]
fn chains_without_end_are_cut() {
    let raised = shown(
        "<e13>",
        "e = None\nfor i in range(100_000):\n    n = ValueError(i); n.__cause__ = e; e = n\nraise e",
    );
    assert!(raised.traceback.ends_with("ValueError: 99999\n"), "{:.300}", raised.traceback);
    let round = shown(
        "<e14>",
        "a = ValueError('a'); b = ValueError('b')\na.__cause__ = b; b.__cause__ = a\nraise a",
    );
    assert!(round.traceback.ends_with("ValueError: a\n"));
}

#[test]
fn hostile_exceptions_are_described() {
    let broken = shown("<e15>", "class E(Exception):\n    def __str__(self): raise E()\nraise E");
    assert_eq!(
        (broken.r#type.as_str(), broken.message.as_str()),
        ("E", "<exception str() failed>")
    );
    assert!(broken.traceback.contains("\nE: <"), "{}", broken.traceback);
    let surrogate = shown("<e16>", "raise ValueError('a\\udc80b')");
    assert_eq!(surrogate.message, "a\\udc80b");
    assert!(surrogate.traceback.ends_with("ValueError: a\\udc80b\n"));
    let meta = shown(
        "<e17>",
        "class M(type):\n    def __getattribute__(c, n): raise SystemExit(n)\n\
         class E(Exception, metaclass=M): pass\nraise E('x')",
    );
    assert!(meta.traceback.contains("File \"<e17>\", line 4, in <module>"), "{}", meta.traceback);
    let notes = shown("<e18>", "e = ValueError('x'); e.__notes__ = 5\nraise e");
    assert!(notes.traceback.contains("ValueError: x"), "{}", notes.traceback);
}

#[test]
fn patched_builtins_do_not_reach_the_description() {
    let raised = shown(
        "<e19>",
        "import builtins\nfor n in ('len', 'isinstance', 'getattr', 'str', 'print', 'list', 'id', 'type'):\n    \
         setattr(builtins, n, None)\ndel builtins.set\n1/0",
    );
    same_text(
        &raised.traceback,
        "Traceback (most recent call last):\n  File \"<e19>\", line 5, in <module>\n    1/0\n    ~^~\n\
         ZeroDivisionError: division by zero\n",
    );
    // and the script's patches are its own again afterwards
    failing("<e20>", "import builtins\nbuiltins.len = 5\ndel builtins.set\n1/0", |py, error| {
        let _ = raised_of(py, error);
        let builtins = py.import("builtins").expect("builtins");
        assert_eq!(builtins.getattr("len").expect("len").extract::<i64>().expect("int"), 5);
        assert!(builtins.getattr("set").is_err());
    });
}

fn raised_of(py: Python<'_>, error: &PyErr) -> Raised {
    raised(py, error, "<e20>")
}

#[test]
fn a_patched_traceback_module_leaves_a_plainer_text() {
    let code = "import linecache\nsaved = linecache.checkcache\ndef f(*a): raise SystemExit\nlinecache.checkcache = f\n1/0";
    // In one turn: what others describe meanwhile would be plainer too.
    let raised = with_python(|py| {
        let raised = shown("<e21>", code);
        let linecache = py.import("linecache").expect("linecache");
        let globals = PyDict::new(py);
        globals.set_item("linecache", &linecache).expect("set");
        py.run(c"import importlib; importlib.reload(linecache)", Some(&globals), None)
            .expect("reload");
        raised
    });
    same_text(
        &raised.traceback,
        "Traceback (most recent call last):\n  File \"<e21>\", line 5, in <module>\nZeroDivisionError: division by zero\n",
    );
}

#[test]
fn names_are_qualified_as_python_does() {
    assert_eq!(
        shown("<e22>", "import json; json.loads('{')").r#type,
        "json.decoder.JSONDecodeError"
    );
    let own = shown("<e23>", "class A:\n    class E(Exception): pass\nraise A.E('x')");
    assert_eq!(own.r#type, "A.E");
    assert_eq!(shown("<e24>", "raise KeyError('k')").message, "'k'");
    assert!(shown("<e25>", "raise MemoryError").memory_error);
}

#[test]
fn exit_codes_follow_cpython() {
    let cases: [(&str, i32, Option<&str>); 9] = [
        ("SystemExit", 0, None),
        ("SystemExit(None)", 0, None),
        ("SystemExit(3)", 3, None),
        ("SystemExit(-1)", 255, None),
        ("SystemExit(256)", 0, None),
        ("SystemExit(10**30)", 255, None),
        ("SystemExit(True)", 1, None),
        ("SystemExit('bye \\udc80')", 1, Some("bye \\udc80")),
        ("SystemExit((1, 2))", 1, Some("(1, 2)")),
    ];
    for (code, expect, text) in cases {
        let got = failing("<e26>", &format!("raise {code}"), exit_code);
        assert_eq!(got, Some((expect, text.map(str::to_owned))), "for {code}");
    }
    assert_eq!(failing("<e27>", "1/0", exit_code), None);
}
