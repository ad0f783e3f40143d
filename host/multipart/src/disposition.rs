//! The header `content-disposition` of a part (RFC 7578, section 4.2): its name and its file's.
//!
//! `multer` looks for `name=` anywhere in the header, also within quotes, so that a file could be named
//! such that its part goes by another name. Here a quoted text is a text. As browsers write them, `\"`
//! is a quotation mark and every other backslash is itself.

/// What the header says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Disposition {
    pub(crate) name: Option<String>,
    pub(crate) file_name: Option<String>,
}

impl Disposition {
    /// Reads a header; what is not understood is left out, as is text that is not UTF-8.
    pub(crate) fn parse(header: &[u8]) -> Self {
        let mut found = Self::default();
        // The first word is the kind.
        let kind = header.iter().position(|byte| *byte == b';');
        let mut rest = kind.and_then(|at| header.get(at..)).unwrap_or_default();
        while let Some(parameters) = rest.strip_prefix(b";") {
            let end = parameters
                .iter()
                .position(|byte| matches!(byte, b'=' | b';'));
            let (key, value) = parameters.split_at(end.unwrap_or(parameters.len()));
            let text = match value.strip_prefix(b"=") {
                Some(value) => {
                    let (text, after) = text(value.trim_ascii_start());
                    rest = after;
                    text
                }
                None => {
                    rest = value;
                    None
                }
            };
            let slot = match key.trim_ascii() {
                name if name.eq_ignore_ascii_case(b"name") => &mut found.name,
                name if name.eq_ignore_ascii_case(b"filename") => &mut found.file_name,
                _ => continue,
            };
            if slot.is_none() {
                *slot = text;
            }
        }
        found
    }
}

/// The text that a parameter begins with, and what stands behind it from the next semicolon on.
fn text(value: &[u8]) -> (Option<String>, &[u8]) {
    let quoted = value.strip_prefix(b"\"");
    let end = match quoted {
        Some(quoted) => match closing(quoted) {
            Some(end) => end + 1,
            None => return (None, &[]),
        },
        None => 0,
    };
    let behind = value.get(end..).unwrap_or_default();
    let next = behind.iter().position(|byte| *byte == b';');
    let (own, after) = behind.split_at(next.unwrap_or(behind.len()));
    let text = match quoted {
        Some(quoted) => std::str::from_utf8(quoted.get(..end - 1).unwrap_or_default())
            .map(|text| text.replace("\\\"", "\"")),
        None => std::str::from_utf8(own.trim_ascii()).map(str::to_owned),
    };
    (text.ok(), after)
}

/// Where a quoted text ends: at a quotation mark without a backslash before it.
fn closing(quoted: &[u8]) -> Option<usize> {
    let mut before = None;
    quoted.iter().position(|byte| {
        let ends = *byte == b'"' && before != Some(b'\\');
        before = Some(*byte);
        ends
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(header: &str) -> (Option<String>, Option<String>) {
        let Disposition { name, file_name } = Disposition::parse(header.as_bytes());
        (name, file_name)
    }

    fn both(name: &str, file_name: &str) -> (Option<String>, Option<String>) {
        (Some(name.to_owned()), Some(file_name.to_owned()))
    }

    #[test]
    fn names_are_read_as_clients_write_them() {
        assert_eq!(
            read("form-data; name=\"file\"; filename=\"a b.wav\""),
            both("file", "a b.wav")
        );
        assert_eq!(
            read("form-data;NAME=file ; filename = a.wav"),
            both("file", "a.wav")
        );
        assert_eq!(
            read("form-data; filename=\"..\\a\\\"b.wav\"; name=\"数\""),
            both("数", "..\\a\"b.wav")
        );
        assert_eq!(read("form-data; name=\"\""), (Some(String::new()), None));
        assert_eq!(
            read("form-data; x; filename*=UTF-8''a; name=b"),
            (Some("b".into()), None)
        );
    }

    /// A finding of the fuzz target `multipart`.
    #[test]
    fn a_name_within_quotes_is_no_parameter() {
        assert_eq!(
            read("form-data; filename=\"x; name=model\"; name=\"file\""),
            both("file", "x; name=model")
        );
        assert_eq!(
            read("form-data; name=\"a; filename=b.wav\""),
            (Some("a; filename=b.wav".into()), None)
        );
    }

    #[test]
    fn what_is_broken_is_left_out() {
        for header in [
            "",
            "form-data",
            ";",
            "form-data; name",
            "form-data; name=\"a",
            ";;=;",
        ] {
            assert_eq!(read(header), (None, None), "{header}");
        }
        let latin = Disposition::parse(b"form-data; name=\"\xE4\"; filename=\"a\"");
        assert_eq!((latin.name, latin.file_name.as_deref()), (None, Some("a")));
    }
}
