//! The seals of zygote and child: which step comes when.
//!
//! **Invariant:** a seal that fails half way leaves the process more confined than before, never
//! less, and says so with an error; the caller ends the process then.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use crate::bpf::Template;
use crate::landlock::{self, Reach, Rule};
use crate::process::SingleThreaded;
use crate::syscalls::Tables;
use crate::trial::{self, Layer};
use crate::{ChildPolicy, Enforced, Grants, SealError, ZygotePolicy, harden, seccomp};

/// Confines the zygote, for itself and for everything it will ever fork.
///
/// Gives up privileges ([`harden::give_up_privileges`]), enters the first Landlock layer (read the
/// policy's paths and `/proc`, write beneath the scratch root), then loads the allow-list and the
/// filters that word its refusals.
///
/// # Errors
/// [`SealError::BelowFloor`] before anything irreversible when the kernel is too weak; otherwise
/// the step that failed, after which the process must end.
pub fn seal_zygote(policy: &ZygotePolicy, _proof: SingleThreaded) -> Result<Enforced, SealError> {
    let abi = landlock::effective_abi(policy.landlock_abi_cap);
    let mut weakened = landlock::check_floor(abi, policy.allow_weak)?;
    weakened.extend(trial::weakened());
    policy.grants.check(abi)?;
    let filters = seccomp::zygote_stack(&Tables::under(&policy.grants))?;
    let mut skipped = Vec::new();
    let mut rules = landlock::shared_rules(&policy.read, &mut skipped)?;
    rules.extend(Rule::open(Path::new("/proc"), Reach::Read)?);
    if let Some(root) = &policy.write_root {
        // the operator's path may be a link, a child's never is
        let root = root.canonicalize().unwrap_or_else(|_| root.clone());
        rules.push(Rule::demand(&root, Reach::Scratch)?);
    }
    rules.extend(landlock::granted_rules(&policy.grants)?);

    harden::give_up_privileges()?;
    if !trial::without(Layer::ZygoteLandlock) {
        landlock::restrict(abi, rules.iter(), &policy.grants.connect)?;
    }
    for (name, layer, program) in &filters {
        if !trial::without(*layer) {
            seccomp::load(name, program)?;
        }
    }

    let status = Status::read()?;
    Ok(Enforced {
        landlock_abi: abi,
        landlock: landlock::level(abi),
        landlock_layers: u32::from(abi > 0),
        seccomp_filters: status.seccomp_filters,
        no_new_privs: status.no_new_privs,
        capabilities_dropped: harden::capabilities_are_dropped(),
        weakened,
        grants: policy.grants.clone(),
        skipped,
    })
}

/// A child's confinement, prepared by the zygote so that the child only pays the system calls.
///
/// It holds an open descriptor for each readable path. The child's copy is used up by
/// [`confine`](Self::confine), which closes them; the zygote's copy serves every later child.
#[derive(Debug)]
pub struct ChildSeal {
    abi: u32,
    own_proc: bool,
    shared: RefCell<Option<Vec<Rule>>>,
    grants: Grants,
    last_filter: Template,
    zygote: Enforced,
}

impl ChildSeal {
    /// Opens the readable paths and compiles the child's filter. `zygote` is what
    /// [`seal_zygote`] returned for the calling process under the same `grants`.
    ///
    /// # Errors
    /// [`SealError::BelowFloor`] and [`SealError::Path`].
    pub fn prepare(
        policy: &ChildPolicy,
        grants: &Grants,
        zygote: &Enforced,
    ) -> Result<Self, SealError> {
        let abi = landlock::effective_abi(policy.landlock_abi_cap).min(zygote.landlock_abi);
        grants.check(abi)?;
        let mut zygote = zygote.clone();
        zygote.weakened = landlock::check_floor(abi, policy.allow_weak)?;
        zygote.weakened.extend(trial::weakened());
        zygote.skipped.clear();
        let mut shared = landlock::shared_rules(&policy.read, &mut zygote.skipped)?;
        shared.extend(landlock::granted_rules(grants)?);
        Ok(Self {
            abi,
            own_proc: !policy.hide_own_proc,
            shared: RefCell::new(Some(shared)),
            grants: grants.clone(),
            last_filter: seccomp::child_removal(&Tables::under(grants)),
            zygote,
        })
    }

    /// Enters the child's own Landlock layer: the prepared paths, its own scratch directory and
    /// what it may see of itself under `/proc`. Other children's scratch directories, their
    /// `/proc` entries, their signals and abstract sockets are out of reach from here on.
    ///
    /// Call it before [`close_all_except`](crate::fds::close_all_except), which would close the
    /// descriptors that the rules need.
    ///
    /// # Errors
    /// [`SealError::AlreadyApplied`] on a second call in one process, else the step that failed,
    /// after which the process must end.
    pub fn confine(&self, scratch: &Path, _proof: SingleThreaded) -> Result<Confined, SealError> {
        let shared = self.shared.take().ok_or(SealError::AlreadyApplied)?;
        fresh_stdin()?;
        let own = own_rules(scratch, self.own_proc)?;
        if !trial::without(Layer::ChildLandlock) {
            landlock::restrict(self.abi, shared.iter().chain(&own), &self.grants.connect)?;
        }
        Ok(Confined {
            abi: self.abi,
            own_proc: self.own_proc,
            grants: self.grants.clone(),
            last_filter: self.last_filter.clone(),
            enforced: Enforced {
                landlock_abi: self.abi,
                landlock: landlock::level(self.abi),
                landlock_layers: self.zygote.landlock_layers + u32::from(self.abi > 0),
                ..self.zygote.clone()
            },
        })
    }

    /// [`confine`](Self::confine) and [`finish`](Confined::finish) in one.
    ///
    /// # Errors
    /// Those of the two.
    pub fn apply(&self, scratch: &Path, proof: SingleThreaded) -> Result<Enforced, SealError> {
        self.confine(scratch, proof)?.finish()
    }
}

/// A child in its own layer that may still narrow itself: it has not met its job yet.
#[derive(Debug)]
pub struct Confined {
    abi: u32,
    own_proc: bool,
    grants: Grants,
    last_filter: Template,
    enforced: Enforced,
}

impl Confined {
    /// Narrows the readable paths to exactly `read`, for a job that is granted less than its tier.
    /// The list has to name everything the job reads, the interpreter's own files included.
    ///
    /// # Errors
    /// The step that failed, after which the process must end.
    pub fn narrow(mut self, read: &[PathBuf], scratch: &Path) -> Result<Self, SealError> {
        let mut shared = landlock::shared_rules(read, &mut self.enforced.skipped)?;
        shared.extend(landlock::granted_rules(&self.grants)?);
        let own = own_rules(scratch, self.own_proc)?;
        landlock::restrict(self.abi, shared.iter().chain(&own), &self.grants.connect)?;
        self.enforced.landlock_layers += u32::from(self.abi > 0);
        Ok(self)
    }

    /// Loads the last filter. From here on the process can run code of others.
    ///
    /// # Errors
    /// [`SealError::Seccomp`], after which the process must end.
    pub fn finish(self) -> Result<Enforced, SealError> {
        let pid = rustix::process::getpid().as_raw_nonzero().get().unsigned_abs();
        if !trial::without(Layer::ChildFilter) {
            seccomp::load("child", &self.last_filter.for_process(pid))?;
        }
        let seccomp_filters = self.enforced.seccomp_filters + 1;
        Ok(Enforced { seccomp_filters, ..self.enforced })
    }
}

/// Descriptor 0 becomes a `/dev/null` of the child's own: the one it was forked with shares its
/// flags and its position with every other child, now and later.
fn fresh_stdin() -> Result<(), SealError> {
    use rustix::fs::{Mode, OFlags};
    let failed = |errno: rustix::io::Errno| SealError::Step {
        step: "open the child's own stdin",
        source: errno.into(),
    };
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
    rustix::stdio::dup2_stdin(null.map_err(failed)?).map_err(failed)
}

fn own_rules(scratch: &Path, own_proc: bool) -> Result<Vec<Rule>, SealError> {
    let mut rules = if own_proc { landlock::own_proc_rules()? } else { Vec::new() };
    rules.push(Rule::demand(scratch, Reach::Scratch)?);
    Ok(rules)
}

/// The kernel's own word on the calling process.
struct Status {
    seccomp_filters: u32,
    no_new_privs: bool,
}

impl Status {
    fn read() -> Result<Self, SealError> {
        let text = std::fs::read_to_string("/proc/self/status")
            .map_err(|source| SealError::Step { step: "read the seal back", source })?;
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|value| value.trim().parse::<u32>().ok())
        };
        let none = [Layer::Gate, Layer::AllowList, Layer::Answers, Layer::Trap]
            .into_iter()
            .all(trial::without);
        if field("Seccomp:") != Some(2) && !none {
            let reason = "the kernel does not report filter mode".to_owned();
            return Err(SealError::Seccomp { step: "read the seal back", reason });
        }
        Ok(Self {
            seccomp_filters: field("Seccomp_filters:").unwrap_or(0),
            no_new_privs: field("NoNewPrivs:") == Some(1),
        })
    }
}
