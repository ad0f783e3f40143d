//! `auricle:speech/recognition`: the models themselves.

use auricle_speech::{Clip, Language};
use wasmtime::component::Resource;

use crate::bindings::imports::auricle::speech::recognition::Host;
use crate::bindings::imports::auricle::speech::types;
use crate::convert::error_to_wit;
use crate::state::GuestState;

impl types::Host for GuestState {}

impl Host for GuestState {
    async fn detect_language(
        &mut self,
        clip: Resource<Clip>,
        model: Option<String>,
    ) -> wasmtime::Result<Result<Vec<types::LanguageScore>, types::SpeechError>> {
        let clip = self.table.get(&clip)?.clone();
        let services = self.services()?;
        let scores = services.detect_language(&self.scope, clip, model).await;
        Ok(scores.map_err(error_to_wit).map(|scores| {
            scores
                .into_iter()
                .map(|score| types::LanguageScore {
                    language: score.language.code().to_owned(),
                    probability: score.probability,
                })
                .collect()
        }))
    }

    fn knows_language(&mut self, code: String) -> wasmtime::Result<bool> {
        Ok(code.parse::<Language>().is_ok())
    }
}
