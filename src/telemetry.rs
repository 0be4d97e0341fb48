//! Log lines to standard error: text for people, JSON for machines.
//!
//! Knows nothing of what is logged. Libraries below are kept quiet unless they are asked for by name.

use std::io::{self, IsTerminal, Write};

use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One line of text, coloured on a terminal unless `NO_COLOR` is set.
    #[default]
    Text,
    /// One JSON object on a line, its ids as fields.
    Json,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level is neither a word nor a list of directives.
    #[error(
        "log level `{0}` is not known\nhint: write `error`, `warn`, `info`, `debug`, `trace` or `off`, or directives like `info,lumasync::luma=debug`"
    )]
    Level(String),
    /// Something has set up logging before.
    #[error("logging is set up already")]
    AlreadySet,
}

/// Sends log lines of this level and above to standard error, for the rest of the process.
pub fn init(format: Format, level: &str) -> Result<(), TelemetryError> {
    let colour =
        io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    subscriber(format, filter(level)?, colour, io::stderr).try_init().map_err(|_| TelemetryError::AlreadySet)
}

type Subscriber = Box<dyn tracing::Subscriber + Send + Sync>;

fn subscriber<W>(format: Format, filter: EnvFilter, colour: bool, writer: W) -> Subscriber
where
    W: for<'w> MakeWriter<'w, Writer: Write> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    match format {
        Format::Text => Box::new(builder.with_ansi(colour).finish()),
        Format::Json => Box::new(builder.json().flatten_event(true).with_span_list(false).finish()),
    }
}

/// Our level for ourselves; the libraries at `warn`, or lower where the level is, or as a directive says.
fn filter(level: &str) -> Result<EnvFilter, TelemetryError> {
    let level = level.trim();
    let word = level.parse::<LevelFilter>().ok().filter(|_| !level.is_empty());
    // A single word that is no level would be taken for the name of a module and silence all others.
    if word.is_none() && !level.contains('=') {
        return Err(TelemetryError::Level(level.into()));
    }
    let quiet = word.map_or(LevelFilter::WARN, |word| word.min(LevelFilter::WARN));
    let libraries = ["sqlx", "hyper", "hyper_util", "h2", "reqwest", "rustls", "tokio_cron_scheduler"];
    let directives: Vec<_> = libraries
        .iter()
        .map(|library| format!("{library}={quiet}"))
        .chain([word.map_or(level.to_owned(), |word| word.to_string())])
        .collect();
    // Later directives replace earlier ones for the same module.
    EnvFilter::try_new(directives.join(",")).map_err(|_| TelemetryError::Level(level.into()))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("not poisoned").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: Format, level: &str, colour: bool, log: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let filter = filter(level).expect("a level");
        let subscriber = subscriber(format, filter, colour, move || writer.clone());
        tracing::subscriber::with_default(subscriber, log);
        let bytes = lines.0.lock().expect("not poisoned").clone();
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn json_lines_carry_ids_as_fields() {
        let line = logged(Format::Json, "info", false, || tracing::info!(run_id = 7, "run finished"));
        let line: serde_json::Value = serde_json::from_str(&line).expect("one object");
        assert_eq!((&line["run_id"], &line["message"]), (&7.into(), &"run finished".into()));
        assert_eq!(line["level"], "INFO");
    }

    #[test]
    fn text_is_plain_unless_colour_is_asked_for() {
        let log = || tracing::info!(run_id = 7, "run finished");
        let plain = logged(Format::Text, "info", false, log);
        assert!(plain.contains("run finished run_id=7") && !plain.contains('\u{1b}'), "{plain}");
        assert!(logged(Format::Text, "info", true, log).contains('\u{1b}'));
    }

    #[test]
    fn libraries_are_quiet_unless_they_are_named() {
        let log = || {
            tracing::info!(target: "sqlx::query", "library info");
            tracing::warn!(target: "sqlx::query", "library warning");
            tracing::debug!("own debug");
        };
        for (level, shown) in [
            ("debug", "library warning own debug"),
            ("INFO", "library warning"),
            ("error", ""),
            ("off", ""),
            ("info,sqlx=info", "library info library warning"),
        ] {
            let lines = logged(Format::Text, level, false, log);
            let messages = ["library info", "library warning", "own debug"];
            let seen: Vec<_> = messages.into_iter().filter(|message| lines.contains(message)).collect();
            assert_eq!(seen.join(" "), shown, "{level}");
        }
    }

    #[test]
    fn a_level_that_is_none_is_refused() {
        for level in ["", "inf", "verbose,loud", "info,sqlx=loud"] {
            assert!(matches!(filter(level), Err(TelemetryError::Level(_))), "{level}");
        }
    }
}
