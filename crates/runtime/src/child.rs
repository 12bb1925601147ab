//! A child: from the fork to its end. One execution, or one session.
//!
//! **Invariant:** user code runs only after the seal was applied, and on the
//! process's only thread; the child ends with its channel.

use crate::channel::{Channel, ChannelError};
use crate::execute::{self, End, Ends, Tools};
use crate::link::{self, Link};
use crate::{convert, errors, ffi, hints, qntx, variables};
use proto::codec::{MAX_FROM_CHILD, MAX_TO_CHILD};
use proto::frame::{
    Done, Exited, FromChild, Job, Raised, Sealed, ToChild, Variable, Warm, done, from_child, job,
    to_child,
};
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use sandbox::process::SingleThreaded;
use std::ops::Range;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What a child takes over from its zygote.
#[derive(Debug)]
pub struct Inheritance {
    pub tools: Tools,
    pub qntx: &'static qntx::Module,
    /// `None`: `--dangerously-no-sandbox`.
    pub seal: Option<sandbox::ChildSeal>,
    pub generation: u32,
    /// The child is the first process of a PID namespace of its own.
    pub namespaced: bool,
    pub weakened: Vec<String>,
    /// Memory that a child writes to sooner or later.
    pub copied: Vec<Range<usize>>,
}

/// The descriptors and the directory of one child.
#[derive(Debug)]
pub struct Belongings {
    pub channel: OwnedFd,
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
    pub scratch: PathBuf,
    /// Who it must not outlive.
    pub parent: i32,
}

/// Why a child could not become a spare: written to its stderr, which the
/// supervisor reads, before it exits.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    #[error(transparent)]
    Seal(#[from] sandbox::SealError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Python(#[from] PyErr),
    #[error(transparent)]
    Channel(#[from] ChannelError),
}

/// Exit code of a child that could not be set up.
pub const SETUP_FAILED: i32 = 71;

/// Most bytes of a module's declarations as JSON.
const MAX_DECLARATIONS: usize = 1 << 20;

/// The child's life. `proof` comes from the fork itself.
pub fn child_main(
    py: Python<'_>,
    inheritance: &Inheritance,
    belongings: Belongings,
    proof: SingleThreaded,
) -> ! {
    // A bug of ours, or memory that ran out inside one: the supervisor sees SIGABRT and says
    // `killed`; nothing unwinds into the zygote's code.
    std::panic::set_hook(Box::new(|_| std::process::abort()));
    match prepare(py, inheritance, belongings, proof) {
        Ok(globals) => serve(py, inheritance, &globals),
        Err(error) => {
            // Read by the supervisor when a spare ends before it is warm.
            let _ = rustix::io::write(rustix::stdio::stderr(), error.to_string().as_bytes());
            ffi::exit_now(SETUP_FAILED)
        }
    }
}

fn prepare<'py>(
    py: Python<'py>,
    inheritance: &Inheritance,
    belongings: Belongings,
    proof: SingleThreaded,
) -> Result<Bound<'py, PyDict>, ChildError> {
    inheritance.copied.iter().for_each(ffi::populate);
    ffi::give_back(py);
    let Belongings { channel, stdout, stderr, scratch, parent } = belongings;
    rustix::stdio::dup2_stderr(&stderr).map_err(std::io::Error::from)?;
    ffi::after_fork_child(py);
    if inheritance.namespaced {
        // All capabilities came with the user namespace.
        sandbox::harden::give_up_capabilities()?;
        sandbox::harden::die_with_outer_parent()?;
        link::still_held(&channel)?;
    } else if inheritance.seal.is_some() {
        sandbox::harden::die_with_parent(parent)?;
    }
    sandbox::process::set_name(c"qntx:child")?;
    // Output of the warm-up still goes to /dev/null.
    rehearse(py, inheritance, WARM_UP)?;
    rustix::stdio::dup2_stdout(&stdout).map_err(std::io::Error::from)?;
    drop((stdout, stderr));
    std::env::set_current_dir(&scratch)?;
    make_its_own(py, &scratch)?;
    let globals = fresh_globals(py, inheritance)?;
    let enforced = match &inheritance.seal {
        Some(seal) => {
            // Its target is set with each job; the filter refuses to install it later.
            sandbox::report::install_sigsys_reporter(channel.as_raw_fd(), &[])?;
            Some(seal.apply(&scratch, proof)?)
        }
        None => None,
    };
    // The seal needs descriptors of the zygote's; from here on there is but the channel.
    sandbox::fds::close_all_except(&[0, 1, 2, channel.as_raw_fd()])?;
    let sealed = enforced.map_or_else(
        || Sealed { weakened: inheritance.weakened.clone(), ..Sealed::default() },
        |enforced| crate::zygote::sealed(&enforced),
    );
    let mut link =
        Link::new(Channel::new(channel, MAX_FROM_CHILD, MAX_TO_CHILD), inheritance.generation);
    link.send(from_child::Kind::Warm(Warm { sealed: Some(sealed) }))?;
    link::install(link);
    Ok(globals)
}

/// What a zygote runs before it forks, by the very way of a request: with it the
/// interpreter adapts its code (PEP 659) and fills its caches before they are shared.
pub const REHEARSAL: &[(job::Kind, &str)] = &[
    (job::Kind::Code, "x = [1, 2.5, 'three']\nprint('warm', x)\n{'x': x}"),
    (job::Kind::Expression, "1 + 2 * 3"),
    (job::Kind::Code, "def f(x):\n    return x\ny = f('warm'); y"),
];

/// What a child runs before its request comes, so that the request finds its pages in place.
pub const WARM_UP: &[(job::Kind, &str)] = &[(job::Kind::Code, "print('warm')")];

/// The job of a program of [`REHEARSAL`] or [`WARM_UP`].
#[must_use]
pub fn small_job(kind: job::Kind, source: &str) -> Job {
    Job {
        kind: kind.into(),
        source: source.into(),
        max_result_bytes: 4096,
        max_result_depth: 10,
        session: true,
        ..Job::default()
    }
}

/// Runs `programs`. Their output has to go to /dev/null.
pub fn rehearse(
    py: Python<'_>,
    inheritance: &Inheritance,
    programs: &[(job::Kind, &str)],
) -> Result<(), ChildError> {
    for (kind, source) in programs {
        let globals = fresh_globals(py, inheritance)?;
        let done = one_job(py, inheritance, &small_job(*kind, source), &globals)?;
        let frame = FromChild { kind: Some(from_child::Kind::Done(done)), ..FromChild::default() };
        let bytes = proto::codec::encode(&frame, MAX_FROM_CHILD).unwrap_or_default();
        std::hint::black_box(bytes);
    }
    Ok(())
}

/// What is this child's own: environment, random state, a place for modules.
fn make_its_own(py: Python<'_>, scratch: &Path) -> PyResult<()> {
    let scratch = scratch.to_string_lossy();
    let environ = py.import("os")?.getattr("environ")?;
    for name in ["HOME", "TMPDIR", "MPLCONFIGDIR", "XDG_CACHE_HOME"] {
        environ.set_item(name, &scratch)?;
    }
    let sys = py.import("sys")?;
    sys.getattr("path")?.cast_into::<PyList>()?.append(&scratch)?;
    let modules = sys.getattr("modules")?.cast_into::<PyDict>()?;
    if let Some(random) = modules.get_item("random")? {
        random.call_method0("seed")?;
    }
    if let Some(numpy) = modules.get_item("numpy.random")? {
        numpy.call_method0("seed")?;
    }
    if let Some(tempfile) = modules.get_item("tempfile")? {
        tempfile.setattr("tempdir", py.None())?;
        tempfile.setattr("_name_sequence", py.None())?;
    }
    if let Some(threading) = modules.get_item("threading")? {
        threading.call_method0("main_thread")?.call_method0("_set_native_id")?;
    }
    Ok(())
}

fn fresh_globals<'py>(py: Python<'py>, inheritance: &Inheritance) -> PyResult<Bound<'py, PyDict>> {
    let given = inheritance.qntx.begin(py, None, "", "")?;
    inheritance.tools.new_main(py, &given)
}

fn serve(py: Python<'_>, inheritance: &Inheritance, globals: &Bound<'_, PyDict>) -> ! {
    loop {
        // Threads a session's program left running go on meanwhile.
        let frame = py.detach(|| link::with(Link::receive));
        let Some(Ok(ToChild { execution, kind: Some(to_child::Kind::Job(job)), .. })) = frame
        else {
            ffi::exit_now(0);
        };
        // An interrupt that came too late for the job before is not this one's.
        let _ = py.check_signals();
        let done = begin(execution, &job, inheritance.seal.is_some())
            .map_err(ChildError::from)
            .and_then(|()| one_job(py, inheritance, &job, globals))
            .or_else(|error| interrupted(py, error, &job));
        let sent = match done {
            Ok(done) => py.detach(|| link::with(|link| link.send(from_child::Kind::Done(done)))),
            Err(error) => {
                let _ = rustix::io::write(rustix::stdio::stderr(), error.to_string().as_bytes());
                ffi::exit_now(SETUP_FAILED)
            }
        };
        match sent {
            Some(Ok(())) => {}
            Some(Err(ChannelError::Codec(error))) => {
                let done = Done {
                    end: Some(done::End::Raised(result_error(&error.to_string()))),
                    ..Done::default()
                };
                if !matches!(
                    link::with(|link| link.send(from_child::Kind::Done(done))),
                    Some(Ok(()))
                ) {
                    ffi::exit_now(70);
                }
            }
            Some(Err(ChannelError::Closed | ChannelError::Io(_))) | None => ffi::exit_now(70),
        }
    }
}

/// An interrupt may come while a job is begun or ended: that ends the job, not
/// the child.
fn interrupted(py: Python<'_>, error: ChildError, job: &Job) -> Result<Done, ChildError> {
    if let ChildError::Python(error) = &error
        && job.session
        && error.is_instance_of::<PyKeyboardInterrupt>(py)
    {
        return Ok(Done { end: Some(ended(py, error, job)), run_us: 1, ..Done::default() });
    }
    Err(error)
}

fn begin(execution: u64, job: &Job, sealed: bool) -> std::io::Result<()> {
    let refusal = (job.kind() == job::Kind::Declare).then_some(
        "the module is only being read for its declarations; make host calls inside a function",
    );
    let prefix = link::with(|link| {
        link.begin(execution, refusal);
        (link.raw_fd(), link.trapped_prefix())
    });
    if let Some((fd, prefix)) = prefix
        && sealed
    {
        sandbox::report::retarget_sigsys_report(fd, &prefix)?;
    }
    if job.bound {
        sandbox::affinity::free_self()?;
    }
    if !job.stdin.is_empty() {
        let file =
            std::fs::File::options().read(true).write(true).create_new(true).open(".stdin")?;
        std::fs::remove_file(".stdin")?;
        std::io::Write::write_all(&mut &file, &job.stdin)?;
        std::io::Seek::rewind(&mut &file)?;
        rustix::stdio::dup2_stdin(&file)?;
    }
    Ok(())
}

fn one_job(
    py: Python<'_>,
    inheritance: &Inheritance,
    job: &Job,
    globals: &Bound<'_, PyDict>,
) -> Result<Done, ChildError> {
    let tools = &inheritance.tools;
    let began = Instant::now();
    let qntx = inheritance.qntx;
    let given = qntx.begin(py, Some(&job.upstream), &job.handler, &job.glyph_id)?;
    globals.update(given.as_mapping())?;
    let end = execute::run(py, tools, qntx, job, globals);
    if link::in_descendant() {
        end_descendant(py, tools, end, job);
    }
    let mut done = Done::default();
    match end {
        End::Value(value) => {
            if job.kind() == job::Kind::Declare {
                done.declarations = declarations(py, qntx, value.bind(py))?;
            } else if !value.is_none(py) {
                match convert::to_json(value.bind(py), &rules(job)) {
                    Ok(json) => done.result = Some(json),
                    Err(error) => {
                        done.end = Some(done::End::Raised(result_error(&error.to_string())));
                    }
                }
            }
        }
        End::Raised(error) => done.end = Some(ended(py, &error, job)),
    }
    if job.capture_variables {
        done.variables = variables::capture_variables(globals, &given)
            .into_iter()
            .map(|(name, repr)| Variable { name, repr })
            .collect();
    }
    execute::flush(py, tools);
    let ends = if job.session { Ends::None } else { execute::loose_ends(py, tools) };
    if ends == Ends::Program {
        let claimed = Done { closing: true, ..done.clone() };
        py.detach(|| link::with(|link| link.send(from_child::Kind::Done(claimed)))).transpose()?;
    }
    if ends != Ends::None {
        execute::shut_down(py, tools, ends);
    }
    done.run_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    done.max_rss_bytes = max_rss_bytes();
    Ok(done)
}

/// The end of a process that the program forked and let run on: as `python`
/// ends, and without a word to the supervisor, which waits for the first one.
fn end_descendant(py: Python<'_>, tools: &Tools, end: End, job: &Job) -> ! {
    let code = match end {
        End::Value(_) => 0,
        End::Raised(error) => match ended(py, &error, job) {
            done::End::Exited(exited) => exited.code,
            done::End::Raised(_) => {
                error.print(py);
                1
            }
        },
    };
    execute::flush(py, tools);
    execute::shut_down(py, tools, execute::loose_ends(py, tools));
    ffi::exit_now(code)
}

/// `{"read": "tree" or "run", "declared": […]}`: from the syntax tree when
/// `read` is a list, else from the run that just ended.
fn declarations(py: Python<'_>, qntx: &qntx::Module, read: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    let (by, declared) = if read.is_none() {
        ("run", qntx.declarations(py, MAX_DECLARATIONS)?)
    } else {
        ("tree", qntx::declarations(read, MAX_DECLARATIONS)?)
    };
    Ok([format!("{{\"read\":\"{by}\",\"declared\":").as_bytes(), &declared, b"}"].concat())
}

fn ended(py: Python<'_>, error: &PyErr, job: &Job) -> done::End {
    if execute::is_exit(py, error)
        && let Some((code, message)) = errors::exit_code(py, error)
    {
        if let Some(message) = &message {
            // As python prints the argument of sys.exit("…").
            let line = format!("{message}\n");
            let _ = py
                .import(intern!(py, "sys"))
                .and_then(|sys| sys.getattr(intern!(py, "stderr")))
                .and_then(|stderr| stderr.call_method1(intern!(py, "write"), (line,)));
        }
        return done::End::Exited(Exited { code, message: message.unwrap_or_default() });
    }
    let mut raised = errors::raised(py, error, execute::filename(job));
    hints::add(&mut raised);
    done::End::Raised(raised)
}

fn result_error(reason: &str) -> Raised {
    Raised {
        r#type: "qntx.ResultError".to_owned(),
        message: reason.to_owned(),
        traceback: format!("qntx.ResultError: {reason}\n"),
        line: 0,
        memory_error: false,
    }
}

fn rules(job: &Job) -> convert::Rules<'static> {
    convert::Rules {
        max_bytes: usize::try_from(job.max_result_bytes).unwrap_or(usize::MAX),
        max_depth: job.max_result_depth as usize,
        mode: convert::Mode::Result,
        root: "result",
    }
}

/// `ru_maxrss` of getrusage(2), which counts in KiB.
fn max_rss_bytes() -> u64 {
    ffi::max_rss_kib().saturating_mul(1024)
}
