//! What a module declares, read from its syntax tree.
//!
//! **Invariant:** an answer is what running the module would give; where that
//! can't be known the answer is none, never a guess.

use super::with_python;
use pyo3::prelude::*;
use pyo3::types::PyDict;

const READER: &str = include_str!("../../src/python/declared.py");

/// The declarations as `kind function details…`, or `unknown`.
fn read(source: &str) -> String {
    with_python(|py| {
        let globals = PyDict::new(py);
        let reader = std::ffi::CString::new(READER).expect("no NUL");
        py.run(&reader, Some(&globals), None).expect("the reader runs");
        globals.set_item("source", source).expect("set");
        let code = c"
import ast
found = declared(ast.parse(source))
def shown(d):
    rest = [f'{k}={v!r}' for k, v in d.items() if k not in ('kind', 'function', 'line')]
    return ' '.join([d['kind'], d['function'], str(d['line']), *rest])
answer = 'unknown' if found is None else '; '.join(map(shown, found))
";
        py.run(code, Some(&globals), None).expect("the source parses");
        let answer = globals.get_item("answer").expect("a lookup").expect("an answer");
        answer.extract().expect("text")
    })
}

#[track_caller]
fn check(source: &str, expect: &str) {
    assert_eq!(read(source), expect, "for {source}");
}

#[test]
fn literal_arguments_need_no_run() {
    check("print('hi')", "");
    check("@watch('p')\ndef f(): pass", "watch f 1 predicate='p' context=None");
    check(
        "x = 1\n@watch(predicate='p', context='c')\ndef f(a): pass",
        "watch f 2 predicate='p' context='c'",
    );
    check("@schedule(60 * 5)\ndef f():\n    'doc'", "schedule f 1 every=300.0 description='doc'");
    check(
        "@schedule(every=2.5, description='d')\ndef f(): pass",
        "schedule f 1 every=2.5 description='d'",
    );
    check("@handler\ndef f(): pass", "handler f 1 description=''");
    check("@handler()\nasync def f(): pass", "handler f 1 description=''");
    check(
        "@watch('a')\n@schedule(5)\ndef f(): pass",
        "schedule f 1 every=5.0 description=''; watch f 1 predicate='a' context=None",
    );
}

#[test]
fn imported_names_count_as_the_globals_do() {
    check("import qntx\n@qntx.handler\ndef f(): qntx.log('x')", "handler f 2 description=''");
    check("import qntx as q\n@q.watch('p')\ndef f(): pass", "watch f 2 predicate='p' context=None");
    check(
        "from qntx import watch as w, log\n@w('p')\ndef f(): pass",
        "watch f 2 predicate='p' context=None",
    );
}

#[test]
fn a_functions_own_names_are_its_own() {
    check("def f(handler, watch=None):\n    schedule = handler\n    return schedule, watch", "");
    check("def f():\n    handler = 1\n    return [handler, lambda: handler]", "");
}

#[test]
fn what_only_a_run_can_tell_is_not_guessed() {
    for source in [
        "P = 'p'\n@watch(P)\ndef f(): pass",
        "@watch('a' 'b' + x)\ndef f(): pass",
        "@watch(*['p'])\ndef f(): pass",
        "@watch('p', **{})\ndef f(): pass",
        "@watch\ndef f(): pass",
        "@watch(7)\ndef f(): pass",
        "@schedule(0)\ndef f(): pass",
        "@schedule(-5)\ndef f(): pass",
        "@schedule(every='5')\ndef f(): pass",
        "if True:\n    @watch('p')\n    def f(): pass",
        "class A:\n    @handler\n    def f(self): pass",
        "def f():\n    watch('p')(print)\nf()",
        "w = watch",
        "watch = print",
        "def watch(p): pass",
        "for watch in []: pass",
        "try:\n    pass\nexcept ValueError as watch:\n    pass",
        "import watch",
        "from os import *",
        "import qntx\nwith_ = qntx",
        "import qntx\nqntx.watch = print",
        "import qntx\ngetattr(qntx, 'watch')",
        "exec('x = 1')",
        "globals()['watch']('p')(print)",
        "__import__('qntx').watch('p')(print)",
        "import builtins",
        "def f():\n    global watch\n    watch = 1",
        "def f():\n    from qntx import watch\n    return watch('p')(print)",
        "def f() -> watch('p')(print): pass",
        "def f(a: watch('p')(print)): pass",
        "def f(a=watch('p')(print)): pass",
        "del watch",
    ] {
        check(source, "unknown");
    }
}
