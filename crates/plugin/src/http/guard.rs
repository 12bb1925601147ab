//! Who may call over TCP.
//!
//! **Invariant:** without a token, only requests that name a loopback host (or
//! the configured one, or one that our certificate is for) pass: a page that
//! rebinds its name to 127.0.0.1 does not.

use crate::api::Reply;
use crate::tls::Names;
use http::{HeaderMap, Request, Version, header};
use std::hint::black_box;
use std::net::IpAddr;

pub(super) const NO_TOKEN: &str = "a token is needed: Authorization: Bearer TOKEN";

/// The checks of one listener.
#[derive(Debug, Default)]
pub struct Guard {
    /// The host of `--address`, when it is not a loopback one.
    host: Option<String>,
    token: Option<Token>,
    /// What our certificate is for.
    names: Option<Names>,
}

/// A secret that callers have to show.
#[derive(Clone)]
pub struct Token(Vec<u8>);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Token {
    /// Fewest bytes of a token.
    pub const MIN: usize = 16;

    /// A token from a file's content; the white space around it is not part of it.
    #[must_use]
    pub fn parse(content: &[u8]) -> Option<Self> {
        let token = content.trim_ascii();
        let visible = token.iter().all(u8::is_ascii_graphic);
        (token.len() >= Self::MIN && visible).then(|| Self(token.to_vec()))
    }

    /// Whether `shown` is the token, in a time that does not depend on where
    /// they differ.
    fn fits(&self, shown: &[u8]) -> bool {
        let mut difference = u8::from(self.0.len() != shown.len());
        for (at, byte) in self.0.iter().enumerate() {
            difference |= black_box(byte ^ shown.get(at).copied().unwrap_or(!byte));
        }
        black_box(difference) == 0
    }
}

impl Guard {
    /// Checks for a listener on `host`.
    #[must_use]
    pub fn new(host: &str, token: Option<Token>) -> Self {
        Self { host: (!is_loopback(host)).then(|| host.to_owned()), token, names: None }
    }

    /// The same for the names of a certificate, too: who has one for a name has
    /// that name, and a page of another can't even connect.
    #[must_use]
    pub fn also_for(self, names: Option<Names>) -> Self {
        Self { names, ..self }
    }

    /// Whether the request shows the token, or none is wanted.
    pub(super) fn token_fits(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else { return true };
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| {
            let (scheme, rest) = value.as_bytes().split_at_checked(7)?;
            scheme.eq_ignore_ascii_case(b"bearer ").then(|| rest.trim_ascii())
        });
        shown.is_some_and(|shown| token.fits(shown))
    }

    /// The checks of plain HTTP; the refusal says which one failed.
    pub(super) fn admit<B>(&self, request: &Request<B>) -> Result<(), Reply> {
        let host = host(request)?;
        if !self.token_fits(request.headers()) {
            let reply = Reply::error(401, NO_TOKEN);
            return Err(reply.with("www-authenticate", "Bearer".to_owned()));
        }
        // Who shows the token is no rebound page.
        if self.token.is_none() && !self.is_ours(host.as_deref()) && !self.is_named(host.as_deref())
        {
            let shown = host.unwrap_or_default();
            let names = if self.names.is_some() { " and those of its certificate" } else { "" };
            return Err(Reply::error(
                403,
                &format!("this port answers to loopback names{names}, not to the host `{shown}`"),
            ));
        }
        match request.headers().get(header::ORIGIN) {
            Some(origin) if !self.same_origin(origin.as_bytes(), request) => {
                Err(Reply::error(403, "this port does not answer to pages of another origin"))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn is_ours(&self, host: Option<&str>) -> bool {
        let Some(host) = host else { return true };
        is_loopback(host) || self.host.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(host))
    }

    fn is_named(&self, host: Option<&str>) -> bool {
        let named = self.names.as_ref().zip(host);
        named.is_some_and(|(names, host)| names.hold(host))
    }

    fn same_origin<B>(&self, origin: &[u8], request: &Request<B>) -> bool {
        let Ok(origin) = std::str::from_utf8(origin) else { return false };
        let Some((_, authority)) = origin.split_once("://") else { return false };
        let same = || {
            // HTTP/2, which browsers speak over TLS, has the host in the target.
            let host = match request.headers().get(header::HOST) {
                Some(host) => host.to_str().ok()?,
                None => request.uri().authority()?.as_str(),
            };
            Some(host.eq_ignore_ascii_case(authority))
        };
        self.is_ours(Some(without_port(authority))) || same().unwrap_or(false)
    }
}

/// Whether the content is declared to be JSON.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let content = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content.is_some_and(|content| {
        let kind = content.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("application/json")
    })
}

/// `localhost`, a name below it, 127.0.0.0/8, `::1`.
#[must_use]
fn is_loopback(host: &str) -> bool {
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    let host = host.strip_suffix('.').unwrap_or(host);
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => {
            let host = host.to_ascii_lowercase();
            host == "localhost" || host.ends_with(".localhost")
        }
    }
}

/// The host a request names, without its port. HTTP/1.0 may name none.
fn host<B>(request: &Request<B>) -> Result<Option<String>, Reply> {
    let bad = |reason: &str| Err(Reply::error(400, reason));
    let mut named = request.headers().get_all(header::HOST).iter();
    let authority = request.uri().authority().map(|authority| authority.as_str());
    let host = match (named.next(), named.next(), authority) {
        (Some(_), Some(_), _) => return bad("more than one Host header"),
        (Some(host), None, _) => match host.to_str() {
            Ok(host) => host,
            Err(_) => return bad("the Host header is not text"),
        },
        (None, _, Some(authority)) => authority,
        (None, _, None) if request.version() <= Version::HTTP_10 => return Ok(None),
        (None, _, None) => return bad("the Host header is missing"),
    };
    Ok(Some(without_port(host).to_owned()))
}

/// `[::1]:80` → `[::1]`, `a:80` → `a`.
fn without_port(authority: &str) -> &str {
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !host.is_empty() => {
            if host.contains(':') && !host.ends_with(']') {
                authority
            } else {
                host
            }
        }
        Some(_) | None => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(guard: &Guard, headers: &[(&str, &str)]) -> u16 {
        let mut request = Request::builder().uri("/execute");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        guard.admit(&request.body(()).unwrap()).map_or_else(|reply| reply.status, |()| 200)
    }

    #[test]
    fn only_loopback_hosts_pass_without_a_token() {
        let guard = Guard::new("127.0.0.1", None);
        for host in [
            "localhost:9000",
            "127.0.0.1:9000",
            "127.9.9.9",
            "[::1]:9000",
            "LOCALHOST",
            "a.localhost",
        ] {
            assert_eq!(status(&guard, &[("host", host)]), 200, "{host}");
        }
        for host in
            ["evil.example:9000", "10.0.0.1", "localhost.evil.example", "127.0.0.1.nip.io", ""]
        {
            assert_eq!(status(&guard, &[("host", host)]), 403, "{host}");
        }
        assert_eq!(status(&guard, &[]), 400);
        assert_eq!(status(&guard, &[("host", "localhost"), ("host", "localhost")]), 400);
    }

    #[test]
    fn the_configured_host_passes() {
        let guard = Guard::new("box.lan", None);
        assert_eq!(status(&guard, &[("host", "BOX.lan:9000")]), 200);
        assert_eq!(status(&guard, &[("host", "other.lan")]), 403);
    }

    #[test]
    fn pages_of_other_origins_are_refused() {
        let guard = Guard::new("127.0.0.1", None);
        for (origin, expected) in [
            ("http://localhost:5173", 200),
            ("http://127.0.0.1:9000", 200),
            ("http://[::1]:9000", 200),
            ("https://evil.example", 403),
            ("null", 403),
            ("http://localhost@evil.example", 403),
        ] {
            let headers = [("host", "localhost:9000"), ("origin", origin)];
            assert_eq!(status(&guard, &headers), expected, "{origin}");
        }
    }

    #[test]
    fn the_token_is_asked_for_and_compared_whole() {
        let token = Token::parse(b"0123456789abcdef0123\n").unwrap();
        let guard = Guard::new("0.0.0.0", Some(token));
        let host = ("host", "anything.example");
        let with = |value| status(&guard, &[host, ("authorization", value)]);
        assert_eq!(status(&guard, &[host]), 401);
        assert_eq!(with("Bearer 0123456789abcdef0123"), 200);
        assert_eq!(with("bearer 0123456789abcdef0123"), 200);
        for wrong in ["Bearer 0123456789abcdef012", "Bearer 0123456789abcdef01234", "Bearer ", "x"]
        {
            assert_eq!(with(wrong), 401, "{wrong}");
        }
        let page = ("origin", "https://evil.example");
        let shown = ("authorization", "Bearer 0123456789abcdef0123");
        assert_eq!(status(&guard, &[host, shown, page]), 403);
    }

    #[test]
    fn over_http_2_the_host_is_that_of_the_target() {
        let token = Token::parse(b"0123456789abcdef0123").unwrap();
        let guard = Guard::new("0.0.0.0", Some(token));
        let shown = ("authorization", "Bearer 0123456789abcdef0123");
        for (origin, admitted) in [
            ("https://box.lan:9000", true),
            ("https://box.lan:9001", false),
            ("https://evil.example", false),
        ] {
            let request = Request::builder().version(Version::HTTP_2);
            let request = request.uri("https://box.lan:9000/execute").header(shown.0, shown.1);
            let request = request.header("origin", origin).body(()).unwrap();
            assert_eq!(guard.admit(&request).is_ok(), admitted, "{origin}");
        }
    }

    #[test]
    fn a_token_is_long_enough_and_visible() {
        assert!(Token::parse(b"short").is_none());
        assert!(Token::parse(b"0123456789 abcdef0123").is_none());
        assert_eq!(format!("{:?}", Token::parse(b"0123456789abcdef").unwrap()), "Token(…)");
    }

    #[test]
    fn json_is_declared_with_or_without_a_charset() {
        let json = |value: &'static str| {
            is_json(&HeaderMap::from_iter([(header::CONTENT_TYPE, value.parse().unwrap())]))
        };
        assert!(json("application/json") && json("Application/JSON; charset=utf-8"));
        assert!(
            !json("text/plain") && !json("application/json-patch") && !is_json(&HeaderMap::new())
        );
    }
}
