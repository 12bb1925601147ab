//! What the end of a text says about its last statement, against the syntax tree, over the
//! standard library: each module, cut after some of its statements.
//!
//! **Invariant:** an answer is never another than the syntax tree's.

use super::with_python;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use runtime::tail::{self, Tail};

const PROGRAMS: &std::ffi::CStr = c"
import ast, os, random, sysconfig
chance = random.Random(7)
programs = []
names = sorted(os.listdir(sysconfig.get_path('stdlib')))
for name in [n for n in names if n.endswith('.py')]:
    with open(os.path.join(sysconfig.get_path('stdlib'), name), 'rb') as file:
        try:
            text = file.read().decode()
            statements = ast.parse(text).body
        except (UnicodeDecodeError, SyntaxError):
            continue
    lines = text.splitlines(keepends=True)
    bodies = [s.body for s in ast.walk(ast.Module(statements, [])) if isinstance(s, ast.FunctionDef)]
    for last in chance.sample(statements, min(6, len(statements))):
        cut = ''.join(lines[:last.end_lineno])
        is_value = isinstance(last, ast.Expr)
        programs.append((cut, is_value, last.lineno - 1))
    # Expressions are rare at module level: calls within functions, made top-level.
    import textwrap
    for body in chance.sample(bodies, min(6, len(bodies))):
        for s in body:
            if isinstance(s, ast.Expr) and s.lineno not in (b.lineno for b in body if b is not s):
                segment = textwrap.dedent(''.join(lines[s.lineno - 1:s.end_lineno]))
                try:
                    if len(ast.parse('x = 1\\n' + segment).body) != 2:
                        continue
                except SyntaxError:
                    continue
                programs.append(('x = 1\\n' + segment, True, 1))
programs += [(f'{first}; {text}', True, 0) for first in ('import os', 'x = 1', 'del y', 'pass')
             for text in ('1', 'x', '[x]', \"';'\")]
";

#[test]
fn the_last_statement_is_what_the_syntax_tree_says() {
    with_python(|py| {
        let globals = PyDict::new(py);
        py.run(PROGRAMS, Some(&globals), None).expect("the standard library is read");
        let programs = globals.get_item("programs").expect("a lookup").expect("programs");
        let programs: Vec<(String, bool, usize)> = programs.extract().expect("texts");
        let (mut unsure, mut values) = (0, 0);
        for (text, is_value, line) in &programs {
            let last: String = text.lines().skip(*line).collect::<Vec<_>>().join("\n");
            match tail::of(text) {
                Tail::Unsure => unsure += 1,
                Tail::Statement => assert!(!is_value, "a value: {last}"),
                Tail::Expression { start, lines } => {
                    assert!(is_value, "no value: {last}");
                    assert_eq!(lines, *line, "{last}");
                    assert!(text[start..].starts_with(last.lines().next().unwrap_or_default()));
                    values += 1;
                }
            }
        }
        assert!(values > 100, "only {values} of {} programs end with a value", programs.len());
        assert!(unsure * 4 < programs.len(), "{unsure} of {} are in doubt", programs.len());
    });
}
