//! Every way a request fails, as the client sees it.
//!
//! A text that the host marks as fit for the client is passed on; everything else goes to the
//! operator's log, and the client learns only that it happened.

use auricle_guest::audio::{DecodeError, SourceFailure};
use auricle_guest::config::ConfigError;
use auricle_guest::http::{FormError, Response};
use auricle_guest::log;
use auricle_guest::speech::SpeechError;

use crate::options::knows_language;

/// OpenAI's word for a model that is not there.
pub const MODEL_NOT_FOUND: &str = "model_not_found";

/// OpenAI's word for a tenant that is over a limit of its own.
const RATE_LIMIT_EXCEEDED: &str = "rate_limit_exceeded";

/// A failed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    status: u16,
    detail: String,
    header: Option<(&'static str, String)>,
    /// The field that is to blame.
    param: Option<String>,
    /// OpenAI's word for what is wrong, where it has one.
    code: Option<&'static str>,
}

impl Failure {
    /// A failure with this HTTP status and text.
    pub fn new(status: u16, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            header: None,
            param: None,
            code: None,
        }
    }

    /// Names the field that is to blame, unless one is named already.
    pub fn about(mut self, param: &str) -> Self {
        self.param.get_or_insert_with(|| param.to_owned());
        self
    }

    /// Says in OpenAI's word what is wrong.
    pub fn coded(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// Something that is not the client's business.
    pub fn internal(detail: Option<String>) -> Self {
        log::error!(
            "the request failed: {}",
            detail.as_deref().unwrap_or("no reason given")
        );
        Self::new(500, "internal error: the server's log says more")
    }

    /// Names the methods that are allowed.
    pub fn allow(mut self, methods: &str) -> Self {
        self.header = Some(("allow", methods.to_owned()));
        self
    }

    fn retry_after(mut self, secs: u32) -> Self {
        self.header = Some(("retry-after", secs.to_string()));
        self
    }

    /// The HTTP status.
    #[cfg(any(test, feature = "native"))]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Whether the same thing, asked again later, might succeed.
    pub fn is_passing(&self) -> bool {
        self.status == 429 || self.status >= 500
    }

    /// The text for the client.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The response as OpenAI's API has it.
    pub fn into_openai(self) -> Response {
        let response = Response::json(self.openai_status(), &self.openai_body());
        match self.header {
            Some((name, value)) => response.with_header(name, value),
            None => response,
        }
    }

    /// OpenAI answers 404 for a model that is not there, and 400 for a file that it cannot read.
    fn openai_status(&self) -> u16 {
        match (self.status, self.code) {
            (_, Some(MODEL_NOT_FOUND)) => 404,
            (422, _) => 400,
            (status, _) => status,
        }
    }

    /// `{"error": {"message", "type", "param", "code"}}`.
    pub fn openai_body(&self) -> serde_json::Value {
        let kind = match self.openai_status() {
            429 => "rate_limit_error",
            403 => "permission_error",
            400..=499 => "invalid_request_error",
            _ => "server_error",
        };
        serde_json::json!({ "error": {
            "message": self.detail,
            "type": kind,
            "param": self.param,
            "code": self.code,
        }})
    }

    /// The response.
    pub fn into_response(self) -> Response {
        let response = Response::detail(self.status, &self.detail);
        match self.header {
            Some((name, value)) => response.with_header(name, value),
            None => response,
        }
    }
}

fn too_large() -> Failure {
    Failure::new(413, "the request is larger than the server accepts")
}

fn overloaded(secs: u32) -> Failure {
    Failure::new(503, format!("the server is busy: try again in {secs} s")).retry_after(secs)
}

/// `code` names no language, or one that the model does not have.
fn unknown_language(code: &str) -> Failure {
    let text = match knows_language(code) {
        true => format!(
            "the model does not support language '{code}': use a model that does, such as \
             'large-v3', or leave 'language' out"
        ),
        false => {
            format!("unknown language '{code}': use a code such as 'en', or leave 'language' out")
        }
    };
    Failure::new(400, text).about("language")
}

fn timed_out() -> Failure {
    Failure::new(408, "the request did not arrive in time")
}

fn broken_off() -> Failure {
    Failure::new(400, "the request broke off")
}

impl From<FormError> for Failure {
    fn from(error: FormError) -> Self {
        match error {
            FormError::Malformed(text) => Self::new(
                400,
                format!("{text}; send multipart/form-data and add the audio as form field 'file'"),
            ),
            FormError::TooLarge => too_large(),
            FormError::TimedOut => timed_out(),
            FormError::Disconnected => broken_off(),
            FormError::Other(text) => Self::internal(text),
        }
    }
}

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Empty => Self::new(400, "the file is empty"),
            DecodeError::Unsupported(text) | DecodeError::Undecodable(text) => Self::new(422, text),
            DecodeError::TooLong(secs) => Self::new(
                413,
                format!("the audio is longer than {secs} s: send it in parts"),
            ),
            DecodeError::Source(SourceFailure::TooLarge) => too_large(),
            DecodeError::Source(SourceFailure::TimedOut) => timed_out(),
            DecodeError::Source(SourceFailure::Disconnected) => broken_off(),
            DecodeError::OverBudget(secs) => Self::new(
                429,
                format!("your running requests hold all you may hold, or have used it up: try again in {secs} s"),
            )
            .retry_after(secs)
            .coded(RATE_LIMIT_EXCEEDED),
            DecodeError::Overloaded(secs) => overloaded(secs),
            DecodeError::DeadlineExceeded => Self::new(504, "decoding took longer than it may"),
            DecodeError::Other(text) => Self::internal(text),
        }
    }
}

impl From<SpeechError> for Failure {
    fn from(error: SpeechError) -> Self {
        match error {
            SpeechError::UnknownModel(name) => Self::new(400, format!("unknown model '{name}'"))
                .about("model")
                .coded(MODEL_NOT_FOUND),
            SpeechError::UnknownLanguage(code) => unknown_language(&code),
            SpeechError::InvalidOption(text) | SpeechError::Unavailable(text) => {
                Self::new(400, text)
            }
            SpeechError::Overloaded(secs) => overloaded(secs),
            SpeechError::OverLimit(secs) => Self::new(
                429,
                format!("you have as much queued or at work, or used this minute, as you may: try again in {secs} s"),
            )
            .retry_after(secs)
            .coded(RATE_LIMIT_EXCEEDED),
            SpeechError::DeadlineExceeded => {
                Self::new(504, "the transcription took longer than it may")
            }
            SpeechError::ComponentFailed => Self::new(
                502,
                "the deployed chunker or speaker-assigner failed: the server's log says more",
            ),
            SpeechError::Other(text) => Self::internal(text),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::internal(Some(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overload_says_when_to_try_again() {
        let failure = Failure::from(SpeechError::Overloaded(7));
        assert_eq!(failure.status(), 503);
        assert_eq!(failure.header, Some(("retry-after", "7".to_owned())));
    }

    #[test]
    fn what_the_client_sent_wrong_is_not_a_server_error() {
        for (failure, status) in [
            (Failure::from(FormError::Malformed("x".to_owned())), 400),
            (FormError::TooLarge.into(), 413),
            (FormError::TimedOut.into(), 408),
            (DecodeError::Empty.into(), 400),
            (DecodeError::Unsupported("x".to_owned()).into(), 422),
            (DecodeError::Undecodable("x".to_owned()).into(), 422),
            (DecodeError::TooLong(60).into(), 413),
            (DecodeError::Source(SourceFailure::TooLarge).into(), 413),
            (DecodeError::OverBudget(5).into(), 429),
            (DecodeError::Overloaded(1).into(), 503),
            (DecodeError::DeadlineExceeded.into(), 504),
            (SpeechError::UnknownModel("x".to_owned()).into(), 400),
            (SpeechError::UnknownLanguage("yue".to_owned()).into(), 400),
            (SpeechError::Unavailable("x".to_owned()).into(), 400),
            (SpeechError::OverLimit(3).into(), 429),
            (SpeechError::DeadlineExceeded.into(), 504),
            (SpeechError::ComponentFailed.into(), 502),
        ] {
            assert_eq!(failure.status(), status, "{failure:?}");
        }
    }
}
