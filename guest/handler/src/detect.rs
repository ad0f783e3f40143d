//! `POST /detect-language`: a file in, the likeliest languages out.

use auricle_guest::http::{Request, Response};
use auricle_guest::speech;

use crate::failure::Failure;
use crate::form::{self, Channels};
use crate::render::LanguagesBody;

/// Answers with the languages of the uploaded file's first 30 s.
pub fn answer(request: &Request) -> Result<Response, Failure> {
    let upload = form::read(request, Channels::Mixed)?;
    let model = upload.asked.model();
    let clip = upload.clips.first();
    let scores = clip.map(|clip| speech::detect_language(clip, model.as_deref()));
    match LanguagesBody::new(&scores.transpose()?.unwrap_or_default()) {
        Some(body) => Ok(Response::json(200, &body)),
        None => Err(Failure::internal(Some(
            "the model knows no language".to_owned(),
        ))),
    }
}
