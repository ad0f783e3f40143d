//! Reads a Hugging Face directory: config.json, model.safetensors (or its shards) and the
//! tokenizer's files.
//!
//! Tensors are renamed to OpenAI's names. The output projection is the token embedding once more,
//! so it is left out; a model in which the two differ is refused.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype as FileDtype, Metadata};
use serde::Deserialize;

use super::blob::{Blob, Fields, read_text};
use super::layout::HyperParameters;
use super::weights::{Dtype, Tensor, WhisperWeights};
use super::{ConvertError, vocabulary};

const FORMAT: &str = "safetensors file";

/// The format's own limit (`MAX_HEADER_SIZE` of the safetensors crate).
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// Far above any config.json or index.
const MAX_JSON_BYTES: u64 = 16 << 20;

pub(super) const SINGLE: &str = "model.safetensors";
pub(super) const INDEX: &str = "model.safetensors.index.json";

#[derive(Debug, Deserialize)]
struct Config {
    model_type: String,
    vocab_size: u32,
    num_mel_bins: u32,
    d_model: u32,
    encoder_layers: u32,
    encoder_attention_heads: u32,
    decoder_layers: u32,
    decoder_attention_heads: u32,
    max_source_positions: u32,
    max_target_positions: u32,
    tie_word_embeddings: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct Index {
    weight_map: HashMap<String, String>,
}

pub(super) fn read(dir: &Path) -> Result<WhisperWeights, ConvertError> {
    let path = dir.join("config.json");
    let malformed =
        |reason: String| ConvertError::malformed(&path, "Whisper configuration", reason);
    let config: Config = serde_json::from_str(&read_text(&path, MAX_JSON_BYTES)?)
        .map_err(|error| malformed(error.to_string()))?;
    if config.model_type != "whisper" {
        return Err(malformed(format!(
            "model_type is {:?}, not whisper",
            config.model_type
        )));
    }
    if config.tie_word_embeddings == Some(false) {
        let reason = "its output projection is not its token embedding, and ggml has room for one";
        return Err(malformed(reason.to_owned()));
    }
    let hyper = HyperParameters {
        n_vocab: config.vocab_size,
        n_audio_ctx: config.max_source_positions,
        n_audio_state: config.d_model,
        n_audio_head: config.encoder_attention_heads,
        n_audio_layer: config.encoder_layers,
        n_text_ctx: config.max_target_positions,
        n_text_state: config.d_model,
        n_text_head: config.decoder_attention_heads,
        n_text_layer: config.decoder_layers,
        n_mels: config.num_mel_bins,
    };
    hyper.check().map_err(malformed)?;
    let mut tensors = HashMap::new();
    for shard in shards(dir)? {
        read_file(&shard, &mut tensors)?;
    }
    let vocabulary = vocabulary::read_hugging_face(dir, &hyper)?;
    WhisperWeights::new(
        dir,
        "Hugging Face Whisper model",
        hyper,
        vocabulary,
        tensors,
    )
}

/// The files of the model: one, or those that the index names.
fn shards(dir: &Path) -> Result<Vec<PathBuf>, ConvertError> {
    let single = dir.join(SINGLE);
    if single.is_file() {
        return Ok(vec![single]);
    }
    let path = dir.join(INDEX);
    let malformed = |reason: String| ConvertError::malformed(&path, "safetensors index", reason);
    let index: Index = serde_json::from_str(&read_text(&path, MAX_JSON_BYTES)?)
        .map_err(|error| malformed(error.to_string()))?;
    let names: BTreeSet<String> = index.weight_map.into_values().collect();
    names
        .into_iter()
        .map(|name| {
            // The index comes with the model: it must not name files elsewhere.
            if Path::new(&name).file_name() != Some(name.as_ref()) {
                return Err(malformed(format!("{name:?} is not a plain file name")));
            }
            Ok(dir.join(name))
        })
        .collect()
}

fn read_file(path: &Path, out: &mut HashMap<String, Tensor>) -> Result<(), ConvertError> {
    let blob = Blob::open(&[path])?;
    let mut fields = Fields::new(&blob, FORMAT);
    let low = fields.u32("the length of its header")?;
    let high = fields.u32("the length of its header")?;
    let len_bytes = u64::from(high) << 32 | u64::from(low);
    if len_bytes > MAX_HEADER_BYTES {
        let reason = format!("its header claims {len_bytes} bytes, more than the format allows");
        return Err(fields.malformed(reason));
    }
    let header = fields.bytes(len_bytes, "its header")?;
    // Checks that the tensors follow each other without a gap and that each has its shape's size.
    let metadata: Metadata =
        serde_json::from_slice(&header).map_err(|error| fields.malformed(error.to_string()))?;
    let data = fields.position();
    let data_bytes = metadata.data_len() as u64;
    fields.skip(data_bytes, "its tensors")?;
    let trailing = blob.len_bytes() - fields.position();
    if trailing > 0 {
        return Err(fields.malformed(format!("{trailing} bytes follow its end")));
    }
    for (name, info) in metadata.tensors() {
        let Some(renamed) = rename(&name) else {
            continue;
        };
        let dtype = match info.dtype {
            FileDtype::F32 => Dtype::F32,
            FileDtype::F16 => Dtype::F16,
            FileDtype::BF16 => Dtype::Bf16,
            other => {
                let reason =
                    format!("tensor {name} has type {other:?}: save the model as f32, f16 or bf16");
                return Err(fields.malformed(reason));
            }
        };
        let shape = info.shape.iter().map(|&dim| dim as u64).collect();
        let tensor = Tensor::new(&blob, data + info.data_offsets.0 as u64, shape, dtype)
            .ok_or_else(|| fields.malformed(format!("tensor {name} lies outside the file")))?;
        if out.insert(renamed, tensor).is_some() {
            return Err(fields.malformed(format!("tensor {name} occurs twice")));
        }
    }
    Ok(())
}

/// OpenAI's name for a tensor; an unknown name stays as it is, and is refused later. `None` for
/// the output projection.
fn rename(name: &str) -> Option<String> {
    let name = name.strip_prefix("model.").unwrap_or(name);
    if name == "proj_out.weight" {
        return None;
    }
    let fixed = match name {
        "encoder.embed_positions.weight" => "encoder.positional_embedding",
        "decoder.embed_positions.weight" => "decoder.positional_embedding",
        "decoder.embed_tokens.weight" => "decoder.token_embedding.weight",
        "encoder.layer_norm.weight" => "encoder.ln_post.weight",
        "encoder.layer_norm.bias" => "encoder.ln_post.bias",
        "decoder.layer_norm.weight" => "decoder.ln.weight",
        "decoder.layer_norm.bias" => "decoder.ln.bias",
        _ => "",
    };
    if !fixed.is_empty() {
        return Some(fixed.to_owned());
    }
    Some(rename_in_layer(name).unwrap_or_else(|| name.to_owned()))
}

/// `encoder.layers.3.self_attn.q_proj.weight` → `encoder.blocks.3.attn.query.weight`.
fn rename_in_layer(name: &str) -> Option<String> {
    let (side, rest) = name.split_once(".layers.")?;
    let (layer, rest) = rest.split_once('.')?;
    let (module, kind) = rest.rsplit_once('.')?;
    let module = match module {
        "self_attn.q_proj" => "attn.query",
        "self_attn.k_proj" => "attn.key",
        "self_attn.v_proj" => "attn.value",
        "self_attn.out_proj" => "attn.out",
        "self_attn_layer_norm" => "attn_ln",
        "encoder_attn.q_proj" => "cross_attn.query",
        "encoder_attn.k_proj" => "cross_attn.key",
        "encoder_attn.v_proj" => "cross_attn.value",
        "encoder_attn.out_proj" => "cross_attn.out",
        "encoder_attn_layer_norm" => "cross_attn_ln",
        "fc1" => "mlp.0",
        "fc2" => "mlp.2",
        "final_layer_norm" => "mlp_ln",
        _ => return None,
    };
    Some(format!("{side}.blocks.{layer}.{module}.{kind}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_openai_s() {
        let pairs = [
            (
                "model.encoder.layers.3.self_attn.q_proj.weight",
                "encoder.blocks.3.attn.query.weight",
            ),
            (
                "model.decoder.layers.11.encoder_attn_layer_norm.bias",
                "decoder.blocks.11.cross_attn_ln.bias",
            ),
            ("decoder.layers.0.fc2.bias", "decoder.blocks.0.mlp.2.bias"),
            ("model.encoder.conv1.weight", "encoder.conv1.weight"),
            ("model.encoder.layer_norm.weight", "encoder.ln_post.weight"),
            ("model.lora_A", "lora_A"),
        ];
        for (theirs, ours) in pairs {
            assert_eq!(rename(theirs).as_deref(), Some(ours));
        }
        assert_eq!(rename("proj_out.weight"), None);
    }
}
