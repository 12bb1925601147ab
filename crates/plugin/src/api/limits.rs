//! What a request may say about its limits: lowered freely, raised up to the
//! configured ceiling.
//!
//! **Invariant:** no `Limits` made here is above the ceiling, and none is zero.

use crate::api::body::Body;
use crate::config::Config;
use crate::error::Rejected;
use proto::Limits;
use serde::Deserialize;
use std::time::Duration;

/// Reads `timeout_secs` and `limits` out of `body`; what it leaves out is as in `limits`.
pub fn take(body: &mut Body<'_>, config: &Config, mut limits: Limits) -> Result<Limits, Rejected> {
    let (ceiling, defaults) = (&config.ceiling, &config.defaults);
    if let Some(secs) = body.take::<f64>("timeout_secs", "a number of seconds")? {
        limits.wall =
            seconds("timeout_secs", secs, ceiling.wall.max(defaults.wall), "--max-timeout-secs")?;
    }
    let Some(mut own) = body.nested("limits", "limits.")? else { return Ok(limits) };
    let bytes = "a number of bytes or a text like \"512M\"";
    let count = "a whole number above 0";
    if let Some(size) = own.take::<Size>("memory_bytes", bytes)? {
        let most = ceiling.memory_bytes.max(defaults.memory_bytes);
        limits.memory_bytes = size.within("memory_bytes", most)?;
    }
    if let Some(size) = own.take::<Size>("output_bytes", bytes)? {
        let most = ceiling.output_bytes.max(defaults.output_bytes);
        limits.output_bytes = size.small("output_bytes", most)?;
    }
    if let Some(secs) = own.take::<f64>("cpu_secs", "a number of seconds")? {
        let most = ceiling.cpu.unwrap_or_else(|| ceiling.wall.saturating_mul(cores()));
        limits.cpu = Some(seconds("limits.cpu_secs", secs, most, "the configured ceiling")?);
    }
    if let Some(threads) = own.take::<u32>("threads", count)? {
        let most = ceiling.threads.max(defaults.threads);
        limits.threads = whole("threads", threads, most)?;
    }
    if let Some(size) = own.take::<Size>("result_bytes", bytes)? {
        let most = ceiling.result_bytes.max(defaults.result_bytes);
        limits.result_bytes = size.small("result_bytes", most)?;
    }
    if let Some(depth) = own.take::<u32>("result_depth", count)? {
        let most = ceiling.result_depth.max(defaults.result_depth);
        limits.result_depth = whole("result_depth", depth, most)?;
    }
    if let Some(size) = own.take::<Size>("scratch_bytes", bytes)? {
        let most = ceiling.scratch_bytes.max(defaults.scratch_bytes);
        limits.scratch_bytes = size.within("scratch_bytes", most)?;
    }
    if let Some(files) = own.take::<u64>("scratch_files", count)? {
        let most = ceiling.scratch_files.max(defaults.scratch_files);
        limits.scratch_files = whole("scratch_files", files, most)?;
    }
    if let Some(calls) = own.take::<u64>("host_calls", count)? {
        let most = ceiling.host_calls.max(defaults.host_calls);
        limits.host_calls = whole("host_calls", calls, most)?;
    }
    own.finish()?;
    Ok(limits)
}

/// A duration above 0 and up to `most`, given in seconds.
pub fn seconds(field: &str, secs: f64, most: Duration, raise: &str) -> Result<Duration, Rejected> {
    let wrong = |reason: String| Err(Rejected::field(field, format!("`{field}` {reason}")));
    if secs.is_nan() || secs <= 0.0 {
        return wrong(format!("has to be above 0, not {secs}"));
    }
    match Duration::try_from_secs_f64(secs) {
        Ok(wall) if wall.is_zero() => wrong(format!("has to be above 0, not {secs}")),
        Ok(wall) if wall <= most => Ok(wall),
        Ok(_) | Err(_) => wrong(format!(
            "is {secs}, the maximum is {} s; {raise} sets the maximum",
            most.as_secs_f64()
        )),
    }
}

/// Reads `512M`, `1G`, `1.5GiB`, `4096`: a number of bytes, binary multiples.
pub fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim().to_ascii_lowercase().trim_end_matches("ib").trim_end_matches('b')
    {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return None,
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_shl(shift).filter(|bytes| bytes >> shift == whole);
    }
    let bytes = number.parse::<f64>().ok()? * f64::from(1u32 << shift.min(30));
    let bytes = if shift == 40 { bytes * 1024.0 } else { bytes };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked before")]
    (bytes.is_finite() && (0.0..1e18).contains(&bytes)).then_some(bytes as u64)
}

/// Cores the process may use.
fn cores() -> u32 {
    crate::spare::cores()
}

fn whole<N: Into<u64> + Copy>(name: &str, value: N, most: N) -> Result<N, Rejected> {
    let field = format!("limits.{name}");
    if value.into() == 0 {
        return Err(Rejected::field(&field, format!("`{field}` has to be above 0")));
    }
    if value.into() > most.into() {
        return Err(above(&field, value.into(), most.into()));
    }
    Ok(value)
}

fn above(field: &str, value: u64, most: u64) -> Rejected {
    Rejected::field(field, format!("`{field}` is {value}, the configured maximum is {most}"))
}

/// Bytes, as a number or as a text with a unit.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Size {
    Number(u64),
    Text(String),
}

impl Size {
    fn within(&self, name: &str, most: u64) -> Result<u64, Rejected> {
        let field = format!("limits.{name}");
        let bytes = match self {
            Self::Number(bytes) => *bytes,
            Self::Text(text) => size(text).ok_or_else(|| {
                Rejected::field(
                    &field,
                    format!("`{field}` is \"{text}\"; write bytes, or a text like \"512M\""),
                )
            })?,
        };
        whole(name, bytes, most)
    }

    fn small(&self, name: &str, most: usize) -> Result<usize, Rejected> {
        let bytes = self.within(name, most as u64)?;
        Ok(usize::try_from(bytes).unwrap_or(most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(body: &str) -> Result<Limits, (Option<String>, String)> {
        let mut body = Body::parse(body.as_bytes()).unwrap();
        take(&mut body, &Config::default(), Limits::default()).map_err(|e| {
            let Rejected::Invalid { field, reason } = e else { panic!("{e:?}") };
            (field, reason)
        })
    }

    fn check(body: &str, field: &str, words: &str) {
        let (named, reason) = limits(body).unwrap_err();
        assert_eq!(named.as_deref(), Some(field), "{reason}");
        assert!(reason.contains(words), "{reason}");
    }

    #[test]
    fn limits_are_lowered_and_raised_up_to_the_ceiling() {
        let own = limits(
            r#"{"timeout_secs":0.25,"limits":{"memory_bytes":"512M","threads":2,"cpu_secs":1,
                "output_bytes":1000,"host_calls":5}}"#,
        )
        .unwrap();
        assert_eq!(own.wall, Duration::from_millis(250));
        assert_eq!(own.memory_bytes, 512 << 20);
        assert_eq!((own.threads, own.host_calls, own.output_bytes), (2, 5, 1000));
        assert_eq!(own.cpu, Some(Duration::from_secs(1)));
        assert_eq!(limits("{}").unwrap(), Limits::default());
    }

    #[test]
    fn what_is_out_of_bounds_names_the_field_and_the_bound() {
        check(r#"{"timeout_secs":0}"#, "timeout_secs", "above 0");
        check(r#"{"timeout_secs":-1}"#, "timeout_secs", "above 0");
        check(r#"{"timeout_secs":1e-12}"#, "timeout_secs", "above 0");
        check(r#"{"timeout_secs":3601}"#, "timeout_secs", "--max-timeout-secs");
        check(r#"{"timeout_secs":1e300}"#, "timeout_secs", "maximum is 3600 s");
        check(r#"{"timeout_secs":"5"}"#, "timeout_secs", "a number of seconds, not a string");
        check(r#"{"limits":{"threads":0}}"#, "limits.threads", "above 0");
        check(r#"{"limits":{"threads":-1}}"#, "limits.threads", "negative");
        check(r#"{"limits":{"memory_bytes":"1T"}}"#, "limits.memory_bytes", "maximum");
        check(r#"{"limits":{"memory_bytes":"lots"}}"#, "limits.memory_bytes", "512M");
        check(r#"{"limits":{"memory_bytes":true}}"#, "limits.memory_bytes", "not a boolean");
        check(r#"{"limits":{"wings":1}}"#, "limits.wings", "unknown field");
        check(r#"{"limits":3}"#, "limits", "object, not a number");
    }

    #[test]
    fn sizes_are_read_with_binary_units() {
        for (text, bytes) in [
            ("4096", 4096),
            ("512M", 512 << 20),
            ("1G", 1 << 30),
            ("1.5GiB", 3 << 29),
            ("2 kb", 2048),
            ("1T", 1 << 40),
        ] {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for text in ["", "G", "-1", "1X", "1e3", "99999999999T", "1.2.3"] {
            assert_eq!(size(text), None, "{text}");
        }
    }
}
