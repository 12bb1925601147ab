//! Which tier a request belongs to: its profile and environment are given, the
//! preloads follow from what the program imports.
//!
//! Nothing imported, or nothing that the bare tier has not: bare. Everything
//! else is run where the most of it is there already: in the learned tier when
//! that has something the common one has not, else in the common one, also when
//! a module is known nowhere, because what it imports in turn most likely is.
//! Of a file the supervisor does not know the text.
//!
//! **Invariant:** the choice is about time alone; any tier of the same profile
//! and environment would run the program to the same end.

use crate::imports;
use crate::request::{Request, Source};
use crate::tiers::{Key, Preload, Tiers};
use std::sync::Arc;

/// The tier `request` should run in; while that one has no zygote, another that
/// has, or will have one sooner.
#[must_use]
pub fn key_for(tiers: &Arc<Tiers>, request: &Request) -> Key {
    let key = |preload| Key {
        profile: request.profile.clone(),
        environment: request.environment.clone(),
        preload,
    };
    let first = preload_for(tiers, request, &key);
    let second = match first {
        Preload::Bare => Preload::Common,
        Preload::Common | Preload::Learned => Preload::Bare,
    };
    let (first, second) = (key(first), key(second));
    // Of the two that stay the bare one comes up first.
    let sooner = second == Key::default();
    if !tiers.is_up(&first) && (sooner || tiers.is_up(&second)) { second } else { first }
}

fn preload_for(tiers: &Arc<Tiers>, request: &Request, key: &impl Fn(Preload) -> Key) -> Preload {
    let asked = match &request.source {
        Source::Code { text, .. } | Source::Expression(text) | Source::Declarations(text) => {
            imports::asked(text)
        }
        Source::File(_) => return Preload::Common,
    };
    let has = |preload, module: &String| tiers.has(&Key::of(preload), module);
    if asked.iter().all(|module| has(Preload::Bare, module)) {
        return Preload::Bare;
    }
    if !tiers.is_up(&Key::of(Preload::Common)) {
        return Preload::Common;
    }
    let beyond: Vec<&str> =
        asked.iter().filter(|m| !has(Preload::Common, m)).map(String::as_str).collect();
    // Directories of its own may hold other modules of the same name.
    if beyond.is_empty() || !request.python_paths.is_empty() {
        return Preload::Common;
    }
    let learned = key(Preload::Learned);
    tiers.note(&learned, &beyond);
    if beyond.iter().any(|module| tiers.has(&learned, module)) {
        Preload::Learned
    } else {
        Preload::Common
    }
}
