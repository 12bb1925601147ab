//! The routes: one table for dispatch, 405, the index and the core's list.
//!
//! **Invariant:** a path is known or unknown by this table alone, in both
//! spellings (`/execute`, `/api/<name>/execute`).

/// What a route does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    Index,
    Execute,
    Evaluate,
    ExecuteFile,
    Version,
    Modules,
    Health,
    Handlers,
    Sessions,
    EndSession,
    Interrupt,
    Attestations,
    Install,
    Check,
    Environment,
    Rollback,
}

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    pub method: &'static str,
    pub path: &'static str,
    pub about: &'static str,
    pub endpoint: Endpoint,
}

const fn route(
    method: &'static str,
    path: &'static str,
    endpoint: Endpoint,
    about: &'static str,
) -> Route {
    Route { method, path, about, endpoint }
}

/// The path of one session; the last part is its name.
const ONE_SESSION: &str = "/sessions/{id}";
/// The path that interrupts it.
const INTERRUPT: &str = "/sessions/{id}/interrupt";

/// Every route.
pub const ROUTES: &[Route] = &[
    route("GET", "/", Endpoint::Index, "This list"),
    route("POST", "/execute", Endpoint::Execute, "Run a module given as `code`"),
    route("POST", "/evaluate", Endpoint::Evaluate, "Evaluate one expression, `expr`"),
    route("POST", "/execute-file", Endpoint::ExecuteFile, "Run the file at `path`"),
    route("GET", "/version", Endpoint::Version, "Python's and the plugin's versions"),
    route("GET", "/modules", Endpoint::Modules, "Which modules can be imported"),
    route("GET", "/health", Endpoint::Health, "Readiness, sandbox, load"),
    route("GET", "/handlers", Endpoint::Handlers, "Handlers, their triggers and last runs"),
    route("GET", "/sessions", Endpoint::Sessions, "Sessions: age, idle time, executions"),
    route("DELETE", ONE_SESSION, Endpoint::EndSession, "End a session"),
    route("POST", INTERRUPT, Endpoint::Interrupt, "Interrupt what runs in a session"),
    route(
        "GET",
        "/attestations",
        Endpoint::Attestations,
        "Stored attestations, newest first; subject, predicate, context, actor, limit",
    ),
    route("POST", "/uv/install", Endpoint::Install, "Install `package` or `packages`"),
    route("POST", "/pip/install", Endpoint::Install, "The same as /uv/install"),
    route("GET", "/uv/check", Endpoint::Check, "Where modules come from; module, importable"),
    route("POST", "/uv/check", Endpoint::Check, "The same, asked in the body"),
    route("GET", "/pip/check", Endpoint::Check, "The same as /uv/check"),
    route("POST", "/pip/check", Endpoint::Check, "The same as /uv/check"),
    route("GET", "/uv/environment", Endpoint::Environment, "Installed packages, lock, history"),
    route("POST", "/uv/rollback", Endpoint::Rollback, "Back to an older generation of packages"),
];

/// What a method and a path come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    Found(Endpoint),
    /// The path is known; these methods are allowed.
    WrongMethod(String),
    Unknown,
}

/// Looks `path` (no query) up, under either spelling. `HEAD` goes where `GET` goes.
#[must_use]
pub fn find(name: &str, method: &str, path: &str) -> Match {
    let path = strip(name, path);
    let path = match path.strip_prefix("/sessions/") {
        // A name may end like this too: ending a session goes by the whole path.
        Some(rest) if method == "POST" && rest.ends_with("/interrupt") => INTERRUPT,
        Some(rest) if !rest.is_empty() => ONE_SESSION,
        Some(_) | None => path,
    };
    let asked = if method == "HEAD" { "GET" } else { method };
    let mut allowed = Vec::new();
    for route in ROUTES.iter().filter(|route| route.path == path) {
        if route.method == asked {
            return Match::Found(route.endpoint);
        }
        allowed.push(route.method);
        if route.method == "GET" {
            allowed.push("HEAD");
        }
    }
    if allowed.is_empty() { Match::Unknown } else { Match::WrongMethod(allowed.join(", ")) }
}

/// The path without `/api/<name>` in front and without a slash at the end.
fn strip<'p>(name: &str, path: &'p str) -> &'p str {
    let short = path
        .strip_prefix("/api/")
        .and_then(|rest| rest.strip_prefix(name))
        .filter(|rest| rest.is_empty() || rest.starts_with('/'))
        .unwrap_or(path);
    let short = short.trim_end_matches('/');
    if short.is_empty() { "/" } else { short }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_and_a_trailing_slash_route_the_same() {
        for path in ["/execute", "/api/python/execute", "/execute/", "/api/python/execute/"] {
            assert_eq!(find("python", "POST", path), Match::Found(Endpoint::Execute), "{path}");
        }
        for path in ["", "/", "/api/python", "/api/python/"] {
            assert_eq!(find("python", "GET", path), Match::Found(Endpoint::Index), "{path}");
        }
    }

    #[test]
    fn a_name_that_merely_begins_alike_is_unknown() {
        assert_eq!(find("python", "POST", "/api/pythonx/execute"), Match::Unknown);
        assert_eq!(find("python", "POST", "/api/other/execute"), Match::Unknown);
    }

    #[test]
    fn a_known_path_tells_its_methods() {
        assert_eq!(find("p", "GET", "/execute"), Match::WrongMethod("POST".into()));
        assert_eq!(find("p", "PUT", "/version"), Match::WrongMethod("GET, HEAD".into()));
        assert_eq!(find("p", "HEAD", "/version"), Match::Found(Endpoint::Version));
    }

    #[test]
    fn no_route_stands_twice() {
        for (at, route) in ROUTES.iter().enumerate() {
            let same = |r: &&Route| (r.method, r.path) == (route.method, route.path);
            assert_eq!(ROUTES.iter().position(|r| same(&r)), Some(at));
        }
    }
}
