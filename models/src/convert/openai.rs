//! Reads OpenAI's .pt checkpoints: `{"dims": {...}, "model_state_dict": {...}}` as `torch.save`
//! writes it.

use std::collections::HashMap;
use std::path::Path;

use super::layout::HyperParameters;
use super::pickle::{Pickle, Value};
use super::torch::TorchFile;
use super::weights::{Tensor, WhisperWeights};
use super::{ConvertError, vocabulary};

const FORMAT: &str = "OpenAI checkpoint";

pub(super) fn read(file: &Path, vocabulary: Option<&Path>) -> Result<WhisperWeights, ConvertError> {
    let malformed = |reason: String| ConvertError::malformed(file, FORMAT, reason);
    let torch = TorchFile::open(file, FORMAT)?;
    let hyper = dims(&torch.pickle).map_err(malformed)?;
    hyper.check().map_err(malformed)?;
    let tensors = tensors(&torch).map_err(malformed)?;
    let Some(vocabulary) = vocabulary else {
        let reason = "an OpenAI checkpoint holds none: pass the vocabulary.txt, vocabulary.json, vocab.json, tokenizer.json or ggml file of any Whisper model of the same kind (English-only or multilingual)";
        return Err(ConvertError::vocabulary(file, reason));
    };
    let vocabulary = vocabulary::read(vocabulary, &hyper)?;
    WhisperWeights::new(file, FORMAT, hyper, vocabulary, tensors)
}

fn dims(pickle: &Pickle) -> Result<HyperParameters, String> {
    let dims = pickle.entry(pickle.root(), "dims").ok_or(
        "it has no dims, so it is not a checkpoint of OpenAI's: a Hugging Face pytorch_model.bin must be saved as safetensors first",
    )?;
    let get = |name: &str| match pickle.entry(dims, name) {
        Some(Value::Int(value)) => u32::try_from(*value).map_err(|_| format!("{name} is {value}")),
        _ => Err(format!("its dims have no {name}")),
    };
    Ok(HyperParameters {
        n_vocab: get("n_vocab")?,
        n_audio_ctx: get("n_audio_ctx")?,
        n_audio_state: get("n_audio_state")?,
        n_audio_head: get("n_audio_head")?,
        n_audio_layer: get("n_audio_layer")?,
        n_text_ctx: get("n_text_ctx")?,
        n_text_state: get("n_text_state")?,
        n_text_head: get("n_text_head")?,
        n_text_layer: get("n_text_layer")?,
        n_mels: get("n_mels")?,
    })
}

fn tensors(torch: &TorchFile) -> Result<HashMap<String, Tensor>, String> {
    let pickle = &torch.pickle;
    let state = pickle.entry(pickle.root(), "model_state_dict");
    let Some(Value::Dict(pairs)) = state else {
        return Err("it has no model_state_dict".to_owned());
    };
    let mut out = HashMap::new();
    for (name, value) in pairs {
        let name = pickle.text(*name).ok_or("a tensor has no name")?;
        // The causal mask and the alignment heads, which some versions saved, have no place in
        // ggml: both are computed.
        if matches!(name, "decoder.mask" | "alignment_heads") {
            continue;
        }
        let Value::Tensor(pickled) = pickle.get(*value) else {
            return Err(format!("{name} is not a tensor"));
        };
        let tensor = torch
            .tensor(pickled)
            .map_err(|reason| format!("tensor {name} {reason}"))?;
        out.insert(name.to_owned(), tensor);
    }
    Ok(out)
}
