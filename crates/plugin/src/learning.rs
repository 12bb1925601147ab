//! Learned preloads: modules that programs ask for often and no tier has.
//!
//! A program's text says what it imports (`imports.rs`). What was asked for
//! [`OFTEN`] times becomes a **lesson**: a zygote of the tier `learned` imports
//! it beside the common ones, and programs that ask for it are run there. A
//! lesson is a name and nothing else. Where the module comes from is the
//! zygote's to decide: from the interpreter's own directories and the site
//! directories alone, after the seal. One that can't be imported there, starts
//! a thread, keeps a descriptor, is too large or ends the zygote is set aside
//! with the reason, and not tried again before the configuration changes.
//!
//! **Invariant:** what is learned is bounded, whatever programs ask for: so
//! many names counted, so many learned, one generation in so much time.

use crate::tiers::Environment;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Asked for so many times, a module is learned.
const OFTEN: u32 = 3;
/// Most modules learned for one environment.
const MOST: usize = 32;
/// Most names counted, and most set aside, for one environment.
const COUNTED: usize = 512;
/// Most environments with lessons.
const BOOKS: usize = 16;
/// Others that are asked for at the same time are learned together.
const GATHER: Duration = Duration::from_millis(200);
/// Shortest time from one generation to the next.
const PACE: Duration = Duration::from_secs(10);

/// What was learned, for each environment.
#[derive(Debug, Default)]
pub struct Learning {
    books: Mutex<HashMap<Option<Environment>, Book>>,
}

/// Of one environment.
#[derive(Debug, Default)]
struct Book {
    asked: HashMap<String, Asked>,
    learned: Vec<String>,
    aside: BTreeMap<String, String>,
    /// A generation is on its way.
    due: bool,
    last: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Asked {
    times: u32,
    last: Instant,
}

impl Learning {
    /// Counts what a program asks for beyond the common modules. When something
    /// is to be learned from it: after how long a generation should be raised.
    #[must_use]
    pub fn note(&self, environment: Option<&Environment>, modules: &[&str]) -> Option<Duration> {
        let mut books = self.books();
        if books.len() >= BOOKS && !books.contains_key(&environment.cloned()) {
            return None;
        }
        let book = books.entry(environment.cloned()).or_default();
        let now = Instant::now();
        let mut news = false;
        for module in modules {
            news |= book.count(module, now);
        }
        if !news || book.due {
            return None;
        }
        book.due = true;
        let next = book.last.map_or(now, |last| last + PACE);
        Some(GATHER.max(next.saturating_duration_since(now)))
    }

    /// What a zygote that is raised now is to import beside the common modules.
    #[must_use]
    pub fn lesson(&self, environment: Option<&Environment>) -> Vec<String> {
        let mut books = self.books();
        let Some(book) = books.get_mut(&environment.cloned()) else { return Vec::new() };
        book.due = false;
        book.last = Some(Instant::now());
        book.learned.clone()
    }

    /// Whether one of them has been learned, with no generation on its way.
    #[must_use]
    pub fn knows(&self, environment: Option<&Environment>, modules: &[&str]) -> bool {
        let books = self.books();
        let book = books.get(&environment.cloned());
        book.is_some_and(|book| {
            !book.due && modules.iter().any(|name| book.learned.iter().any(|has| has == name))
        })
    }

    /// A module is not to be tried again.
    pub fn set_aside(&self, environment: Option<&Environment>, module: &str, reason: &str) {
        let mut books = self.books();
        let book = books.entry(environment.cloned()).or_default();
        book.learned.retain(|learned| learned != module);
        if book.aside.len() < COUNTED {
            book.aside.insert(module.to_owned(), reason.to_owned());
        }
    }

    /// What was set aside in the environment of the configuration, and why.
    #[must_use]
    pub fn aside(&self) -> Vec<(String, String)> {
        let books = self.books();
        let aside = books.get(&None).into_iter().flat_map(|book| &book.aside);
        aside.map(|(module, reason)| (module.clone(), reason.clone())).collect()
    }

    /// Forgets all: paths or packages are others now.
    pub fn forget(&self) {
        self.books().clear();
    }

    fn books(&self) -> MutexGuard<'_, HashMap<Option<Environment>, Book>> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// Whether there is a module to learn now.
    fn count(&mut self, module: &str, now: Instant) -> bool {
        if self.aside.contains_key(module) {
            return false;
        }
        if self.asked.len() >= COUNTED && !self.asked.contains_key(module) {
            let oldest = self.asked.iter().min_by_key(|(_, asked)| asked.last);
            if let Some(oldest) = oldest.map(|(module, _)| module.clone()) {
                self.asked.remove(&oldest);
            }
        }
        let asked = self.asked.entry(module.to_owned()).or_insert(Asked { times: 0, last: now });
        asked.times = asked.times.saturating_add(1);
        asked.last = now;
        if asked.times < OFTEN || self.learned.iter().any(|learned| learned == module) {
            return false;
        }
        if self.learned.len() >= MOST {
            let last = |module: &String| self.asked.get(module).map(|asked| asked.last);
            let stale = self.learned.iter().enumerate().min_by_key(|(_, module)| last(module));
            if let Some(stale) = stale.map(|(at, _)| at) {
                self.learned.remove(stale);
            }
        }
        self.learned.push(module.to_owned());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn often(learning: &Learning, module: &str) -> Option<Duration> {
        (0..OFTEN).filter_map(|_| learning.note(None, &[module])).last()
    }

    #[test]
    fn what_is_asked_for_often_is_learned_together_and_not_too_fast() {
        let learning = Learning::default();
        assert_eq!(learning.note(None, &["numpy"]), None);
        assert!(!learning.knows(None, &["numpy"]));
        assert_eq!(often(&learning, "numpy"), Some(GATHER));
        assert_eq!(often(&learning, "pandas"), None, "a generation is on its way already");
        assert_eq!(learning.lesson(None), ["numpy", "pandas"]);
        let pause = often(&learning, "scipy").expect("another generation");
        assert!(pause > PACE / 2, "{pause:?}");
        assert!(!learning.knows(None, &["os", "scipy"]));
        assert_eq!(learning.lesson(None).len(), 3);
        assert!(learning.knows(None, &["os", "scipy"]));
    }

    #[test]
    fn what_was_set_aside_is_not_tried_again() {
        let learning = Learning::default();
        assert!(often(&learning, "odd").is_some());
        learning.set_aside(None, "odd", "it starts threads");
        assert_eq!(learning.lesson(None), Vec::<String>::new());
        assert_eq!(often(&learning, "odd"), None);
        assert_eq!(learning.aside(), [("odd".to_owned(), "it starts threads".to_owned())]);
        learning.forget();
        assert!(often(&learning, "odd").is_some());
    }

    #[test]
    fn everything_is_bounded() {
        let learning = Learning::default();
        for n in 0..COUNTED * 2 {
            let _ = often(&learning, &format!("m{n}"));
        }
        let lesson = learning.lesson(None);
        assert_eq!(lesson.len(), MOST);
        assert_eq!(lesson.last(), Some(&format!("m{}", COUNTED * 2 - 1)));
        assert_eq!(learning.books()[&None].asked.len(), COUNTED);
        for generation in 0..BOOKS as u64 * 2 {
            let name = "e".to_owned();
            let environment = Environment { name, generation, site_dirs: Vec::new() };
            let _ = learning.note(Some(&environment), &["m"]);
        }
        assert_eq!(learning.books().len(), BOOKS);
    }
}
