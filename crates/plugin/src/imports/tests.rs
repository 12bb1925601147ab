//! What a program imports, over made-up programs and texts.

use super::asked;
use proptest::prelude::*;

#[test]
fn every_form_of_an_import_is_read() {
    for (text, expected) in [
        ("import a", vec!["a"]),
        ("import a.b.c as d, e", vec!["a.b.c", "e"]),
        ("import a as b, c as d, e", vec!["a", "c", "e"]),
        ("from a.b import c as d, e", vec!["a.b"]),
        ("from a import (\n  b, # import no\n  c,\n)\nimport d", vec!["a", "d"]),
        ("from . import x; from ..y import z; from ...import w; import k", vec!["k"]),
        ("import \\\n  a . b, \\\n c", vec!["a.b", "c"]),
        ("try: import a\nexcept ImportError: import b\nif 1: from c import *", vec!["a", "b", "c"]),
        ("def f():\n\timport a;import b\nimport a", vec!["a", "b"]),
        ("raise X from y\nimport a\nx = yield from z\nimport b", vec!["a", "b"]),
        ("import übung.größe", vec!["übung.größe"]),
        ("\u{feff}import a\r\nimport b\r\n", vec!["a", "b"]),
        ("x = 1.5; y = 0x1f\nimport a\nimporta = important = 1", vec!["a"]),
        ("import", vec![]),
        ("from", vec![]),
        ("from a import", vec!["a"]),
        ("import a,", vec!["a"]),
        ("from import import import", vec![]),
    ] {
        assert_eq!(asked(text), expected, "{text:?}");
    }
}

#[test]
fn what_only_looks_like_one_is_none() {
    for text in [
        "# import a",
        "x = 'import a'",
        "x = \"\"\"\nimport a\n'''\nimport b\n\"\"\"",
        "x = r'\\' \\\nimport_a",
        "x = b'import a' rb\"import b\" U'import c'",
        "x = 'it\\'s; import a'",
        "x = f'{y} import a {{import b}}'",
        "x = f'{d['import a']} import b'",
        "x = f\"{f\"{f\"{1}\"}\"}; import a\"",
        "x = f'{y:{w}.{p}} import a'",
        "x = f'{y!r:>{10}}import a'",
        "x = f'''{\n  y  # ' import a\n}\nimport b'''",
        "x = f'\\N{BULLET} import a'",
        "x = rf'\\{y}' 'import a'",
        "x = f'{(lambda: 1)()}' 'import a'",
        "x = ''; y = 'import a'",
        "x = '''''' 'import a'",
        "important = reimport = import_ = 1",
    ] {
        assert_eq!(asked(text), Vec::<String>::new(), "{text:?}");
    }
}

#[test]
fn an_error_in_one_line_does_not_hide_the_next() {
    assert_eq!(asked("x = 'open\nimport a"), ["a"]);
    assert_eq!(asked("x = f'{y:open\nimport a"), ["a"]);
}

#[test]
fn depth_and_length_are_bounded() {
    let deep = "f'{".repeat(100_000);
    assert!(asked(&format!("import a\n{deep}")).len() == 1);
    let many: String = (0..10_000).map(|n| format!("import m{n}\n")).collect();
    assert_eq!(asked(&many).len(), super::MOST);
    assert!(asked(&format!("import {}", "a".repeat(10_000))).is_empty());
    assert!(asked(&format!("from {} import x", "a.".repeat(10_000))).is_empty());
    let late = format!("{}\nimport a", " ".repeat(super::LOOKED_AT));
    assert!(asked(&late).is_empty());
}

/// A statement and the modules it asks for.
fn statement() -> impl Strategy<Value = (String, Vec<String>)> {
    let name = || {
        proptest::collection::vec("[a-z_][a-z0-9_]{2,6}", 1..4)
            .prop_map(|parts| parts.join("."))
            .prop_filter("reserved words", |name| {
                let reserved = ["import", "from", "as"];
                !name.split('.').any(|part| reserved.contains(&part))
            })
    };
    let import = (proptest::collection::vec((name(), any::<bool>()), 1..4)).prop_map(|names| {
        let list: Vec<_> = names
            .iter()
            .map(|(name, renamed)| if *renamed { format!("{name} as x") } else { name.clone() })
            .collect();
        let asked = names.into_iter().map(|(name, _)| name).collect();
        (format!("import {}", list.join(", ")), asked)
    });
    let from = (name(), any::<bool>()).prop_map(|(name, bracketed)| {
        let names = if bracketed { "(b, # import zzz\n c)" } else { "b as c, d" };
        (format!("from {name} import {names}"), vec![name])
    });
    let quotes = prop::sample::select(vec!["'", "\"", "'''", "\"\"\""]);
    let prefixes = prop::sample::select(vec!["", "r", "b", "Rb", "u", "f", "fR", "F"]);
    let inner = prop::sample::select(vec![
        "import zzz",
        "from zzz import y",
        "# import zzz",
        "{{ import zzz }}",
        "\\\\ import zzz",
    ]);
    let text = (prefixes, quotes, inner)
        .prop_map(|(prefix, quote, inner)| (format!("x = {prefix}{quote}{inner}{quote}"), vec![]));
    let field = prop::sample::select(vec![
        "x = f'{d[\"import zzz\"]} from zzz import y'",
        "x = f\"{f'{\"import zzz\"}'}\" + '#'",
        "x = f'''{y:{w}}\nimport zzz\n'''",
        "# it's a 'comment; import zzz",
        "raise x from y",
        "x = 'a' if y else \"'\"",
        "x = [\n  'import zzz', # '''\n]",
    ])
    .prop_map(|text| (text.to_owned(), vec![]));
    prop_oneof![import, from, text, field]
}

proptest! {
    #[test]
    fn a_program_asks_for_what_its_statements_ask_for(
        statements in proptest::collection::vec((statement(), any::<bool>()), 0..30)
    ) {
        let mut text = String::new();
        let mut expected: Vec<String> = Vec::new();
        for ((statement, asked), indented) in statements {
            if indented {
                text.push_str("if x:\n    ");
            }
            text.push_str(&statement);
            text.push('\n');
            for module in asked {
                if !expected.contains(&module) {
                    expected.push(module);
                }
            }
        }
        prop_assert_eq!(asked(&text), expected, "{}", text);
    }

    #[test]
    fn no_text_is_too_strange(text in ".*", more in "[\"'{}frb\\\\#:\n import.,]*") {
        let _ = asked(&format!("import a\n{text}"));
        let _ = asked(&format!("import a\n{more}"));
    }
}
