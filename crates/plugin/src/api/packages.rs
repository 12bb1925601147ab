//! `/uv/*` and `/pip/*`: installing, looking, going back.
//!
//! **Invariant:** an answer says `success` only when what it speaks of is in
//! force; nothing is imported here, only in children.

use crate::api::body::Body;
use crate::api::json::Writer;
use crate::api::query::Query;
use crate::api::{Api, Call, Execute, Reply, attestations, modules};
use crate::error::{Rejected, RunError};
use crate::packages::generation::Manifest;
use crate::packages::{Installed, PackageError, Progress, Shared, View, Wanted, install, try_out};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Most packages in one request.
const MAX_PACKAGES: usize = 200;

impl<E: Execute, A: attestations::Find> Api<E, A> {
    pub(super) async fn install(
        &self,
        call: &Call,
        progress: &Progress,
    ) -> Result<Reply, RunError> {
        let wanted = wanted(&call.body)?;
        let began = Instant::now();
        let packages = self.packages()?;
        let done = install::install(&packages, &self.run, &self.settings, wanted, progress).await;
        let spent = began.elapsed();
        match done {
            Ok(installed) => Ok(Reply::json(200, body(&Ok(&installed), spent))),
            Err(PackageError::Failed { reason, said }) => {
                Ok(Reply::json(400, body(&Err((&reason, &said)), spent)))
            }
            Err(PackageError::Rejected(rejected)) => Err(rejected.into()),
            Err(PackageError::Run(error)) => Err(error),
        }
    }

    pub(super) async fn rollback(&self, call: &Call) -> Result<Reply, RunError> {
        let (mut environment, mut generation) = (None, None);
        if !call.body.trim_ascii().is_empty() {
            let mut body = Body::parse(&call.body)?;
            environment = body.text("environment")?;
            generation = body.take::<u64>("generation", "a number")?;
            body.finish()?;
        }
        let began = Instant::now();
        let packages = self.packages()?;
        let done =
            packages.rollback(&*self.run, &self.settings, environment.as_deref(), generation).await;
        viewed(done, Some(began))
    }

    pub(super) fn environment(&self, query: &Query) -> Result<Reply, RunError> {
        if let Some(name) = query.unknown(&["environment"]) {
            return Err(Rejected::field(name, format!("unknown parameter `{name}`")).into());
        }
        let config = self.settings.config();
        viewed(self.packages()?.view(&config, query.last("environment")), None)
    }

    pub(super) async fn check(&self, call: &Call, query: &Query) -> Result<Reply, RunError> {
        let asked = modules::checked(&call.body, query)?;
        let looked = match self.look_up(&asked.names, true).await? {
            Ok(looked) => looked,
            Err(reply) => return Ok(reply),
        };
        let config = self.settings.config();
        let failed = if asked.importable {
            let there = looked.modules.iter().filter(|(_, found)| found.available);
            let there: Vec<_> = there.map(|(name, _)| name.clone()).collect();
            Some(try_out::imports(&*self.run, &config, None, &there).await?)
        } else {
            None
        };
        let one = |w: &mut Writer, name: &str, found: &modules::Found| {
            w.key("module").string(name);
            w.key("available").bool(found.available);
            w.key("version").optional(found.version.as_deref());
            w.key("distribution").optional(found.distribution.as_deref());
            w.key("location").optional(found.location.as_deref());
            if let Some(failed) = &failed {
                let reason = failed.get(name).map(String::as_str);
                w.key("importable").bool(found.available && reason.is_none());
                w.key("import_error").optional(reason);
            }
        };
        let mut writer = Writer::with_capacity(256 * looked.modules.len());
        writer.object(|w| match looked.modules.first() {
            Some((name, found)) if asked.single => one(w, name, found),
            Some(_) | None => w.key("modules").array(|w| {
                for (name, found) in &looked.modules {
                    w.object(|w| one(w, name, found));
                }
            }),
        });
        Ok(Reply::json(200, writer.finish()))
    }

    fn packages(&self) -> Result<Shared, Rejected> {
        let reason = "this plugin was started without package management";
        self.packages
            .clone()
            .ok_or_else(|| Rejected::Invalid { field: None, reason: reason.to_owned() })
    }
}

fn wanted(bytes: &[u8]) -> Result<Wanted, Rejected> {
    let mut body = Body::parse(bytes)?;
    let one = body.text("package")?;
    let many = body.take::<Vec<String>>("packages", "a list of strings")?;
    let boolean = "true or false";
    let wanted = Wanted {
        environment: body.text("environment")?,
        index_url: body.text("index_url")?,
        only_binary: body.take("only_binary", boolean)?,
        upgrade: body.take("upgrade", boolean)?.unwrap_or_default(),
        dry_run: body.take("dry_run", boolean)?.unwrap_or_default(),
        verify: body.take("verify", boolean)?.unwrap_or(true),
        hashes: body
            .take::<BTreeMap<String, Vec<String>>>("hashes", "names with lists of hashes")?
            .unwrap_or_default(),
        packages: Vec::new(),
    };
    body.finish()?;
    let packages = match (one, many) {
        (Some(one), None) => vec![one],
        (None, Some(many)) => many,
        (Some(_), Some(_)) => {
            return Err(Rejected::field("packages", "give `package` or `packages`, not both"));
        }
        (None, None) => {
            return Err(Rejected::field("package", "missing field `package` (or `packages`)"));
        }
    };
    if packages.is_empty() || packages.len() > MAX_PACKAGES {
        let reason = format!("`packages` has to hold 1 to {MAX_PACKAGES} requirements");
        return Err(Rejected::field("packages", reason));
    }
    Ok(Wanted { packages, ..wanted })
}

/// The seed's shape around what came of an install.
fn body(done: &Result<&Installed, (&String, &String)>, spent: Duration) -> bytes::Bytes {
    let mut writer = Writer::with_capacity(4096);
    writer.object(|w| {
        w.key("success").bool(done.is_ok());
        match done {
            Ok(installed) => {
                w.key("stdout").string(summary(installed));
                w.key("stderr").string(&installed.said);
                w.key("result").object(|w| result(w, installed, spent));
                w.key("error").null();
            }
            Err((reason, said)) => {
                w.key("stdout").string("");
                w.key("stderr").string(said.as_str());
                w.key("result").null();
                w.key("error").string(reason.as_str());
            }
        }
        w.key("duration_ms").number(spent.as_millis());
    });
    writer.finish()
}

/// One line for each change, as people read them.
fn summary(installed: &Installed) -> String {
    let mut text = String::new();
    for package in &installed.packages {
        match installed.before.get(&package.name) {
            Some(Some(before)) => {
                text.push_str(&format!("~ {} {before} -> {}\n", package.name, package.version));
            }
            Some(None) => text.push_str(&format!("+ {} {}\n", package.name, package.version)),
            None => {}
        }
    }
    for (name, version) in &installed.removed {
        text.push_str(&format!("- {name} {version}\n"));
    }
    if text.is_empty() {
        text.push_str("everything is installed already\n");
    }
    text
}

fn result(w: &mut Writer, installed: &Installed, spent: Duration) {
    w.key("environment").string(&installed.environment);
    w.key("generation").number(installed.generation);
    w.key("changed").bool(installed.changed);
    w.key("dry_run").bool(installed.dry_run);
    w.key("packages").array(|w| {
        for package in &installed.packages {
            w.object(|w| {
                w.key("name").string(&package.name);
                w.key("version").string(&package.version);
                let before = installed.before.get(&package.name);
                w.key("change").string(match before {
                    Some(Some(_)) => "updated",
                    Some(None) => "added",
                    None => "kept",
                });
                if let Some(Some(before)) = before {
                    w.key("before").string(before);
                }
                w.key("bytes").number(package.bytes);
                w.key("files").number(package.files);
                w.key("modules").strings(&package.modules);
                w.key("hashes").strings(&package.hashes);
            });
        }
    });
    w.key("removed").array(|w| {
        for (name, version) in &installed.removed {
            w.object(|w| {
                w.key("name").string(name);
                w.key("version").string(version);
            });
        }
    });
    w.key("bytes").number(installed.bytes);
    w.key("seconds").raw(format!("{:.3}", spent.as_secs_f64()).as_bytes());
    w.key("steps_ms").object(|w| {
        for (step, took) in &installed.steps {
            w.key(step).number(took.as_millis());
        }
    });
    w.key("warnings").strings(&installed.warnings);
    w.key("not_importable").object(|w| {
        for (module, reason) in &installed.not_importable {
            w.key(module).string(reason);
        }
    });
}

/// An environment; as the `result` of a call when that took time.
fn viewed(done: Result<View, PackageError>, began: Option<Instant>) -> Result<Reply, RunError> {
    let view = match done {
        Ok(view) => view,
        Err(PackageError::Rejected(rejected)) => return Err(rejected.into()),
        Err(PackageError::Run(error)) => return Err(error),
        Err(PackageError::Failed { reason, said }) => {
            let spent = began.map_or(Duration::ZERO, |began| began.elapsed());
            return Ok(Reply::json(400, body(&Err((&reason, &said)), spent)));
        }
    };
    let mut writer = Writer::with_capacity(4096);
    writer.object(|w| match began {
        None => environment(w, &view),
        Some(began) => {
            w.key("success").bool(true);
            w.key("stdout").string(format!("generation {}\n", view.current));
            w.key("stderr").string("");
            w.key("result").object(|w| environment(w, &view));
            w.key("error").null();
            w.key("duration_ms").number(began.elapsed().as_millis());
        }
    });
    Ok(Reply::json(200, writer.finish()))
}

fn environment(w: &mut Writer, view: &View) {
    let current = view.history.iter().find(|manifest| manifest.generation == view.current);
    w.key("environment").string(&view.name);
    w.key("environments").strings(&view.names);
    w.key("script_environments").number(view.scripts);
    w.key("path").string(view.place.root().to_string_lossy().as_bytes());
    w.key("generation").number(view.current);
    match view.in_force {
        Some(generation) => w.key("in_force").number(generation),
        None => w.key("in_force").null(),
    }
    w.key("bytes").number(current.map_or(0, |manifest| manifest.bytes));
    w.key("python").optional(current.map(|manifest| manifest.python.as_str()));
    w.key("requested").strings(current.map_or(&[][..], |manifest| &manifest.requested));
    w.key("packages").array(|w| packages(w, current));
    w.key("lock").string(&view.lock);
    w.key("history").array(|w| {
        for manifest in view.history.iter().rev() {
            w.object(|w| {
                w.key("generation").number(manifest.generation);
                w.key("created_ms").number(manifest.created_ms);
                w.key("python").string(&manifest.python);
                w.key("uv").string(&manifest.uv);
                w.key("bytes").number(manifest.bytes);
                w.key("requested").strings(&manifest.requested);
                w.key("packages").array(|w| packages(w, Some(manifest)));
                w.key("warnings").strings(&manifest.warnings);
            });
        }
    });
}

fn packages(w: &mut Writer, manifest: Option<&Manifest>) {
    for package in manifest.map_or(&[][..], |manifest| &manifest.packages) {
        w.object(|w| {
            w.key("name").string(&package.name);
            w.key("version").string(&package.version);
            w.key("bytes").number(package.bytes);
        });
    }
}
