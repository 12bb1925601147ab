//! Paths and query strings: percent-decoding, lists comma-separated or repeated.
//!
//! **Invariant:** decoding never fails and never panics; what is not a valid
//! escape stands for itself, what is not UTF-8 is replaced.

/// The part after `?`, decoded into pairs in the order given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Parses `a=1&b=x%20y&a=2`.
    #[must_use]
    pub fn parse(raw: &str) -> Self {
        let pairs = raw.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name, true), decode(value, true))
        });
        Self(pairs.collect())
    }

    /// Every value of `name`, split at commas, empty ones left out.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<String> {
        self.0
            .iter()
            .filter(|(key, _)| key == name)
            .flat_map(|(_, value)| value.split(','))
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// The last value of `name`.
    #[must_use]
    pub fn last(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The first name that is none of `known`.
    #[must_use]
    pub fn unknown(&self, known: &[&str]) -> Option<&str> {
        self.0.iter().map(|(key, _)| key.as_str()).find(|key| !known.contains(key))
    }
}

/// Splits a request target into its decoded path and its query.
#[must_use]
pub fn split(target: &str) -> (String, Query) {
    let target = target.split_once('#').map_or(target, |(before, _)| before);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    (decode(path, false), Query::parse(query))
}

fn decode(text: &str, plus_is_space: bool) -> String {
    if !text.contains(['%', '+']) {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escape = bytes.get(at + 1..at + 3).and_then(|digits| {
            let high = char::from(digits[0]).to_digit(16)?;
            let low = char::from(digits[1]).to_digit(16)?;
            u8::try_from(high * 16 + low).ok()
        });
        match (byte, escape) {
            (b'%', Some(value)) => {
                out.push(value);
                at += 3;
                continue;
            }
            (b'+', _) if plus_is_space => out.push(b' '),
            (other, _) => out.push(other),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_comma_separated_or_repeated() {
        let query = Query::parse("module=os&module=a,b%2Cc,&x=1");
        assert_eq!(query.list("module"), ["os", "a", "b", "c"]);
        assert_eq!(query.last("x"), Some("1"));
        assert_eq!(query.unknown(&["module"]), Some("x"));
    }

    #[test]
    fn bad_escapes_stand_for_themselves() {
        let (path, query) = split("/a%2fb%zz%?q=100%&r=%E2%82%AC+x");
        assert_eq!(path, "/a/b%zz%");
        assert_eq!(query.last("q"), Some("100%"));
        assert_eq!(query.last("r"), Some("€ x"));
    }

    #[test]
    fn bytes_that_are_not_text_are_replaced() {
        assert_eq!(split("/%ff").0, "/\u{fffd}");
    }
}
