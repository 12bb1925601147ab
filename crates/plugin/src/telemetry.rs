//! Logs: one line per event on stderr, JSON for the core, text for people.
//!
//! **Invariant:** a log line that can't be written is lost and nothing else
//! happens; the core closing its end never ends this process.

use std::fmt::Write as _;
use std::io;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, layer::SubscriberExt as _, reload};

/// What a line looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Json,
    Text,
}

/// Changes the level while the process runs.
#[derive(Debug, Clone)]
pub struct Levels {
    handle: reload::Handle<EnvFilter, Registry>,
    given: String,
}

/// The filter's text is not understood.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is no log level (error, warn, info, debug, trace) and no filter")]
pub struct LevelError {
    text: String,
}

impl Levels {
    /// Level debug, or what was given at the start.
    pub fn set_debug(&self, debug: bool) {
        if let Ok(filter) = filter(if debug { "debug" } else { &self.given }) {
            // It fails only when the subscriber is gone, and the logs with it.
            let _ = self.handle.reload(filter);
        }
    }
}

/// Starts logging.
pub fn start(level: &str, format: Format) -> Result<Levels, LevelError> {
    let (filter, handle) = reload::Layer::new(filter(level)?);
    let layer = tracing_subscriber::fmt::layer().with_writer(Stderr::default);
    // Its complaints would go to stderr with a macro that panics.
    let layer = match format {
        Format::Json => layer.event_format(Lines).log_internal_errors(false).boxed(),
        Format::Text => layer.with_ansi(false).log_internal_errors(false).boxed(),
    };
    // A second start, in tests, keeps the first.
    let _ = tracing_subscriber::registry().with(filter).with(layer).try_init();
    Ok(Levels { handle, given: level.to_owned() })
}

fn filter(level: &str) -> Result<EnvFilter, LevelError> {
    let wrong = || LevelError { text: level.to_owned() };
    let text = match level.parse::<Level>() {
        Ok(level) => {
            let level = level.as_str().to_ascii_lowercase();
            let ours = ["plugin", "qntx_python_plugin", "proto", "sandbox", "audit"];
            ours.iter().fold("warn".to_owned(), |mut text, target| {
                // Writing to a String does not fail.
                let _ = write!(text, ",{target}={level}");
                text
            })
        }
        Err(_) if level.contains('=') => level.to_owned(),
        Err(_) => return Err(wrong()),
    };
    EnvFilter::try_new(text).map_err(|_| wrong())
}

/// Standard error, whole lines, errors swallowed.
#[derive(Debug, Default)]
struct Stderr;

impl io::Write for Stderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let _ = io::stderr().lock().write_all(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// JSON lines with a lower-case `level`, which is what the core looks for.
struct Lines;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let meta = event.metadata();
        let mut line = serde_json::Map::new();
        let mut put = |key: &str, value: String| line.insert(key.to_owned(), value.into());
        put("level", meta.level().as_str().to_ascii_lowercase());
        let now = time::OffsetDateTime::now_utc();
        let format = time::format_description::well_known::Rfc3339;
        put("timestamp", now.format(&format).unwrap_or_default());
        put("target", meta.target().to_owned());
        if let Some(scope) = context.event_scope() {
            let mut spans = Vec::new();
            for span in scope.from_root() {
                let extensions = span.extensions();
                let fields = extensions.get::<FormattedFields<N>>().map(|f| f.fields.as_str());
                spans.push(format!("{}{{{}}}", span.name(), fields.unwrap_or_default()));
            }
            if !spans.is_empty() {
                put("span", spans.join(":"));
            }
        }
        event.record(&mut Fields(&mut line));
        writeln!(writer, "{}", serde_json::Value::Object(line))
    }
}

/// An event's fields as members.
struct Fields<'l>(&'l mut serde_json::Map<String, serde_json::Value>);

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: impl Into<serde_json::Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_a_word_or_a_filter() {
        for good in ["debug", "INFO", "plugin=trace,warn"] {
            assert!(filter(good).is_ok(), "{good}");
        }
        for bad in ["", "loud", "verbose"] {
            assert!(filter(bad).is_err(), "{bad}");
        }
    }
}
