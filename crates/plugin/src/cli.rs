//! The command line: flags, their environment equivalents, and the one
//! [`Config`] made of them.
//!
//! **Invariant:** a flag wins over its environment variable, both win over
//! what the core sends, and the core's unknown arguments never stop a start.

mod exit;
mod packages;
mod pool;
mod sandbox;
mod tls;

pub use exit::{Exit, Failure};
pub use packages::PackageOptions;
pub use pool::PoolOptions;
pub use sandbox::SandboxOptions;
pub use tls::TlsOptions;

use crate::api::limits;
use crate::config::Config;
use crate::store::StorePath;
use crate::tls::Files;
use crate::{VERSION, env};
use clap::builder::BoolishValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The port without `--port`.
pub const DEFAULT_PORT: u16 = 9000;
/// The host without `--address`.
pub const DEFAULT_HOST: &str = "127.0.0.1";

const EXAMPLES: &str = "\
Examples:
  Serve on 127.0.0.1:9000, gRPC and JSON over HTTP on the same port:
    qntx-python-plugin
    curl localhost:9000/evaluate -H 'content-type: application/json' -d '{\"expr\":\"1 + 2 * 3\"}'

  Run a file, or standard input, once in the same sandbox:
    qntx-python-plugin run script.py
    echo 'print(6 * 7)' | qntx-python-plugin run -

  Evaluate one expression; its value is printed as JSON:
    qntx-python-plugin eval '[n ** 2 for n in range(4)]'

  Look at what this machine grants the sandbox:
    qntx-python-plugin doctor

Exit codes of run and eval: that of the program; 1 after an exception, 124 when
timed out, 128+n when ended by signal n, 125 when it could not be run. Otherwise:
0 fine, 2 wrong arguments, 3 can't start.";

/// Runs Python for QNTX: every execution in a fresh, sandboxed, killable process
#[derive(Debug, Parser)]
#[command(name = "qntx-python-plugin", version = VERSION, after_help = EXAMPLES)]
#[command(args_override_self = true, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub options: Options,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do; without one, serve.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Serve gRPC and HTTP (the default)
    Serve,
    /// Run a Python file once, or standard input (-)
    Run {
        /// The file, or - for standard input
        file: PathBuf,
        /// Hand our standard input to the program (it is read to its end first)
        #[arg(long)]
        stdin: bool,
        /// Run it under this profile of --sandbox-profiles
        #[arg(long, value_name = "NAME")]
        profile: Option<String>,
    },
    /// Evaluate one expression and print its value as JSON
    Eval {
        /// The expression
        #[arg(allow_hyphen_values = true)]
        expr: String,
        /// Evaluate it under this profile of --sandbox-profiles
        #[arg(long, value_name = "NAME")]
        profile: Option<String>,
    },
    /// Show what this machine grants; exits with 3 when it is too little
    Doctor,
}

/// What log lines look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise
    Auto,
    Json,
    Text,
}

/// The flags of all commands.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Where to listen; other than loopback needs --token-file or --tls-client-ca, because TLS without
    /// client certificates keeps nobody out [default: 127.0.0.1]
    #[arg(long, global = true, value_name = "HOST[:PORT]", env = env::ADDRESS)]
    pub address: Option<String>,
    /// The port; when it is in use, one of the 63 after it; 0 is any [default: 9000]
    #[arg(long, global = true, value_name = "PORT", env = env::PORT)]
    pub port: Option<u16>,
    /// The plugin's name [default: NAME of a binary called qntx-NAME-plugin, else python]
    #[arg(long, global = true, value_name = "NAME", env = env::NAME)]
    pub name: Option<String>,
    /// error, warn, info, debug, trace, or a filter like plugin=trace,warn [default: info, but warn for run and eval]
    #[arg(long, global = true, value_name = "LEVEL", env = env::LOG_LEVEL)]
    pub log_level: Option<String>,
    /// How log lines are written, always to standard error
    #[arg(long, global = true, value_name = "FORMAT", default_value = "auto", env = env::LOG_FORMAT)]
    pub log_format: LogFormat,
    /// A directory put in front of sys.path; repeatable
    #[arg(long, global = true, value_name = "DIR", value_delimiter = ':', env = env::PYTHON_PATH)]
    pub python_path: Vec<PathBuf>,
    /// Python's prefix (sys.prefix) [default: that of the libpython in use]
    #[arg(long, global = true, value_name = "DIR", env = env::PYTHON_HOME)]
    pub python_home: Option<PathBuf>,
    /// A directory whose files may be run; repeatable [default: the working directory, none under a core]
    #[arg(long, global = true, value_name = "DIR", value_delimiter = ':', env = env::FILE_ROOT)]
    pub file_root: Vec<PathBuf>,
    /// Where attestations go without a core: a file, or :memory: [default: qntx-python/attestations.db in the user's data directory]
    #[arg(long, global = true, value_name = "PATH", env = env::STORE)]
    pub store: Option<String>,
    /// Time limit of an execution in seconds, fractions allowed [default: 30]
    #[arg(long, global = true, value_name = "SECS", value_parser = secs, env = env::TIMEOUT_SECS)]
    pub timeout_secs: Option<Duration>,
    /// The longest time limit a request may ask for [default: 3600]
    #[arg(long, global = true, value_name = "SECS", value_parser = secs, env = env::MAX_TIMEOUT_SECS)]
    pub max_timeout_secs: Option<Duration>,
    /// Memory of an execution: bytes, or 512M, 1G [default: 1G]
    #[arg(long, global = true, value_name = "SIZE", value_parser = size, env = env::MEMORY)]
    pub memory: Option<u64>,
    /// Executions running at once [default: 32]
    #[arg(long, global = true, value_name = "N", value_parser = positive, env = env::MAX_CONCURRENCY)]
    pub max_concurrency: Option<usize>,
    /// Requests that wait for a free execution before more are refused [default: 256]
    #[arg(long, global = true, value_name = "N", env = env::QUEUE)]
    pub queue: Option<usize>,
    /// A file with the secret that callers have to send as a bearer token
    #[arg(long, global = true, value_name = "FILE", env = env::TOKEN_FILE)]
    pub token_file: Option<PathBuf>,
    #[command(flatten)]
    pub tls: TlsOptions,
    /// Where executions get their scratch directories [default: the system's temporary directory]
    #[arg(long, global = true, value_name = "DIR", env = env::SCRATCH_DIR)]
    pub scratch_dir: Option<PathBuf>,
    #[command(flatten)]
    pub pool: PoolOptions,
    #[command(flatten)]
    pub packages: PackageOptions,
    #[command(flatten)]
    pub sandbox: SandboxOptions,
    /// Keep running when the core that started us ends (a core: --port is given, stdout is a pipe)
    #[arg(long, global = true, value_parser = BoolishValueParser::new(), env = env::OUTLIVE_PARENT)]
    pub outlive_parent: bool,
    /// Run Python WITHOUT a sandbox; shown in health from then on
    #[arg(long, global = true, value_parser = BoolishValueParser::new(), env = env::NO_SANDBOX)]
    pub dangerously_no_sandbox: bool,
    /// Start although the kernel grants less than the sandbox needs; shown in health from then on
    #[arg(long, global = true, value_parser = BoolishValueParser::new(), env = env::WEAK_SANDBOX)]
    pub dangerously_allow_weak_sandbox: bool,
}

/// A parsed command line and what it was parsed from.
#[derive(Debug)]
pub struct Invocation {
    pub cli: Cli,
    /// Arguments that mean nothing to us and were passed over.
    pub ignored: Vec<String>,
    /// A core launched us: it gives `--port` and keeps our stdout.
    pub by_core: bool,
    /// The file name we were called by.
    binary: String,
}

impl Invocation {
    /// Reads the process's arguments.
    pub fn read() -> Result<Self, clap::Error> {
        let by_core = !std::io::stdout().is_terminal();
        Self::parse(std::env::args_os().collect(), by_core)
    }

    /// Reads `args`; `piped` when stdout is no terminal.
    pub fn parse(mut args: Vec<OsString>, piped: bool) -> Result<Self, clap::Error> {
        let ported = |arg: &OsString| {
            arg.to_str().is_some_and(|arg| arg == "--port" || arg.starts_with("--port="))
        };
        let by_core = piped && args.iter().skip(1).any(ported);
        let binary = args.first().map(Path::new).and_then(Path::file_name);
        let binary = binary.map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let mut ignored = Vec::new();
        let cli = loop {
            match Cli::try_parse_from(&args) {
                Ok(cli) => break cli,
                Err(e) if by_core => match pass_over(&mut args, &e) {
                    Some(argument) => ignored.push(argument),
                    None => return Err(e),
                },
                Err(e) => return Err(e),
            }
        };
        Ok(Self { cli, ignored, by_core, binary })
    }

    /// The plugin's name.
    #[must_use]
    pub fn name(&self) -> String {
        self.cli.options.name.clone().unwrap_or_else(|| name_of(&self.binary))
    }

    /// The configuration, and the keys the operator has set.
    pub fn config(&self) -> Result<(Config, BTreeSet<&'static str>), Failure> {
        let options = &self.cli.options;
        let mut config = Config { name: self.name(), ..Config::default() };
        let mut fixed = BTreeSet::new();
        if let Some(wall) = options.timeout_secs {
            fixed.insert("timeout_secs");
            config.defaults.wall = wall;
        }
        if let Some(wall) = options.max_timeout_secs {
            fixed.insert("max_timeout_secs");
            config.ceiling.wall = wall;
            if options.timeout_secs.is_none() {
                config.defaults.wall = config.defaults.wall.min(wall);
            }
        }
        if config.defaults.wall > config.ceiling.wall {
            return Err(Failure::usage("--timeout-secs is above --max-timeout-secs"));
        }
        if let Some(bytes) = options.memory {
            fixed.insert("memory");
            config.defaults.memory_bytes = bytes;
            config.ceiling.memory_bytes = config.ceiling.memory_bytes.max(bytes);
        }
        if let Some(most) = options.max_concurrency {
            fixed.insert("max_workers");
            config.max_concurrency = most;
            config.interactive_reserve = config.interactive_reserve.min(most / 2);
        }
        if let Some(most) = options.queue {
            fixed.insert("queue");
            config.max_queue = most;
        }
        if !options.python_path.is_empty() {
            fixed.insert("python_paths");
            config.python_paths = absolute(&options.python_path)?;
        }
        if !options.file_root.is_empty() {
            fixed.insert("file_roots");
            config.file_roots = absolute(&options.file_root)?;
        } else if !self.by_core {
            // Without a working directory there is none to offer.
            config.file_roots.extend(std::env::current_dir());
        }
        config.python_home = options.python_home.as_deref().map(absolute_one).transpose()?;
        config.scratch_root = options.scratch_dir.as_deref().map(absolute_one).transpose()?;
        options.pool.apply(&mut config, &mut fixed);
        options.packages.apply(&mut config, &mut fixed)?;
        options.sandbox.apply(&mut config, &mut fixed)?;
        config.tls = options.tls.mode();
        config.no_sandbox = options.dangerously_no_sandbox;
        config.allow_weak_sandbox = options.dangerously_allow_weak_sandbox;
        Ok((config, fixed))
    }

    /// Host and port to listen on; a port in `--address` gives way to `--port`.
    pub fn listen(&self) -> Result<(String, u16), Failure> {
        let options = &self.cli.options;
        let (host, port) = match &options.address {
            Some(address) => split_address(address)?,
            None => (DEFAULT_HOST.to_owned(), None),
        };
        Ok((host, options.port.or(port).unwrap_or(DEFAULT_PORT)))
    }

    /// The files of TLS; `None` = the port speaks plain text.
    pub fn tls(&self) -> Result<Option<Files>, Failure> {
        self.cli.options.tls.files()
    }

    /// Where the embedded store is.
    pub fn store(&self) -> Result<StorePath, Failure> {
        let place = match &self.cli.options.store {
            Some(place) => return Ok(StorePath::parse(place)),
            None => env::default_store(),
        };
        place.map(StorePath::File).ok_or_else(|| {
            Failure::usage("there is no home directory to keep attestations in (HOME is not set)")
                .hint("--store PATH names a file for them, --store :memory: keeps them in memory")
        })
    }

    /// Whether to end with the process that started us. A core reads our
    /// stdout through a pipe; a shell that sends it to a file and ends has not
    /// asked us to end with it.
    #[must_use]
    pub fn follows_parent(&self) -> bool {
        self.by_core && !self.cli.options.outlive_parent && stdout_is_pipe()
    }

    /// How much is logged.
    #[must_use]
    pub fn log_level(&self) -> &str {
        let usual = if self.serves() { "info" } else { "warn" };
        self.cli.options.log_level.as_deref().unwrap_or(usual)
    }

    fn serves(&self) -> bool {
        matches!(self.cli.command, None | Some(Command::Serve))
    }

    /// What log lines look like.
    #[must_use]
    pub fn log_format(&self) -> crate::telemetry::Format {
        use crate::telemetry::Format;
        match self.cli.options.log_format {
            LogFormat::Json => Format::Json,
            LogFormat::Text => Format::Text,
            LogFormat::Auto if std::io::stdout().is_terminal() => Format::Text,
            // Nobody but a person reads the stderr of the other commands.
            LogFormat::Auto if self.serves() => Format::Json,
            LogFormat::Auto => Format::Text,
        }
    }
}

/// Takes the argument that `error` is about out of `args`.
fn pass_over(args: &mut Vec<OsString>, error: &clap::Error) -> Option<String> {
    let kind = if error.kind() == ErrorKind::UnknownArgument {
        ContextKind::InvalidArg
    } else if error.kind() == ErrorKind::InvalidSubcommand {
        ContextKind::InvalidSubcommand
    } else {
        return None;
    };
    let ContextValue::String(named) = error.get(kind)? else { return None };
    let named = named.split('=').next().unwrap_or(named);
    let is_it = |arg: &OsString| {
        let arg = arg.to_string_lossy();
        arg == named
            || arg.strip_prefix(named).is_some_and(|rest| {
                rest.starts_with('=') || (!named.starts_with("--") && named.starts_with('-'))
            })
    };
    let at = 1 + args.iter().skip(1).position(is_it)?;
    Some(args.remove(at).to_string_lossy().into_owned())
}

fn stdout_is_pipe() -> bool {
    use rustix::fs::FileType;
    rustix::fs::fstat(rustix::stdio::stdout())
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo)
}

/// `qntx-NAME-plugin` → NAME; `qntx-python-plugin` and every other → python.
fn name_of(binary: &str) -> String {
    let binary = binary.strip_suffix(".exe").unwrap_or(binary);
    let name = binary.strip_prefix("qntx-").and_then(|rest| rest.strip_suffix("-plugin"));
    name.filter(|name| !name.is_empty()).unwrap_or("python").to_owned()
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`, `v6`.
fn split_address(address: &str) -> Result<(String, Option<u16>), Failure> {
    let wrong =
        || Failure::usage(format!("--address has to be HOST or HOST:PORT, not `{address}`"));
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        Some(_) | None => (address, None),
    };
    if host.is_empty() {
        return Err(wrong());
    }
    let port = port.map(str::parse).transpose().map_err(|_| wrong())?;
    Ok((host.to_owned(), port))
}

fn absolute(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let given = paths.iter().filter(|path| !path.as_os_str().is_empty());
    given.map(|path| absolute_one(path)).collect()
}

fn absolute_one(path: &Path) -> Result<PathBuf, Failure> {
    let path = path.to_str().map_or_else(|| path.to_owned(), env::expand_home);
    std::path::absolute(&path).map_err(|e| {
        Failure::usage(format!("there is no working directory for {}: {e}", path.display()))
    })
}

fn secs(text: &str) -> Result<Duration, String> {
    let secs: f64 = text.parse().map_err(|_| "a number of seconds is expected".to_owned())?;
    let wall = Duration::try_from_secs_f64(secs).ok().filter(|wall| !wall.is_zero());
    wall.ok_or_else(|| "it has to be above 0".to_owned())
}

fn size(text: &str) -> Result<u64, String> {
    let bytes = limits::size(text).filter(|bytes| *bytes > 0);
    bytes.ok_or_else(|| "bytes are expected, or a text like 512M or 1G".to_owned())
}

fn positive(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "a whole number above 0 is expected".to_owned())
}

#[cfg(test)]
mod tests;
