//! One layer taken away, or an older kernel pretended, so that tests can see what it is that stops
//! an attack.
//!
//! It exists in debug builds alone: a release binary holds neither the variable's name nor a branch
//! that looks at it, so no flag, variable or configuration can weaken one (`cargo xtask package`
//! looks for the name in what it packs). Not a cargo feature: the tests would need a second build
//! of everything, and a feature can be unified into a build that never asked for it.
//!
//! **Invariant:** what is taken away stands in [`Enforced::weakened`](crate::Enforced::weakened).

use std::ffi::OsString;

/// A layer that can be taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// The zygote's Landlock layer.
    ZygoteLandlock,
    /// Each child's own Landlock layer.
    ChildLandlock,
    /// The filter that kills other architectures' calls.
    Gate,
    /// The allow-list.
    AllowList,
    /// The filter that words the refusals.
    Answers,
    /// The filter that traps what only an attack uses.
    Trap,
    /// The child's last filter.
    ChildFilter,
    /// Dropping the capabilities.
    Capabilities,
    /// Not being dumpable.
    Dumpable,
    /// Closing the descriptors that a child has no use for.
    Descriptors,
    /// The kernel's resource limits.
    Rlimits,
    /// The supervisor's own look at memory, threads, processor time and scratch.
    Watch,
    /// The file system of its own that a scratch directory gets where the machine grants it.
    ScratchMount,
}

impl Layer {
    /// Every layer, in the order in which they are met.
    pub const ALL: [Self; 13] = [
        Self::ZygoteLandlock,
        Self::ChildLandlock,
        Self::Gate,
        Self::AllowList,
        Self::Answers,
        Self::Trap,
        Self::ChildFilter,
        Self::Capabilities,
        Self::Dumpable,
        Self::Descriptors,
        Self::Rlimits,
        Self::Watch,
        Self::ScratchMount,
    ];

    /// What it is called in the variable and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ZygoteLandlock => "landlock-zygote",
            Self::ChildLandlock => "landlock-child",
            Self::Gate => "seccomp-gate",
            Self::AllowList => "seccomp-allow-list",
            Self::Answers => "seccomp-answers",
            Self::Trap => "seccomp-trap",
            Self::ChildFilter => "seccomp-child",
            Self::Capabilities => "capabilities",
            Self::Dumpable => "dumpable",
            Self::Descriptors => "descriptors",
            Self::Rlimits => "rlimits",
            Self::Watch => "watch",
            Self::ScratchMount => "scratch-mount",
        }
    }
}

/// The variable that names the layers to leave out, with commas between them.
#[cfg(debug_assertions)]
pub const WITHOUT: &str = "QNTX_PYTHON_TEST_WITHOUT";

/// The variable that names the newest Landlock ABI to use.
#[cfg(debug_assertions)]
pub const LANDLOCK_ABI: &str = "QNTX_PYTHON_TEST_LANDLOCK_ABI";

/// What a zygote's scrubbed environment needs, so that it is under the same trial.
#[must_use]
pub fn environment() -> Vec<(OsString, OsString)> {
    #[cfg(debug_assertions)]
    let passed = [WITHOUT, LANDLOCK_ABI]
        .into_iter()
        .filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)))
        .collect();
    #[cfg(not(debug_assertions))]
    let passed = Vec::new();
    passed
}

/// The newest Landlock ABI to use, where a test pretends that the kernel is older.
#[must_use]
pub fn landlock_abi_cap() -> Option<u32> {
    #[cfg(debug_assertions)]
    let cap = std::env::var(LANDLOCK_ABI).ok().and_then(|text| text.parse().ok());
    #[cfg(not(debug_assertions))]
    let cap = None;
    cap
}

/// Whether a test has taken this layer away from this process.
#[cfg(debug_assertions)]
#[must_use]
pub fn without(layer: Layer) -> bool {
    use std::sync::OnceLock;
    static NAMED: OnceLock<Vec<String>> = OnceLock::new();
    let read = || {
        let named = std::env::var(WITHOUT).unwrap_or_default();
        named.split(',').map(str::to_owned).collect()
    };
    NAMED.get_or_init(read).iter().any(|name| name == layer.name())
}

/// No layer can be taken away from a release build.
#[cfg(not(debug_assertions))]
#[must_use]
pub fn without(_layer: Layer) -> bool {
    false
}

/// What was taken away, one sentence each.
#[must_use]
pub fn weakened() -> Vec<String> {
    let gone = Layer::ALL.into_iter().filter(|layer| without(*layer));
    gone.map(|layer| format!("a test has taken the layer `{}` away", layer.name())).collect()
}
