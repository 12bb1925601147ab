//! The table of docs/values.md, row by row, and what no table foresees.

use runtime::convert::{Mode, Rules};

use crate::{check, converted, rules};

#[test]
fn plain_values_have_plain_json() {
    check("v = None", "null");
    check("v = [True, False, 0, -1, 10**18]", "[true,false,0,-1,1000000000000000000]");
    check("v = {'a': [1, {'b': ()}], 'c': {}}", r#"{"a":[1,{"b":[]}],"c":{}}"#);
    check(
        "v = 'é\\n\\\"\\\\\\x00\\x1f\\x7f\\u2028😀'",
        "\"é\\n\\\"\\\\\\u0000\\u001f\u{7f}\u{2028}😀\"",
    );
}

#[test]
fn integers_of_any_size_are_written_in_full() {
    check("v = 2**64", "18446744073709551616");
    check("v = -2**63 - 1", "-9223372036854775809");
    let big = converted("v = 10**5000 + 7", &rules(Mode::Result));
    assert_eq!(big.len(), 5001);
    assert!(big.starts_with("1000") && big.ends_with("0007"));
    check("import sys; v = (10**5000, sys.get_int_max_str_digits())[1]", "4300");
}

#[test]
fn an_integer_beyond_the_limit_is_refused_at_once() {
    let began = std::time::Instant::now();
    let text = converted("v = 1 << 200_000_000", &rules(Mode::Result));
    assert!(text.contains("longer than the limit of 8388608 bytes"), "{text}");
    assert!(began.elapsed().as_secs() < 5);
}

#[test]
fn floats_are_written_as_python_writes_them() {
    check(
        "v = [1.0, -0.0, 0.1, 1e16, 1e15, 123456789.125, 1e-4, 1e-5, 1.5e300, 5e-324]",
        "[1.0,-0.0,0.1,1e+16,1000000000000000.0,123456789.125,0.0001,1e-05,1.5e+300,5e-324]",
    );
    check("v = [float('nan'), float('inf'), float('-inf')]", r#"["NaN","Infinity","-Infinity"]"#);
}

#[test]
fn lone_surrogates_become_replacement_characters() {
    check("v = 'a\\ud800b\\udc00\\ud83d\\ude00é'", "\"a\u{FFFD}b\u{FFFD}\u{FFFD}\u{FFFD}é\"");
    check("v = {'\\udc80': 1}", "{\"\u{FFFD}\":1}");
    check(
        "v = {'\\udc80': 1, '\\udc81': 2}",
        "error: result has two keys that are both \"\u{FFFD}\" as JSON",
    );
}

#[test]
fn bytes_are_an_object_with_base64() {
    check("v = b'hi'", r#"{"$bytes":"aGk="}"#);
    check(
        "v = [b'', bytearray(b'abc'), memoryview(b'abcd')[::2]]",
        r#"[{"$bytes":""},{"$bytes":"YWJj"},{"$bytes":"YWM="}]"#,
    );
    check(
        "v = memoryview(b'x'); v.release()",
        "error: result could not be converted, its own code raised ValueError: \
         operation forbidden on released memoryview object",
    );
}

#[test]
fn times_are_iso_and_durations_seconds() {
    check(
        "from datetime import *\nv = [date(2024, 2, 29), time(1, 2, 3), timedelta(hours=1, microseconds=5),\
         datetime(2024, 1, 2, 3, 4, 5, 6, timezone.utc)]",
        r#"["2024-02-29","01:02:03",3600.000005,"2024-01-02T03:04:05.000006+00:00"]"#,
    );
}

#[test]
fn numbers_names_and_paths_are_strings() {
    check(
        "from decimal import Decimal; from fractions import Fraction; from uuid import UUID\n\
         from pathlib import Path, PureWindowsPath; from ipaddress import ip_address\n\
         v = [Decimal('1.10'), Fraction(1, 3), UUID(int=5), Path('/a/b'), PureWindowsPath('c:/d'),\
         ip_address('::1')]",
        r#"["1.10","1/3","00000000-0000-0000-0000-000000000005","/a/b","c:\\d","::1"]"#,
    );
}

#[test]
fn an_enum_member_is_its_value() {
    check(
        "import enum\n\
         class A(enum.Enum): X = (1, 'y')\n\
         class B(enum.IntEnum): Y = 5\n\
         class C(str, enum.Enum): Z = 'z'\n\
         class D(enum.Flag): P = 1; Q = 2\n\
         v = [A.X, B.Y, C.Z, D.P | D.Q]",
        r#"[[1,"y"],5,"z",3]"#,
    );
}

#[test]
fn sets_have_one_order() {
    check("v = {30, 4, 1.5, -2}", "[-2,1.5,4,30]");
    check("v = frozenset({'b', 'a', 'Z'})", r#"["Z","a","b"]"#);
    check("v = {(2,), (1, 3), None, 'x', frozenset({3, 2})}", r#"["x",[1,3],[2,3],[2],null]"#);
    check("v = [set(), {float('nan'), 1}]", r#"[[],["NaN",1]]"#);
}

#[test]
fn other_sequences_are_arrays() {
    check(
        "from collections import *\nfrom array import array\n\
         P = namedtuple('P', 'x y')\n\
         v = [P(1, 2), deque([3]), range(4, 6), array('d', [1]), {'k': 1}.keys(), OrderedDict(a=1).values()]",
        r#"[[1,2],[3],[4,5],[1.0],["k"],[1]]"#,
    );
}

#[test]
fn mappings_are_objects_in_their_own_order() {
    check(
        "from collections import *\nfrom types import MappingProxyType\n\
         o = OrderedDict(a=1, b=2); o.move_to_end('a')\n\
         v = [o, Counter('aab'), defaultdict(list, x=[1]), MappingProxyType({'p': 1}), UserDict(u=1)]",
        r#"[{"b":2,"a":1},{"a":2,"b":1},{"x":[1]},{"p":1},{"u":1}]"#,
    );
}

#[test]
fn keys_become_text_as_json_dumps_does_it() {
    check(
        "v = {1: 'a', 2.5: 'b', True and None: 'c', False: 'd', float('inf'): 'e', 10**20: 'f'}",
        r#"{"1":"a","2.5":"b","null":"c","false":"d","Infinity":"e","100000000000000000000":"f"}"#,
    );
    check("v = {'a': {1: 0, '1': 0}}", r#"error: result.a has two keys that are both "1" as JSON"#);
    check(
        "v = {'a': [{(1, 2): 0}]}",
        "error: result.a[0] has a key of type tuple: JSON wants str keys",
    );
}

#[test]
fn a_dataclass_is_an_object_of_its_fields() {
    check(
        "from dataclasses import *\n\
         @dataclass\nclass P:\n    x: int\n    y: list = field(default_factory=list)\n    K = 3\n\
         v = P(1, [P(2)])",
        r#"{"x":1,"y":[{"x":2,"y":[]}]}"#,
    );
    check(
        "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\nv = P(1); del v.x",
        "error: result.x could not be converted, its own code raised AttributeError: \
         'P' object has no attribute 'x'",
    );
    check(
        "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\nv = P",
        "error: result is of type type, which JSON can't hold: assign its __name__",
    );
}

#[test]
fn what_json_cannot_hold_is_named_with_its_place_and_a_way_out() {
    check(
        "class Foo: pass\nv = {'items': [1, 2, 3, {'x': Foo(), 'y z': 1}]}",
        "error: result.items[3].x is of type Foo, which JSON can't hold: \
         assign something JSON can hold to _result, or its repr() or str()",
    );
    check(
        "v = {'y z': (i for i in 'ab')}",
        "error: result[\"y z\"] is of type generator, which JSON can't hold: make it a list with list(...)",
    );
    check(
        "v = [1j]",
        "error: result[0] is of type complex, which JSON can't hold: assign [z.real, z.imag]",
    );
    check(
        "v = print",
        "error: result is of type builtin_function_or_method, which JSON can't hold: call it",
    );
}

#[test]
fn cycles_depth_and_size_are_errors_that_name_the_limit() {
    check("v = [1]; v.append({'a': v})", "error: result[1].a contains itself");
    check("v = []; v = [v, v]", "[[],[]]");
    let deep = "v = 1\nfor _ in range(101): v = [v]";
    assert!(
        converted(deep, &rules(Mode::Result))
            .ends_with("is nested deeper than the limit of 100 levels")
    );
    check(
        "v = 1\nfor _ in range(100): v = [v]",
        &format!("{}1{}", "[".repeat(100), "]".repeat(100)),
    );
    let small = Rules { max_bytes: 10, ..rules(Mode::Result) };
    assert_eq!(converted("v = '12345678'", &small), "\"12345678\"");
    assert_eq!(
        converted("v = ['1', '23456789']", &small),
        "error: the JSON of result is longer than the limit of 10 bytes, reached at result[1]"
    );
    for huge in ["[0] * 10**7", "range(10**30)", "'x' * 10**8", "bytes(10**8)", "{*range(10**6)}"] {
        let text = converted(&format!("v = {huge}"), &Rules { max_bytes: 1 << 20, ..small });
        assert!(text.contains("limit of 1048576 bytes"), "{huge}: {text:.100}");
    }
}

#[test]
fn endless_iterables_and_stand_ins_end() {
    check(
        "from collections import deque\nclass D(deque):\n    def __iter__(self):\n        while True: yield 1\n\
         v = [D()]",
        "error: the JSON of result is longer than the limit of 8388608 bytes, reached at result[0]",
    );
    check(
        "import enum\nclass E(enum.Enum): A = 1\nE.A._value_ = E.A\nv = E.A",
        "error: result is of type E, which JSON can't hold: its value stands for another value without end",
    );
}

#[test]
fn what_a_value_raises_is_reported() {
    check(
        "class D(dict):\n    def items(self): raise SystemExit('no')\nv = {'a': D(x=1)}",
        "error: result.a could not be converted, its own code raised SystemExit: no",
    );
    check(
        "class D(dict):\n    def items(self): return [1]\nv = D()",
        "error: result could not be converted, its own code raised TypeError: 'int' object is not an instance of 'tuple'",
    );
    check(
        "from decimal import Decimal\nclass D(Decimal):\n    def __str__(self): return 5\nv = D(1)",
        "error: result could not be converted, its own code raised TypeError: __str__ returned non-string (type int)",
    );
    check(
        "class M(type):\n    def __getattribute__(c, n): raise KeyError(n)\nclass A(metaclass=M): pass\nv = A()",
        "error: result could not be converted, its own code raised KeyError: '__dataclass_fields__'",
    );
}

#[test]
fn a_container_that_changes_meanwhile_harms_nothing() {
    check(
        "from decimal import Decimal\nv = []\nclass D(Decimal):\n    def __str__(self): v.clear(); return 'x'\n\
         v += [D(1), 2, 3]",
        r#"["x"]"#,
    );
    check(
        "from decimal import Decimal\nv = {}\nclass D(Decimal):\n    def __str__(self): v.clear(); v.update({i: i for i in range(99)}); return 'x'\n\
         v.update(a=D(1), b=2)",
        r#"{"a":"x","b":2}"#,
    );
    check(
        "from decimal import Decimal\nclass D(Decimal):\n    def __str__(self):\n        v.append(v[0]); return 'x' * 1000\n\
         v = [D(1)]",
        "error: the JSON of result is longer than the limit of 8388608 bytes, reached at result[8363]",
    );
}

#[test]
fn subclasses_of_builtins_are_what_they_hold() {
    check(
        "class S(str):\n    def __str__(self): raise ValueError\n    def encode(self, *a): raise ValueError\n\
         class I(int):\n    def __repr__(self): return 'evil'\n    def bit_length(self): return 0\n\
         class L(list):\n    def __iter__(self): raise ValueError\n    def __len__(self): return 10**9\n\
         v = [S('a'), S('\\ud800'), I(7), I(10**30), L([1])]",
        "[\"a\",\"\u{FFFD}\",7,1000000000000000000000000000000,[1]]",
    );
}

#[test]
fn the_document_has_the_table_of_the_module() {
    let rows = |text: &'static str, prefix: &'static str| -> Vec<&'static str> {
        let lines = text.lines().filter_map(move |line| line.strip_prefix(prefix));
        lines
            .skip_while(|line| !line.starts_with("| Python |"))
            .take_while(|line| line.starts_with('|'))
            .collect()
    };
    let module = rows(include_str!("../../src/convert.rs"), "//! ");
    assert!(module.len() > 20);
    assert_eq!(module, rows(include_str!("../../../../docs/values.md"), ""));
}
