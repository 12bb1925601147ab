//! The module `qntx`: what scripts call, what goes to the host, what comes back.

use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::{host, run, with_python};

/// The host's record is one for all tests.
static HOST: Mutex<()> = Mutex::new(());

/// Runs `code` with a clean host; `calls` and `answers` are the host's, `raises`
/// tells what a call raises.
fn script(code: &str) {
    let _alone = HOST.lock().unwrap_or_else(PoisonError::into_inner);
    with_python(|py| {
        let prelude = "import _qntx, json, qntx\nfrom qntx import *\n\
             calls, answers = _qntx.calls, _qntx.answers\ncalls.clear(); answers.clear()\n\
             def raises(f, *a, **k):\n\
             \x20   try: f(*a, **k)\n\
             \x20   except Exception as e: return f'{type(e).__name__}: {e}'\n\
             \x20   raise AssertionError('nothing raised')\n\
             def same(a, b):\n\
             \x20   assert a == b, f'{a!r} is not {b!r}'\n";
        run(py, &format!("{prelude}{code}"));
    });
}

#[test]
fn attest_sends_lists_and_returns_what_was_stored() {
    script(
        r#"
answers['attest'] = '{"id": "AS-1", "timestamp": 5}'
same(attest('a', ['p', 'q'], attributes={'n': [1]}), {'id': 'AS-1', 'timestamp': 5})
name, args = calls[0]
same((name, json.loads(args)), ('attest', {'subjects': ['a'], 'predicates': ['p', 'q'],
    'contexts': [], 'actors': [], 'attributes': {'n': [1]}}))
"#,
    );
}

#[test]
fn arguments_are_checked_before_anything_is_sent() {
    script(
        r#"
same(raises(attest, 5, 'p'), 'TypeError: attest: subjects must be a string or a list of strings, not int')
same(raises(attest, None, 'p'), 'TypeError: attest: subjects must be a string or a list of strings, not NoneType')
same(raises(attest, 'a', ['p', 1]), 'TypeError: attest: predicates[1] must be a string, not int')
same(raises(attest, 'a', 'p', attributes=[1]), 'TypeError: attest: attributes must be a dict, not list')
same(raises(attest, 'a', 'p', attributes={'items': [{'id': 2**60}]}),
    "InvalidArgument: attest: attributes.items[0].id is 1152921504606846976, which attributes can't hold: "
    "a double is exact up to 2^53 only; pass it as str()")
same(raises(attest_many, [{'subjects': 'a'}]), 'TypeError: attest_many: items[0] has no predicates')
same(raises(attest_many, [{'subjects': 'a', 'predicates': 'p', 'x': 1}]), "TypeError: attest_many: items[0] has an unknown key 'x'")
same(raises(query, limit=-1), 'ValueError: query: limit must not be negative, got -1')
same(raises(create_schedule, 'h', 0), 'ValueError: create_schedule: every must be more than 0 seconds, got 0')
same(raises(fetch, b'x'), 'TypeError: fetch: url must be a string, not bytes')
same(raises(log, 'x', level='loud'), "ValueError: log: level must be one of debug, info, warn, error, not 'loud'")
big = raises(attest, 'a', 'p', attributes={'x': 'y' * (6 << 20)})
assert big.startswith('LimitExceeded: attest: the JSON of the value is longer than the limit of 5242880 bytes, reached at attributes.x'), big
same(calls, [])
"#,
    );
}

#[test]
fn a_refusal_is_an_exception_of_its_kind() {
    script(
        r#"
answers['attest_many'] = ('StoreUnavailable', 'the store is down')
try: attest_many([{'subjects': 'a', 'predicates': 'p'}])
except qntx.Error as e:
    same((type(e).__name__, str(e), e.call, e.reason, e.retryable, e.created),
        ('StoreUnavailable', 'attest_many: the store is down', 'attest_many', 'the store is down', True, 7))
    assert isinstance(e, RuntimeError)
    import pickle; same(pickle.loads(pickle.dumps(e)).reason, e.reason)
answers['last'] = ('NoSuchKind', 'what')
same(raises(last), 'Error: last: what')
for kind in 'StoreUnavailable Refused LimitExceeded Timeout InvalidArgument NotAvailable'.split():
    answers['last'] = (kind, 'r')
    same(raises(last), f'{kind}: last: r')
"#,
    );
}

#[test]
fn query_pages_lazily_and_stops_at_its_limit() {
    script(
        r#"
pages = iter(['{"attestations": [{"id": 1}, {"id": 2}], "cursor": 1}', '{"attestations": [{"id": 3}, {"id": 4}], "cursor": 1}'])
answers['query'] = lambda: next(pages)
found = query('s', since=5, limit=3)
same(calls, [])
same(next(found), {'id': 1})
same(len(calls), 1)
same([a['id'] for a in found], [2, 3])
same([json.loads(a) for _, a in calls], [{'subjects': ['s'], 'predicates': [], 'contexts': [], 'actors': [],
    'since': 5, 'until': None, 'limit': 3}, {'cursor': 1}])
calls.clear()
same(list(query(limit=0)), [])
same(calls, [])
answers['query'] = '{"attestations": [], "cursor": null}'
import datetime
same(list(query(until=datetime.datetime(1970, 1, 1, 0, 1, tzinfo=datetime.timezone.utc))), [])
same(json.loads(calls[0][1])['until'], 60000)
"#,
    );
}

#[test]
fn every_other_call_sends_what_its_table_says() {
    script(
        r#"
import datetime
def one(reply, f, *a, **k):
    calls.clear()
    answers.clear()
    class Any(dict):
        def __missing__(self, key): return reply
    _qntx.answers = Any()
    try: answer = f(*a, **k)
    finally: _qntx.answers = answers
    (name, args), = calls
    return name, json.loads(args), answer
same(one('{"created": 2}', attest_many, ({'subjects': 'a', 'predicates': 'p'} for _ in range(2)))[2], 2)
same(attest_many([]), 0)
same(one('null', last, 'a'), ('last', {'subjects': ['a'], 'predicates': [], 'contexts': [], 'actors': []}, None))
same(one('true', exists, 'AS-1'), ('exists', {'id': 'AS-1'}, True))
same(one('{"body": "b"}', fetch, 'http://x', fresh=1)[1], {'url': 'http://x', 'subjects': [], 'predicate': 'http:get',
    'context': '', 'fresh': True, 'actor': '', 'source': ''})
same(one('{"id": "S1"}', create_schedule, 'h', datetime.timedelta(minutes=1), {'k': [1]}),
    ('create_schedule', {'handler': 'h', 'every': 60.0, 'payload': {'k': [1]}, 'metadata': {}}, 'S1'))
for f in (pause_schedule, resume_schedule, delete_schedule):
    same(one('null', f, 'S1'), (f.__name__, {'id': 'S1'}, None))
same(one('[{"id": "S1"}]', list_schedules), ('list_schedules', {}, [{'id': 'S1'}]))
same(one('{"id": "J1"}', enqueue, 'h'), ('enqueue', {'handler': 'h', 'payload': None}, 'J1'))
name, args, answer = one('{"content": "c"}', llm.chat, 'hi', system='s')
same((name, args['messages'], args['priority'], answer), ('llm.chat', [{'role': 'system', 'content': 's'},
    {'role': 'user', 'content': 'hi'}], 10 if qntx.handler_name else 0, {'content': 'c'}))
same(one('{"vector": [1.0, 2.0]}', embed, 'x')[1:], ({'text': 'x', 'model': ''}, [1.0, 2.0]))
same(one('{"vectors": [[1.0], [2.0]]}', embed, ['x', 'y'])[2], [[1.0], [2.0]])
same(one('{"hits": []}', search, 'q', filters={'a': 1})[1], {'query': 'q', 'index': '', 'top_k': 10, 'filters': {'a': 1}, 'facets': []})
same(one('[{"id": "a", "distance": 0.5}]', vector_search, [1, 2.5], 'i'),
    ('vector_search', {'vector': [1.0, 2.5], 'index': 'i', 'top_k': 10}, [{'id': 'a', 'distance': 0.5}]))
same(one('{"mime_type": "text/plain", "base64": "aGk="}', read_file, 'f')[2], b'hi')
same(one('null', ground.write, 'a', 'p')[0], 'ground.write')
same(one('"d"', ground.read, 'n'), ('ground.read', {'predicate': 'n', 'context': ''}, 'd'))
"#,
    );
}

#[test]
fn notes_fit_their_frames() {
    script(
        r#"
progress(1, 4, 'step')
same(calls[-1][1], 'Some(Progress(Progress { current: 1.0, total: Some(4.0), message: "step" }))')
progress(2)
same(calls[-1][1], 'Some(Progress(Progress { current: 2.0, total: None, message: "" }))')
class Odd:
    def __repr__(self): return 'odd'
log(5, 'warning', stage='s', row=1, odd=Odd(), nan=float('nan'))
text = calls[-1][1]
assert 'level: "warn", message: "5", stage: "s"' in text, text
import re
fields = bytes(int(n) for n in re.search(r'fields: \[(.*?)\]', text)[1].split(','))
same(json.loads(fields), {'row': 1, 'odd': 'odd', 'nan': 'nan'})
log('é' * 100_000, big='x' * 100_000)
text = calls[-1][1]
assert len(text.encode()) < 70_000, len(text)
"#,
    );
}

#[test]
fn decorators_return_the_function_and_record_it() {
    let _alone = HOST.lock().unwrap_or_else(PoisonError::into_inner);
    with_python(|py| {
        let qntx = host::qntx(py);
        let globals = qntx.begin(py, Some(br#"{"id": "AS-9"}"#), "h", "g").expect("begin");
        let code = c"
@watch('p', context='c')
def on_p(a): return 1
@schedule(every=60)
def tick(): 'Every minute.'
@handler
def one(): 'Doc.'
@handler(description='two')
@watch('q')
def two(): return 2
assert on_p(0) == 1 and two() == 2
assert two.__qntx__ == [('watch', {'predicate': 'q', 'context': None}), ('handler', {'description': 'two'})]
assert upstream == {'id': 'AS-9'}
import qntx
assert (qntx.upstream, qntx.handler_name, qntx.glyph_id) == (upstream, 'h', 'g')
for bad in (lambda: watch(print), lambda: schedule(print), lambda: schedule('1'), lambda: schedule(-1), lambda: watch('p')(5)):
    try: bad()
    except (TypeError, ValueError): pass
    else: raise AssertionError('accepted')
qntx._declared = [('evil',)]
qntx._make_error = None
";
        py.run(code, Some(&globals), None).expect("the script runs");
        let json = qntx.declarations(py, 1 << 20).expect("declarations");
        assert_eq!(
            String::from_utf8(json).expect("UTF-8"),
            concat!(
                r#"[{"kind":"watch","function":"on_p","line":2,"predicate":"p","context":"c"},"#,
                r#"{"kind":"schedule","function":"tick","line":4,"every":60.0,"description":"Every minute."},"#,
                r#"{"kind":"handler","function":"one","line":6,"description":"Doc."},"#,
                r#"{"kind":"watch","function":"two","line":8,"predicate":"q","context":null},"#,
                r#"{"kind":"handler","function":"two","line":8,"description":"two"}]"#,
            )
        );
        assert_eq!(qntx.declared(py).expect("declared").len(), 5);
        qntx.begin(py, None, "", "").expect("begin");
        assert!(qntx.declared(py).expect("declared").is_empty());
    });
}

#[test]
fn what_scripts_have_without_an_import_is_in_the_module_too() {
    with_python(|py| {
        let globals = host::qntx(py).begin(py, None, "", "").expect("begin");
        let module = py.import("qntx").expect("qntx");
        let all: Vec<String> = module.getattr("__all__").expect("all").extract().expect("names");
        for name in globals.keys() {
            assert!(all.contains(&name.to_string()), "{name} is not in __all__");
        }
        for name in &all {
            assert!(module.hasattr(name.as_str()).expect("lookup"), "{name} is missing");
        }
    });
}

const STUB: &str = include_str!("../../src/python/qntx/__init__.pyi");

#[test]
fn the_stub_says_what_the_module_does() {
    with_python(|py| {
        let globals = PyDict::new(py);
        globals.set_item("stub", STUB).expect("set");
        let code = c"
import ast, inspect, qntx
def shape(node):
    a = node.args
    names = [x.arg for x in a.posonlyargs + a.args + a.kwonlyargs]
    return names, [ast.literal_eval(d) for d in a.defaults]
def real(function):
    ps = [p for p in inspect.signature(function).parameters.values() if p.kind is not p.VAR_KEYWORD]
    return [p.name for p in ps], [p.default for p in ps if p.default is not p.empty]
tree = ast.parse(stub)
seen = set()
overloads = ('handler',)
for node in tree.body:
    if isinstance(node, ast.FunctionDef):
        seen.add(node.name)
        function = getattr(qntx, node.name)
        assert function.__doc__, node.name
        if node.name not in overloads:
            assert shape(node) == real(function), (node.name, shape(node), real(function))
    elif isinstance(node, ast.ClassDef):
        seen.add(node.name)
        if node.name in ('Attestation', 'Fetched'): continue
        cls = getattr(qntx, node.name)
        assert cls.__doc__, node.name
        for inner in node.body:
            if isinstance(inner, ast.FunctionDef) and not inner.name.startswith('_'):
                assert shape(inner) == real(getattr(cls, inner.name)), inner.name
                assert getattr(cls, inner.name).__doc__, inner.name
    elif isinstance(node, ast.AnnAssign):
        seen.add(node.target.id)
assert set(qntx.__all__) <= seen, set(qntx.__all__) - seen
";
        if let Err(error) = py.run(code, Some(&globals), None) {
            panic!("{}", runtime::errors::raised(py, &error, "<string>").traceback);
        }
    });
}

#[test]
fn help_reads_well() {
    script(
        "import pydoc\ntext = pydoc.plain(pydoc.render_doc(qntx.attest))\n\
         assert 'attest(subjects, predicates, contexts=None, actors=None, attributes=None)' in text, text\n\
         assert 'Writes one attestation and returns it as stored.' in text\n\
         assert 'class StoreUnavailable' in pydoc.plain(pydoc.render_doc(qntx))",
    );
}

#[test]
fn outside_qntx_it_imports_and_says_what_is_missing() {
    let _alone = HOST.lock().unwrap_or_else(PoisonError::into_inner);
    with_python(|py| {
        let globals = PyDict::new(py);
        let source = include_str!("../../src/python/qntx/__init__.py");
        globals.set_item("source", source).expect("set");
        let code = c"
import sys, types
alone = types.ModuleType('qntx_alone')
native = sys.modules.pop('_qntx')
sys.modules['_qntx'] = None
try: exec(compile(source, 'qntx/__init__.py', 'exec'), alone.__dict__)
finally: sys.modules['_qntx'] = native
for call in (lambda: alone.attest('a', 'p'), lambda: alone.log('x'), lambda: list(alone.query())):
    try: call()
    except alone.NotAvailable as e: assert 'only code that QNTX runs can do this' in str(e)
    else: raise AssertionError('done')
@alone.watch('p')
def f(): return 3
assert f() == 3
";
        if let Err(error) = py.run(code, Some(&globals), None) {
            panic!("{}", runtime::errors::raised(py, &error, "<string>").traceback);
        }
    });
}
