//! The field `chunking_strategy`: `auto`, or how voice activity is to cut the audio.
//!
//! The object comes as fields in brackets (`chunking_strategy[type]=server_vad`), as OpenAI's client
//! libraries send it, or as one field with JSON. What it leaves out is the server's to choose.

use auricle_guest::speech::VoiceOptions;
use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::openai::form::Fields;
use crate::options::shortened;

/// The field.
pub const FIELD: &str = "chunking_strategy";

/// The most that may be kept before speech, and the longest silence, in milliseconds: what the host
/// takes.
pub const MAX_PREFIX_MS: u32 = 5_000;
pub const MAX_SILENCE_MS: u32 = 30_000;

/// Whether a field belongs to this one.
pub fn owns(field: &str) -> bool {
    field == FIELD || key(field).is_some()
}

/// What stands in a field's brackets.
fn key(field: &str) -> Option<&str> {
    let rest = field.strip_prefix(FIELD)?;
    rest.strip_prefix('[')?.strip_suffix(']')
}

/// What is asked for; nothing where the server is to choose.
pub fn read(fields: &Fields) -> Result<Option<VoiceOptions>, Failure> {
    let mut object = match fields.get(FIELD) {
        None | Some("auto") => Map::new(),
        Some(text) => match serde_json::from_str(text) {
            Ok(Value::Object(object)) => object,
            Ok(Value::String(auto)) if auto == "auto" => Map::new(),
            Ok(Value::Null) => Map::new(),
            _ => return Err(wrong(FIELD, text, "'auto' or {\"type\":\"server_vad\"}")),
        },
    };
    for (field, value) in fields.iter() {
        if let Some(key) = key(field) {
            let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
            object.insert(key.to_owned(), value);
        }
    }
    if object.is_empty() {
        return Ok(None);
    }
    options(&object).map(Some)
}

fn options(object: &Map<String, Value>) -> Result<VoiceOptions, Failure> {
    let mut options = VoiceOptions {
        threshold: None,
        prefix_padding_ms: None,
        silence_duration_ms: None,
    };
    let mut is_vad = false;
    for (key, value) in object {
        let field = format!("{FIELD}[{key}]");
        match key.as_str() {
            "type" if value == "server_vad" => is_vad = true,
            "type" => return Err(wrong(&field, value, "'server_vad'")),
            _ if value.is_null() => {}
            "threshold" => {
                let number = value.as_f64().filter(|n| (0.0..=1.0).contains(n));
                let number = number.ok_or_else(|| wrong(&field, value, "0 to 1"))?;
                options.threshold = Some(number as f32);
            }
            "prefix_padding_ms" => {
                options.prefix_padding_ms = Some(millis(&field, value, MAX_PREFIX_MS)?);
            }
            "silence_duration_ms" => {
                options.silence_duration_ms = Some(millis(&field, value, MAX_SILENCE_MS)?);
            }
            _ => {
                let text = format!(
                    "{FIELD} has '{}': it has type, threshold, prefix_padding_ms and \
                     silence_duration_ms",
                    shortened(key)
                );
                return Err(Failure::new(400, text).about(FIELD));
            }
        }
    }
    if is_vad {
        return Ok(options);
    }
    let text = format!("{FIELD} has no type: add \"type\": \"server_vad\"");
    Err(Failure::new(400, text).about(FIELD))
}

fn millis(field: &str, value: &Value, most: u32) -> Result<u32, Failure> {
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    let number = number.filter(|number| *number <= most);
    number.ok_or_else(|| wrong(field, value, &format!("whole milliseconds, 0 to {most}")))
}

fn wrong(field: &str, value: impl std::fmt::Display, right: &str) -> Failure {
    let value = value.to_string();
    let text = format!("{field} is '{}': use {right}", shortened(&value));
    Failure::new(400, text).about(FIELD)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn asked(pairs: &[(&str, &str)]) -> Result<Option<VoiceOptions>, Failure> {
        let mut fields = Fields::default();
        for (name, value) in pairs {
            fields.add(name, (*value).to_owned());
        }
        read(&fields)
    }

    type Three = (Option<f32>, Option<u32>, Option<u32>);

    fn three(pairs: &[(&str, &str)]) -> Three {
        let options = asked(pairs).unwrap().unwrap();
        (
            options.threshold,
            options.prefix_padding_ms,
            options.silence_duration_ms,
        )
    }

    #[test]
    fn brackets_and_json_say_the_same() {
        let brackets = [
            ("chunking_strategy[type]", "server_vad"),
            ("chunking_strategy[threshold]", "0.5"),
            ("chunking_strategy[prefix_padding_ms]", "300"),
            ("chunking_strategy[silence_duration_ms]", "700"),
        ];
        let json = r#"{"type":"server_vad","threshold":0.5,"prefix_padding_ms":300,
            "silence_duration_ms":700}"#;
        let all = (Some(0.5), Some(300), Some(700));
        assert_eq!(three(&brackets), all);
        assert_eq!(three(&[(FIELD, json)]), all);
        let bare = r#"{"type":"server_vad","threshold":null}"#;
        assert_eq!(three(&[(FIELD, bare)]), (None, None, None));
    }

    #[test]
    fn auto_and_nothing_leave_it_to_the_server() {
        for pairs in [
            &[][..],
            &[(FIELD, "auto")],
            &[(FIELD, "\"auto\"")],
            &[(FIELD, "null")],
        ] {
            assert!(asked(pairs).unwrap().is_none(), "{pairs:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_refused_and_named() {
        let in_json = |value| vec![(FIELD, value)];
        for pairs in [
            in_json("semantic_vad"),
            in_json("{}x"),
            in_json("[]"),
            in_json(r#"{"type":"semantic_vad"}"#),
            in_json(r#"{"threshold":0.5}"#),
            in_json(r#"{"type":"server_vad","threshold":1.5}"#),
            in_json(r#"{"type":"server_vad","threshold":"loud"}"#),
            in_json(r#"{"type":"server_vad","silence_duration_ms":-1}"#),
            in_json(r#"{"type":"server_vad","silence_duration_ms":30001}"#),
            in_json(r#"{"type":"server_vad","prefix_padding_ms":0.5}"#),
            in_json(r#"{"type":"server_vad","colour":"red"}"#),
            vec![("chunking_strategy[threshold]", "0.5")],
            vec![
                ("chunking_strategy[type]", "server_vad"),
                ("chunking_strategy[x][y]", "1"),
            ],
        ] {
            let failure = asked(&pairs).unwrap_err();
            assert_eq!(failure.status(), 400, "{pairs:?}");
            assert_eq!(failure.openai_body()["error"]["param"], FIELD);
        }
    }
}
