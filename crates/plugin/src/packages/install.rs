//! One install: resolve, install, inspect, try out, lock, switch.
//!
//! **Invariant:** until the last step nothing outside the staging directory
//! changes; the last step goes through also when nobody waits for it any more.

use super::cage::Cage;
use super::generation::{Locked, Manifest, Package, locked, write_lock};
use super::place::{self, Lock, Place, Staging};
use super::requirement::Requirement;
use super::uv::{self, Uv, Wish};
use super::{PackageError, Packages, Progress, Shared, inspect, no_home, place_of, try_out};
use crate::api::{Execute, chain};
use crate::config::Config;
use crate::error::Rejected;
use crate::settings::Settings;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// How long Python may take to come up before an install.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a caller wants.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    pub packages: Vec<String>,
    pub environment: Option<String>,
    pub index_url: Option<String>,
    pub only_binary: Option<bool>,
    pub upgrade: bool,
    pub dry_run: bool,
    /// Refuse when a module of what was asked for can't be imported.
    pub verify: bool,
    /// Name → the hashes it may have.
    pub hashes: BTreeMap<String, Vec<String>>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Installed {
    pub environment: String,
    /// The generation in force after it.
    pub generation: u64,
    pub changed: bool,
    pub dry_run: bool,
    /// Everything in the environment.
    pub packages: Vec<Package>,
    /// Name → version before, of what is new, changed or gone.
    pub before: BTreeMap<String, Option<String>>,
    pub removed: Vec<(String, String)>,
    pub bytes: u64,
    pub warnings: Vec<String>,
    /// Module → why it can't be imported.
    pub not_importable: BTreeMap<String, String>,
    /// Step → how long it took.
    pub steps: Vec<(&'static str, Duration)>,
    /// What uv said.
    pub said: String,
}

/// What is known before anything runs.
pub(super) struct Plan {
    /// It is what a script declares: one generation, seen by who asks for it.
    pub(super) script: bool,
    pub(super) config: Arc<Config>,
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) asked: Vec<Requirement>,
    pub(super) wish: Wish,
    pub(super) program: std::path::PathBuf,
    pub(super) until: Instant,
}

impl Plan {
    /// What uv may reach in this install.
    fn cage(&self, python: &Path, staging: &Path, cache: &Path) -> Cage {
        let config = &self.config;
        Cage {
            write: vec![staging.to_owned(), cache.to_owned()],
            abi_cap: config.landlock_abi_cap,
            allow_weak: config.allow_weak_sandbox || config.no_sandbox,
            ..Cage::of(&self.program, python, !self.wish.only_binary)
        }
    }
}

/// Installs what is `wanted` and puts it in force.
pub async fn install<E: Execute>(
    packages: &Shared,
    run: &Arc<E>,
    settings: &Arc<Settings>,
    wanted: Wanted,
    progress: &Progress,
) -> Result<Installed, PackageError> {
    let plan = plan(settings.config(), &wanted)?;
    carry_out(packages, run, settings, plan, wanted, progress).await
}

/// Installs what is planned and puts it in force.
pub(super) async fn carry_out<E: Execute>(
    packages: &Shared,
    run: &Arc<E>,
    settings: &Arc<Settings>,
    plan: Plan,
    wanted: Wanted,
    progress: &Progress,
) -> Result<Installed, PackageError> {
    let (version, prefix) = python(&**run).await?;
    let python = uv::interpreter(&prefix, &version).map_err(PackageError::failed)?;
    let lock = packages.locked(&plan.place, plan.until).await?;
    plan.place.sweep(&lock);
    if plan.script && plan.place.current() > 0 {
        // Another process was first.
        return Ok(Installed { generation: plan.place.current(), ..Installed::default() });
    }
    let staging =
        plan.place.stage(&lock).map_err(|e| PackageError::disk("nothing can be staged", &e))?;
    let cache = plan.config.packages.cache().ok_or_else(no_home)?;
    place::directory(&cache).map_err(|e| PackageError::disk("uv has no cache", &e))?;
    let mut uv = Uv {
        spawner: &packages.spawner,
        program: plan.program.clone(),
        cage: plan.cage(&python, staging.path(), &cache),
        cache,
        python,
        staging: staging.path(),
        progress,
        until: plan.until,
        said: Vec::new(),
    };
    let made = make(&plan, &mut uv, &staging, &wanted, &version, &**run).await;
    let said = uv.said.concat();
    let (mut installed, manifest) = match made {
        Ok(made) => made,
        Err(PackageError::Failed { reason, .. }) => {
            tracing::warn!(%reason, "packages were not installed");
            return Err(PackageError::Failed { reason, said });
        }
        Err(other) => return Err(other),
    };
    installed.said = said;
    let weak = sandbox::tool::weaknesses(plan.config.landlock_abi_cap);
    installed.warnings.extend(weak.iter().map(|why| format!("uv was confined loosely: {why}")));
    let Some(manifest) = manifest else { return Ok(installed) };
    let began = Instant::now();
    progress.tell("switching");
    let last = finish(
        Arc::clone(packages),
        Arc::clone(run),
        Arc::clone(settings),
        plan,
        lock,
        staging,
        manifest,
    );
    // In a task of its own: it is not left half done when the caller goes away.
    let done = tokio::spawn(last)
        .await
        .map_err(|e| PackageError::failed(format!("the switch failed: {e}")))?;
    let (generation, seen) = done?;
    installed.generation = generation;
    if !seen {
        installed.warnings.push("executions see these packages after a restart".to_owned());
    }
    installed.steps.push(("switch", began.elapsed()));
    Ok(installed)
}

fn plan(config: Arc<Config>, wanted: &Wanted) -> Result<Plan, PackageError> {
    let policy = &config.packages;
    policy.may_install()?;
    let read = wanted.packages.iter().map(|text| policy.requirement(text));
    let asked = read.collect::<Result<Vec<_>, _>>()?;
    let names: BTreeSet<_> = asked.iter().map(Requirement::name).collect();
    if asked.is_empty() {
        return Err(Rejected::field("package", "there is nothing to install").into());
    }
    if names.len() != asked.len() {
        return Err(Rejected::field("packages", "a package is asked for twice").into());
    }
    let upgrade =
        if wanted.upgrade { names.into_iter().map(str::to_owned).collect() } else { Vec::new() };
    let wish = Wish {
        index_url: policy.index(wanted.index_url.as_deref())?,
        only_binary: policy.only_binary(wanted.only_binary)?,
        upgrade,
    };
    let (name, place) = place_of(policy, wanted.environment.as_deref())?;
    let program = uv::find(policy.uv.as_deref()).map_err(PackageError::failed)?;
    let until = Instant::now() + policy.timeout;
    Ok(Plan { script: false, name, place, asked, wish, program, until, config })
}

/// Python's version and prefix, once it is up.
pub(super) async fn python<E: Execute>(run: &E) -> Result<(String, String), PackageError> {
    let until = Instant::now() + PATIENCE;
    loop {
        let snapshot = run.snapshot();
        if !snapshot.python_version.is_empty() {
            return Ok((snapshot.python_version, snapshot.python_prefix));
        }
        if Instant::now() >= until {
            let reason = snapshot.reason.unwrap_or_else(|| "it is starting".to_owned());
            return Err(PackageError::failed(format!("Python is not there: {reason}")));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Everything up to the switch; no manifest when there is nothing to switch to.
async fn make<E: Execute>(
    plan: &Plan,
    uv: &mut Uv<'_>,
    staging: &Staging,
    wanted: &Wanted,
    version: &str,
    run: &E,
) -> Result<(Installed, Option<Manifest>), PackageError> {
    let place = &plan.place;
    let current = place.current();
    let old = if current == 0 {
        Manifest::default()
    } else {
        place.manifest(current).map_err(|e| PackageError::disk("the generation in force", &e))?
    };
    let mut installed = Installed {
        environment: plan.name.clone(),
        generation: current,
        dry_run: wanted.dry_run,
        ..Installed::default()
    };
    let began = Instant::now();
    uv.progress.tell("resolving");
    let uv_version = uv.version().await.map_err(PackageError::failed)?;
    let requested = requested(&old.requested, &plan.asked);
    let lock = resolve(plan, uv, staging, &requested, current, wanted, &old).await?;
    installed.steps.push(("resolve", began.elapsed()));
    let new: BTreeMap<&str, &Locked> = lock.iter().map(|l| (l.name.as_str(), l)).collect();
    for package in &old.packages {
        if !new.contains_key(package.name.as_str()) {
            installed.removed.push((package.name.clone(), package.version.clone()));
        }
    }
    let same_lock = current > 0
        && std::fs::read_to_string(place.lock_file(current)).ok() == Some(write_lock(&lock));
    if same_lock && old.requested == requested && same_python(&old.python, version) {
        installed.packages.clone_from(&old.packages);
        installed.bytes = old.bytes;
        return Ok((installed, None));
    }
    installed.changed = true;
    if wanted.dry_run {
        installed.packages = lock.iter().map(unbuilt).collect();
        installed.before = before(&old, &installed.packages);
        return Ok((installed, None));
    }
    let began = Instant::now();
    uv.progress.tell("installing");
    uv.install(&staging.lock_file(), &staging.site(), &plan.wish)
        .await
        .map_err(PackageError::failed)?;
    // uv's own lock on the directory.
    let _ = std::fs::remove_file(staging.site().join(".lock"));
    installed.steps.push(("install", began.elapsed()));
    let began = Instant::now();
    uv.progress.tell("inspecting");
    let site = staging.site();
    let found = tokio::task::spawn_blocking(move || inspect::site(&site)).await;
    let found =
        found.map_err(|e| PackageError::failed(format!("it could not be inspected: {e}")))?;
    let mut found = found.map_err(|hostile| PackageError::failed(chain(&hostile)))?;
    for package in &mut found.packages {
        if let Some(locked) = new.get(package.name.as_str()) {
            package.hashes.clone_from(&locked.hashes);
        }
    }
    complete(&lock, &found.packages)?;
    installed.steps.push(("inspect", began.elapsed()));
    let began = Instant::now();
    let changed = before(&old, &found.packages);
    uv.progress.tell("importing");
    let fresh = try_out::modules_of(&found.packages, |name| changed.contains_key(name));
    let site = staging.site();
    let failed = if plan.script {
        // Whether it imports them, and what comes of it, the script itself will show.
        BTreeMap::new()
    } else {
        try_out::imports(run, &plan.config, Some(&site), &fresh).await?
    };
    refuse_broken(&plan.asked, &found.packages, &failed, wanted.verify)?;
    installed.steps.push(("verify", began.elapsed()));
    installed.before = changed;
    installed.not_importable = failed;
    installed.packages.clone_from(&found.packages);
    installed.bytes = found.bytes;
    installed.warnings.clone_from(&found.warnings);
    let manifest = Manifest {
        generation: 0,
        created_ms: now_ms(),
        python: version.to_owned(),
        uv: uv_version,
        requested,
        packages: found.packages,
        bytes: found.bytes,
        warnings: found.warnings,
    };
    Ok((installed, Some(manifest)))
}

/// Resolves all that is requested; what is locked stays as it is where it can.
async fn resolve(
    plan: &Plan,
    uv: &mut Uv<'_>,
    staging: &Staging,
    requested: &[String],
    current: u64,
    wanted: &Wanted,
    old: &Manifest,
) -> Result<Vec<Locked>, PackageError> {
    let disk = |e: std::io::Error| PackageError::disk("nothing can be written", &e);
    let file = staging.lock_file();
    let list = staging.path().join("requirements.txt");
    std::fs::write(&list, requested.join("\n") + "\n").map_err(disk)?;
    if current > 0 {
        std::fs::copy(plan.place.lock_file(current), &file).map_err(disk)?;
    }
    uv.compile(&list, &file, &plan.wish).await.map_err(PackageError::failed)?;
    let mut lock = locked(&std::fs::read_to_string(&file).map_err(disk)?);
    let given: BTreeMap<String, &Vec<String>> = wanted
        .hashes
        .iter()
        .map(|(name, hashes)| (super::requirement::normalise(name), hashes))
        .collect();
    let had: BTreeSet<&str> =
        old.packages.iter().flat_map(|p| p.hashes.iter().map(String::as_str)).collect();
    for locked in &mut lock {
        if let Some(allowed) = given.get(&locked.name) {
            locked.hashes.retain(|hash| allowed.contains(hash));
            if locked.hashes.is_empty() {
                return Err(PackageError::failed(format!(
                    "no file of `{}` has one of the hashes that were given",
                    locked.line
                )));
            }
        } else if plan.config.packages.require_hashes
            && !locked.hashes.iter().any(|hash| had.contains(hash.as_str()))
        {
            return Err(Rejected::field(
                "hashes",
                format!(
                    "`{}` needs a hash in `hashes`: the configuration requires it",
                    locked.line
                ),
            )
            .into());
        }
    }
    std::fs::write(&file, write_lock(&lock)).map_err(disk)?;
    Ok(lock)
}

/// The last step: the generation appears and is put in force.
async fn finish<E: Execute>(
    packages: Shared,
    run: Arc<E>,
    settings: Arc<Settings>,
    plan: Plan,
    lock: Lock,
    staging: Staging,
    manifest: Manifest,
) -> Result<(u64, bool), PackageError> {
    let place = plan.place.clone();
    let committed = tokio::task::spawn_blocking(move || {
        let made = place.commit(&lock, staging, manifest);
        (made, lock)
    });
    let (made, lock) =
        committed.await.map_err(|e| PackageError::failed(format!("the switch failed: {e}")))?;
    let made = made.map_err(|e| PackageError::disk("the new generation could not be kept", &e))?;
    tracing::info!(environment = %plan.name, generation = made.generation, bytes = made.bytes, "packages installed");
    // Another environment is not what executions see, and was not meant to be.
    let seen = plan.script
        || plan.name != settings.config().packages.environment
        || packages.switch(&*run, &settings).await;
    let place = plan.place.clone();
    let config = Arc::clone(&plan.config);
    packages.leases.sweep(run.sessions().iter().map(|session| session.age).max());
    // An old generation that could not be removed was logged; the next one tries again.
    let _ = tokio::task::spawn_blocking(move || {
        place.prune(&lock, &config.packages);
        drop(lock);
        if plan.script {
            Packages::prune_scripts(&config);
        }
    })
    .await;
    Ok((made.generation, seen))
}

/// What is asked for now, on top of what was before; a name's newest wish counts.
fn requested(old: &[String], asked: &[Requirement]) -> Vec<String> {
    let name_of = |text: &str| Requirement::parse(text, true).map(|r| r.name().to_owned()).ok();
    let replaced = |text: &&String| {
        let name = name_of(text);
        !asked.iter().any(|asked| Some(asked.name()) == name.as_deref())
    };
    let mut all: Vec<String> = old.iter().filter(replaced).cloned().collect();
    all.extend(asked.iter().map(Requirement::to_string));
    all.sort();
    all
}

/// Version before, of every package that is new or has another version now.
fn before(old: &Manifest, now: &[Package]) -> BTreeMap<String, Option<String>> {
    let was: BTreeMap<_, _> = old.packages.iter().map(|p| (&p.name, &p.version)).collect();
    let changed = now.iter().filter(|p| was.get(&p.name) != Some(&&p.version));
    changed.map(|p| (p.name.clone(), was.get(&p.name).map(|v| (*v).clone()))).collect()
}

fn unbuilt(locked: &Locked) -> Package {
    let version = locked.line.split_once("==").map_or("", |(_, rest)| rest);
    let version = version.split([' ', ';']).next().unwrap_or_default();
    Package {
        name: locked.name.clone(),
        version: version.to_owned(),
        hashes: locked.hashes.clone(),
        ..Package::default()
    }
}

/// What is there has to be what was locked: no more, and no less but for
/// what a marker leaves out.
fn complete(lock: &[Locked], found: &[Package]) -> Result<(), PackageError> {
    for package in found {
        if !lock.iter().any(|locked| locked.name == package.name) {
            let reason = format!("a wheel brought `{}`, which nobody asked for", package.name);
            return Err(PackageError::failed(reason));
        }
    }
    let missing = lock
        .iter()
        .find(|locked| !locked.line.contains(';') && !found.iter().any(|p| p.name == locked.name));
    match missing {
        Some(locked) => Err(PackageError::failed(format!("`{}` was not installed", locked.line))),
        None => Ok(()),
    }
}

/// A package that was asked for by name and can't be imported is refused.
fn refuse_broken(
    asked: &[Requirement],
    found: &[Package],
    failed: &BTreeMap<String, String>,
    verify: bool,
) -> Result<(), PackageError> {
    if !verify {
        return Ok(());
    }
    for package in found.iter().filter(|p| asked.iter().any(|asked| asked.name() == p.name)) {
        if let Some((module, reason)) =
            package.modules.iter().find_map(|module| failed.get_key_value(module))
        {
            return Err(PackageError::failed(format!(
                "`import {module}` of {} {} fails: {} (`verify`: false installs it all the same)",
                package.name,
                package.version,
                reason.trim_end()
            )));
        }
    }
    Ok(())
}

fn same_python(before: &str, now: &str) -> bool {
    let minor = |version: &str| version.splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
    minor(before) == minor(now)
}

fn now_ms() -> u64 {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_wish_for_a_name_counts() {
        let asked = [Requirement::parse("Foo_bar==2", false).unwrap()];
        let old = ["a>=1".to_owned(), "foo.bar".to_owned()];
        assert_eq!(requested(&old, &asked), ["Foo_bar==2", "a>=1"]);
    }

    #[test]
    fn what_nobody_locked_and_what_is_missing_is_refused() {
        let lock = locked("a==1\nb==2 ; python_version < '3'\n");
        let package = |name: &str| Package { name: name.to_owned(), ..Package::default() };
        assert!(complete(&lock, &[package("a")]).is_ok());
        assert!(complete(&lock, &[package("a"), package("c")]).is_err());
        assert!(complete(&lock, &[package("b")]).is_err());
    }

    #[test]
    fn a_module_that_can_not_be_imported_refuses_its_package_by_name() {
        let asked = [Requirement::parse("a", false).unwrap()];
        let package = |name: &str, module: &str| Package {
            name: name.to_owned(),
            modules: vec![module.to_owned()],
            ..Package::default()
        };
        let found = [package("a", "x"), package("dependency", "y")];
        let failed = |module: &str| BTreeMap::from([(module.to_owned(), "boom".to_owned())]);
        assert!(refuse_broken(&asked, &found, &failed("y"), true).is_ok());
        assert!(refuse_broken(&asked, &found, &failed("x"), false).is_ok());
        let error = refuse_broken(&asked, &found, &failed("x"), true).unwrap_err().to_string();
        assert!(error.contains("import x") && error.contains("boom"), "{error}");
    }
}
