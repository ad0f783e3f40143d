//! `auricle:speech/recognition`: the models themselves.

use auricle_speech::{Clip, Language};
use wasmtime::component::Resource;

use crate::bindings::imports::auricle::speech::recognition::{Host, Model};
use crate::bindings::imports::auricle::speech::types;
use crate::convert::error_to_wit;
use crate::services::ServedModel;
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

    async fn list_models(&mut self) -> wasmtime::Result<Vec<Model>> {
        let models = self.services()?.models().await;
        Ok(models.into_iter().map(model_to_wit).collect())
    }

    async fn find_model(&mut self, name: String) -> wasmtime::Result<Option<Model>> {
        Ok(self.services()?.model(name).await.map(model_to_wit))
    }

    fn knows_language(&mut self, code: String) -> wasmtime::Result<bool> {
        Ok(code.parse::<Language>().is_ok())
    }
}

fn model_to_wit(model: ServedModel) -> Model {
    Model {
        name: model.name,
        installed: model.installed_unix_secs,
        alias_of: model.alias_of,
        diarizes: model.diarizes,
    }
}
