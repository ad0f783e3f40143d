//! Fields of log lines in text format, with control characters escaped.
//!
//! Log lines contain texts of clients and guests: messages of components, errors, names of files. A
//! line break in one of them would begin a line that the server never wrote, and a terminal obeys
//! escape sequences. Each character that is not printable becomes its Rust escape (`\n`, `\u{1b}`), as
//! do those that change the direction of text. JSON escapes control characters by itself.

use std::error::Error;
use std::fmt::{self, Debug, Write};

use tracing::field::{Field, Visit};
use tracing_subscriber::field::{RecordFields, VisitOutput};
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{DefaultVisitor, Writer};

/// Formats fields as `tracing-subscriber` does by default, with control characters escaped.
#[derive(Debug)]
pub(super) struct EscapedFields;

impl<'writer> FormatFields<'writer> for EscapedFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut visitor = Escaping(DefaultVisitor::new(writer, true));
        fields.record(&mut visitor);
        visitor.0.finish()
    }
}

/// Hands every value on as an [`Escaped`] one.
struct Escaping<'writer>(DefaultVisitor<'writer>);

impl Visit for Escaping<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.record_debug(field, &format_args!("{value}")),
            // Quoted.
            _ => self.record_debug(field, &value),
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let causes: Vec<_> = std::iter::successors(value.source(), |cause| (*cause).source())
            .map(ToString::to_string)
            .collect();
        match causes.as_slice() {
            [] => self.record_debug(field, &format_args!("{value}")),
            causes => {
                let name = field.name();
                let causes = causes.join(", ");
                self.record_debug(field, &format_args!("{value} {name}.sources=[{causes}]"));
            }
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.record_debug(field, &Escaped(value));
    }
}

/// The debug form of a value with control characters escaped.
struct Escaped<'value>(&'value dyn Debug);

impl Debug for Escaped<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(EscapingWriter(formatter), "{:?}", self.0)
    }
}

struct EscapingWriter<'inner, 'formatter>(&'inner mut fmt::Formatter<'formatter>);

impl Write for EscapingWriter<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some((at, control)) = rest.char_indices().find(|(_, c)| is_control(*c)) {
            let (before, after) = rest.split_at(at);
            self.0.write_str(before)?;
            write!(self.0, "{}", control.escape_default())?;
            rest = after.strip_prefix(control).unwrap_or_default();
        }
        self.0.write_str(rest)
    }
}

/// Whether a terminal or a reader of lines would obey this character instead of showing it: control
/// characters, line and paragraph separators, and marks that change the direction of text.
fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What `work` logs as text.
    fn logged(work: impl FnOnce()) -> String {
        let log = Log::default();
        let writer = log.clone();
        let layer = tracing_subscriber::fmt::layer()
            .fmt_fields(EscapedFields)
            .with_ansi(false)
            .with_writer(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
        let bytes = log.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[derive(Debug)]
    struct Failure(String, Option<Box<Failure>>);

    impl fmt::Display for Failure {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str(&self.0)
        }
    }

    impl Error for Failure {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            let cause: &(dyn Error + 'static) = self.1.as_deref()?;
            Some(cause)
        }
    }

    /// A line that the server has not written, colours, and text that reads backwards.
    const FORGED: &str = "a\r\n2026-01-01 INFO forged\u{1b}[2J\u{7}\u{9b}31m\u{202e}b\u{2028}c\td";

    #[test]
    fn no_text_begins_a_line_or_reaches_the_terminal_as_a_command() {
        let cause = Failure(FORGED.to_owned(), None);
        let error = Failure(FORGED.to_owned(), Some(Box::new(cause)));
        let error: &(dyn Error + 'static) = &error;
        let texts = [
            logged(|| tracing::info!("{FORGED}")),
            logged(|| tracing::info!(message = FORGED)),
            logged(|| tracing::info!(value = FORGED, "text")),
            logged(|| tracing::info!(value = %FORGED, "text")),
            logged(|| tracing::info!(value = ?FORGED, "text")),
            logged(|| tracing::info!(error, "text")),
            logged(|| {
                let span = tracing::info_span!("request", path = %FORGED, later = FORGED);
                let _entered = span.entered();
                tracing::info!("text");
            }),
            logged(|| {
                let span = tracing::info_span!("request", later = tracing::field::Empty);
                span.record("later", tracing::field::display(FORGED));
                let _entered = span.entered();
                tracing::info!("text");
            }),
        ];
        for text in texts {
            let line = text.strip_suffix('\n').unwrap();
            assert!(!line.contains(is_control), "{line:?}");
            assert!(line.contains(r"\r\n2026"), "{line}");
            assert!(line.contains(r"\u{1b}[2J"), "{line}");
        }
    }

    #[test]
    fn printable_text_is_written_as_it_is() {
        let cause = Failure("the disk is full".to_owned(), None);
        let error = Failure("nothing was written".to_owned(), Some(Box::new(cause)));
        let error: &(dyn Error + 'static) = &error;
        let line = logged(|| tracing::info!(count = 3, who = %"Zoë \\ 東京", error, "text"));
        let expected = "text count=3 who=Zoë \\ 東京 error=nothing was written \
                        error.sources=[the disk is full]\n";
        assert!(line.ends_with(expected), "{line}");
    }
}
