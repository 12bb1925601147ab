//! One run: compile, run, value. The rules by which a script is a script.
//!
//! What counts as the result, in this order: the variable `_result`; the value
//! returned by the function that was called (`main()`, a `@handler`, a
//! trigger); the value of a final expression statement.
//!
//! **Invariant:** everything used here was looked up before user code ran, so
//! that a program that patches builtins or `sys.modules` harms only itself.

use crate::tail::{self, Tail};
use crate::{errors, ffi, qntx};
use proto::frame::{Job, job};
use pyo3::exceptions::{PySystemExit, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyModule, PyString};

/// `PyCF_ONLY_AST`: compile to a syntax tree (CPython's `ast` module).
const ONLY_AST: i32 = 0x400;
/// Holds a final expression's value. No Python name has a space in it.
const VALUE: &str = " value";
/// The pseudo-file name of code given as text.
pub const CODE_FILE: &str = "<execution>";
/// The pseudo-file name of an expression.
pub const EXPRESSION_FILE: &str = "<expression>";

/// Objects of the interpreter that a run needs, held from before the first one.
#[derive(Debug)]
pub struct Tools {
    compile: Py<PyAny>,
    expr: Py<PyAny>,
    assign: Py<PyAny>,
    name: Py<PyAny>,
    store: Py<PyAny>,
    list: Py<PyAny>,
    open: Py<PyAny>,
    module_type: Py<PyAny>,
    builtins: Py<PyModule>,
    modules: Py<PyDict>,
    path: Py<PyList>,
    sys: Py<PyModule>,
    calls_main: Py<PyAny>,
    declared: Py<PyAny>,
    threads: Py<PyAny>,
    callbacks: Py<PyAny>,
    run_callbacks: Py<PyAny>,
    /// `atexit` callbacks that were there before any program.
    preloaded_callbacks: u64,
}

/// Decides whether a module calls `main` itself or guards on `__name__`: walks
/// what runs at module level, not the bodies of functions and classes.
const CALLS_MAIN: &std::ffi::CStr = c"
def calls_main(tree, _ast=__import__('_ast')):
    inner = (_ast.FunctionDef, _ast.AsyncFunctionDef, _ast.ClassDef, _ast.Lambda)
    pending = list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, inner):
            continue
        if isinstance(node, _ast.Name) and node.id == '__name__':
            return True
        if (isinstance(node, _ast.Call) and isinstance(node.func, _ast.Name)
                and node.func.id == 'main'):
            return True
        for field in node._fields:
            value = getattr(node, field, None)
            if isinstance(value, list):
                pending.extend(v for v in value if isinstance(v, _ast.AST))
            elif isinstance(value, _ast.AST):
                pending.append(value)
    return False
";

impl Tools {
    /// Looks everything up; in the zygote, once everything is preloaded.
    pub fn new(py: Python<'_>) -> PyResult<Self> {
        let ast = py.import("_ast")?;
        let builtins = py.import("builtins")?;
        let sys = py.import("sys")?;
        let atexit = py.import("atexit")?;
        let namespace = PyDict::new(py);
        py.run(CALLS_MAIN, Some(&namespace), None)?;
        let calls_main = namespace
            .get_item("calls_main")?
            .ok_or_else(|| PyValueError::new_err("calls_main is not defined"))?;
        let reader = PyDict::new(py);
        crate::source::DECLARED.run(py, &reader)?;
        let declared = reader
            .get_item("declared")?
            .ok_or_else(|| PyValueError::new_err("declared is not defined"))?;
        Ok(Self {
            compile: builtins.getattr("compile")?.unbind(),
            expr: ast.getattr("Expr")?.unbind(),
            assign: ast.getattr("Assign")?.unbind(),
            name: ast.getattr("Name")?.unbind(),
            store: ast.getattr("Store")?.call0()?.unbind(),
            list: builtins.getattr("list")?.unbind(),
            open: builtins.getattr("open")?.unbind(),
            module_type: py.get_type::<PyModule>().into_any().unbind(),
            modules: sys.getattr("modules")?.cast_into::<PyDict>()?.unbind(),
            path: sys.getattr("path")?.cast_into::<PyList>()?.unbind(),
            builtins: builtins.unbind(),
            sys: sys.unbind(),
            calls_main: calls_main.unbind(),
            declared: declared.unbind(),
            threads: py.import("_thread")?.getattr("_count")?.unbind(),
            callbacks: atexit.getattr("_ncallbacks")?.unbind(),
            run_callbacks: atexit.getattr("_run_exitfuncs")?.unbind(),
            preloaded_callbacks: atexit.call_method0("_ncallbacks")?.extract()?,
        })
    }

    /// A fresh `__main__`, in `sys.modules`, with `globals` in it.
    pub fn new_main<'py>(
        &self,
        py: Python<'py>,
        globals: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let module = self.module_type.bind(py).call1((intern!(py, "__main__"),))?;
        let dict = module.getattr(intern!(py, "__dict__"))?.cast_into::<PyDict>()?;
        dict.set_item(intern!(py, "__builtins__"), &self.builtins)?;
        dict.update(globals.as_mapping())?;
        self.modules.bind(py).set_item(intern!(py, "__main__"), module)?;
        Ok(dict)
    }
}

/// How a run ended, before anything was converted.
#[derive(Debug)]
pub enum End {
    /// To its end, with this value.
    Value(Py<PyAny>),
    /// An exception left it.
    Raised(PyErr),
}

/// A compiled source.
struct Compiled {
    /// Its statements; `None` when there is but an expression.
    body: Option<Py<PyAny>>,
    /// The value of the last one, where it is an expression.
    value: Value,
}

enum Value {
    /// What this code object evaluates to.
    Of(Py<PyAny>),
    /// What the body leaves as [`VALUE`], if it does.
    Left,
    /// None: the last statement is no expression.
    None,
}

/// Runs `job` in `globals`.
pub fn run(
    py: Python<'_>,
    tools: &Tools,
    qntx: &qntx::Module,
    job: &Job,
    globals: &Bound<'_, PyDict>,
) -> End {
    match attempt(py, tools, qntx, job, globals) {
        Ok(value) => End::Value(value),
        Err(error) => End::Raised(error),
    }
}

/// The file name tracebacks of this job show.
#[must_use]
pub fn filename(job: &Job) -> &str {
    match job.kind() {
        job::Kind::Expression => EXPRESSION_FILE,
        job::Kind::File => &job.filename,
        job::Kind::Code | job::Kind::Declare if job.filename.is_empty() => CODE_FILE,
        job::Kind::Code | job::Kind::Declare => &job.filename,
    }
}

fn attempt(
    py: Python<'_>,
    tools: &Tools,
    qntx: &qntx::Module,
    job: &Job,
    globals: &Bound<'_, PyDict>,
) -> PyResult<Py<PyAny>> {
    for entry in job.python_paths.iter().rev() {
        tools.path.bind(py).insert(0, entry)?;
    }
    let none = py.None();
    // Of a session's earlier run.
    let _ = globals.del_item(intern!(py, "_result"));
    if job.kind() == job::Kind::Expression {
        return expression(py, tools, job, globals);
    }
    let source = read_source(py, tools, job, globals)?;
    if job.kind() == job::Kind::Declare
        && let Some(declared) = read_declared(py, tools, &source, filename(job))?
    {
        return Ok(declared);
    }
    let compiled = compile_module(py, tools, &source, filename(job))?;
    if let Some(body) = &compiled.body {
        ffi::eval_code(py, body, globals)?;
    }
    let mut value = match &compiled.value {
        Value::Of(code) => ffi::eval_code(py, code, globals)?,
        Value::Left => match globals.get_item(VALUE)? {
            Some(value) => {
                globals.del_item(VALUE)?;
                value.unbind()
            }
            None => none.clone_ref(py),
        },
        Value::None => none.clone_ref(py),
    };
    if job.kind() == job::Kind::Declare {
        return Ok(none);
    }
    if let Some(returned) = call_entry(py, tools, qntx, job, globals, &source)?
        && !returned.is_none(py)
    {
        value = returned;
    }
    Ok(match globals.get_item(intern!(py, "_result"))? {
        Some(result) => result.unbind(),
        None => value,
    })
}

fn read_source<'py>(
    py: Python<'py>,
    tools: &Tools,
    job: &Job,
    globals: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    if job.kind() != job::Kind::File {
        let text = text_of(job)?;
        errors::register_source(py, filename(job), text)?;
        return Ok(PyString::new(py, text).into_any());
    }
    let path = std::path::Path::new(&job.filename);
    let file = tools.open.bind(py).call1((&job.filename, intern!(py, "rb")))?;
    let bytes = file.call_method0(intern!(py, "read"));
    file.call_method0(intern!(py, "close"))?;
    let bytes = bytes?;
    globals.set_item(intern!(py, "__file__"), &job.filename)?;
    if let Some(folder) = path.parent() {
        tools.path.bind(py).insert(0, folder.to_string_lossy())?;
    }
    tools.sys.bind(py).setattr(intern!(py, "argv"), PyList::new(py, [&job.filename])?)?;
    Ok(bytes.cast_into::<PyBytes>()?.into_any())
}

/// The supervisor only forwards text; the check costs nothing beside the parse.
fn text_of(job: &Job) -> PyResult<&str> {
    std::str::from_utf8(&job.source).map_err(|error| PyValueError::new_err(error.to_string()))
}

/// What a module declares, from its syntax tree alone; `None` when only running
/// it can tell.
fn read_declared(
    py: Python<'_>,
    tools: &Tools,
    source: &Bound<'_, PyAny>,
    filename: &str,
) -> PyResult<Option<Py<PyAny>>> {
    let compile = tools.compile.bind(py);
    let tree = compile.call1((source, filename, intern!(py, "exec"), ONLY_AST, true, -1))?;
    let declared = tools.declared.bind(py).call1((&tree,))?;
    if declared.is_none() {
        return Ok(None);
    }
    // What the compiler alone finds, such as a `return` at module level.
    compile.call1((&tree, filename, intern!(py, "exec"), 0, true, -1))?;
    Ok(Some(declared.unbind()))
}

fn tree<'py>(
    py: Python<'py>,
    tools: &Tools,
    source: &Bound<'py, PyAny>,
    filename: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let compile = tools.compile.bind(py);
    compile.call1((source, filename, intern!(py, "exec"), ONLY_AST, true, -1))
}

fn compile_module(
    py: Python<'_>,
    tools: &Tools,
    source: &Bound<'_, PyAny>,
    filename: &str,
) -> PyResult<Compiled> {
    if let Ok(text) = source.cast::<PyString>()
        && let Ok(text) = text.to_str()
        && let Some(compiled) = compile_by_tail(py, tools, text, filename)
    {
        return Ok(compiled);
    }
    let tree = tree(py, tools, source, filename)?;
    let body = tree.getattr(intern!(py, "body"))?;
    if let Ok(body) = body.cast::<PyList>()
        && let Some(last) = body.len().checked_sub(1)
    {
        let statement = body.get_item(last)?;
        if statement.get_type().is(tools.expr.bind(py)) {
            body.set_item(last, keep_value(py, tools, &statement)?)?;
        }
    }
    let code = tools.compile.bind(py).call1((&tree, filename, intern!(py, "exec"), 0, true, -1))?;
    Ok(Compiled { body: Some(code.unbind()), value: Value::Left })
}

/// Compiles without a syntax tree, where the end of the text says whether there is a value.
/// `None` also for what does not compile: the whole of it has the error to show.
fn compile_by_tail(py: Python<'_>, tools: &Tools, text: &str, filename: &str) -> Option<Compiled> {
    let compile = |text: &str, mode: &Bound<'_, PyString>| {
        let code = tools.compile.bind(py).call1((text, filename, mode, 0, true, -1));
        code.map(Bound::unbind).ok()
    };
    let exec = intern!(py, "exec");
    match tail::of(text) {
        Tail::Unsure => None,
        Tail::Statement => Some(Compiled { body: Some(compile(text, exec)?), value: Value::None }),
        Tail::Expression { start, lines } => {
            let (body, expression) = text.split_at_checked(start)?;
            let blank = |line: &str| line.is_empty() || line.starts_with('#');
            let body = if body.split(['\n', '\r']).map(str::trim_start).all(blank) {
                None
            } else {
                Some(compile(body, exec)?)
            };
            // Behind as many lines as in the program, so that a traceback names the right ones.
            let expression = format!("{}{expression}", "\n".repeat(lines));
            let value = compile(&expression, intern!(py, "eval"))?;
            Some(Compiled { body, value: Value::Of(value) })
        }
    }
}

/// `value` becomes `<VALUE> = value`, at the same place in the source.
fn keep_value<'py>(
    py: Python<'py>,
    tools: &Tools,
    statement: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let target = tools.name.bind(py).call1((VALUE, &tools.store))?;
    let value = statement.getattr(intern!(py, "value"))?;
    let targets = tools.list.bind(py).call1(((&target,),))?;
    let assign = tools.assign.bind(py).call1((targets, value))?;
    for node in [&target, &assign] {
        for attribute in [
            intern!(py, "lineno"),
            intern!(py, "col_offset"),
            intern!(py, "end_lineno"),
            intern!(py, "end_col_offset"),
        ] {
            node.setattr(attribute, statement.getattr(attribute)?)?;
        }
    }
    Ok(assign)
}

fn expression(
    py: Python<'_>,
    tools: &Tools,
    job: &Job,
    globals: &Bound<'_, PyDict>,
) -> PyResult<Py<PyAny>> {
    let text = text_of(job)?.trim_start_matches([' ', '\t', '\n', '\r']);
    let source = PyString::new(py, text);
    errors::register_source(py, EXPRESSION_FILE, text)?;
    let compile = tools.compile.bind(py);
    let eval = intern!(py, "eval");
    let code = match compile.call1((&source, EXPRESSION_FILE, eval, 0, true, -1)) {
        Ok(code) => code,
        // An expression over several lines, as between parentheses.
        Err(error) => {
            let wrapped = format!("({text}\n)");
            compile.call1((wrapped, EXPRESSION_FILE, eval, 0, true, -1)).map_err(|_| error)?
        }
    };
    ffi::eval_code(py, &code.unbind(), globals)
}

/// Calls what is to be called once the module's body has run.
fn call_entry(
    py: Python<'_>,
    tools: &Tools,
    qntx: &qntx::Module,
    job: &Job,
    globals: &Bound<'_, PyDict>,
    source: &Bound<'_, PyAny>,
) -> PyResult<Option<Py<PyAny>>> {
    if !job.function.is_empty() {
        let Some(function) = globals.get_item(&job.function)? else {
            return Err(PyValueError::new_err(format!(
                "the handler's code defines no function `{}`",
                job.function
            )));
        };
        return with_upstream(py, &function, globals).map(Some);
    }
    let declared = qntx.declared(py)?;
    if let Some(entry) = declared.iter().find(|entry| entry.kind == "handler") {
        return with_upstream(py, &entry.function, globals).map(Some);
    }
    let Some(main) = globals.get_item(intern!(py, "main"))? else { return Ok(None) };
    if !main.is_callable()
        || !defined_here(py, &main)?
        || declared.iter().any(|d| d.function.is(&main))
    {
        return Ok(None);
    }
    let tree = tree(py, tools, source, filename(job))?;
    if tools.calls_main.bind(py).call1((tree,))?.extract::<bool>()? {
        return Ok(None);
    }
    main.call0().map(|value| Some(value.unbind()))
}

fn defined_here(py: Python<'_>, function: &Bound<'_, PyAny>) -> PyResult<bool> {
    let Some(module) = function.getattr_opt(intern!(py, "__module__"))? else { return Ok(false) };
    Ok(module.extract::<String>().is_ok_and(|name| name == "__main__"))
}

/// Calls `function` with `upstream` when it takes an argument, else without.
fn with_upstream(
    py: Python<'_>,
    function: &Bound<'_, PyAny>,
    globals: &Bound<'_, PyDict>,
) -> PyResult<Py<PyAny>> {
    let takes = function
        .getattr_opt(intern!(py, "__code__"))?
        .map(|code| code.getattr(intern!(py, "co_argcount"))?.extract::<u32>())
        .transpose()?
        .unwrap_or(0);
    if takes == 0 {
        return function.call0().map(Bound::unbind);
    }
    let upstream = globals.get_item(intern!(py, "upstream"))?;
    function.call1((upstream,)).map(Bound::unbind)
}

/// Whether an error is `SystemExit`.
#[must_use]
pub fn is_exit(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PySystemExit>(py)
}

/// What is left to do when a program has run to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// Nothing.
    None,
    /// `atexit` callbacks that preloaded modules registered, which are quick.
    Preloaded,
    /// Threads or `atexit` callbacks of the program, which may take their time.
    Program,
}

/// Counts threads and `atexit` callbacks.
#[must_use]
pub fn loose_ends(py: Python<'_>, tools: &Tools) -> Ends {
    let threads = count(py, &tools.threads);
    let callbacks = count(py, &tools.callbacks);
    if threads > 0 || callbacks > tools.preloaded_callbacks {
        Ends::Program
    } else if callbacks > 0 {
        Ends::Preloaded
    } else {
        Ends::None
    }
}

fn count(py: Python<'_>, counter: &Py<PyAny>) -> u64 {
    counter.call0(py).and_then(|n| n.extract(py)).unwrap_or(0)
}

/// Ends the program as `python` would: joins its non-daemon threads and runs
/// `atexit`. What goes wrong there is printed to stderr, as `python` does.
pub fn shut_down(py: Python<'_>, tools: &Tools, ends: Ends) {
    if ends == Ends::Program
        && let Ok(Some(threading)) = tools.modules.bind(py).get_item("threading")
        && let Err(error) = threading.call_method0("_shutdown")
    {
        error.print(py);
    }
    if let Err(error) = tools.run_callbacks.call0(py) {
        error.print(py);
    }
    flush(py, tools);
}

/// Flushes what the program printed, Python's and C's.
pub fn flush(py: Python<'_>, tools: &Tools) {
    for stream in [intern!(py, "stdout"), intern!(py, "stderr")] {
        if let Ok(stream) = tools.sys.bind(py).getattr(stream)
            && !stream.is_none()
        {
            // A closed or replaced stream is the program's own doing.
            let _ = stream.call_method0(intern!(py, "flush"));
        }
    }
    ffi::flush_c_stdio();
}
