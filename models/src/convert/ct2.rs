//! Reads CTranslate2's model.bin (faster-whisper's format), versions 5 and 6.
//!
//! The file is a list of named variables and one of aliases. Query, key and value of an attention
//! are one fused matrix there, and the key has a bias of zeros that Whisper does not have. Weights
//! may be f32, f16, bf16, or integers that are to be divided by their row's scale.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::blob::{Blob, Fields};
use super::layout::HyperParameters;
use super::weights::{Dtype, Scale, Tensor, WhisperWeights, elements};
use super::{ConvertError, vocabulary};

const FORMAT: &str = "CTranslate2 Whisper model";

/// What the file calls a Whisper model.
pub(super) const SPEC: &str = "WhisperSpec";

/// Variables of the largest Whisper: 32 layers on both sides make about 1300.
const MAX_VARIABLES: u32 = 100_000;

/// Width of an attention head in every Whisper, for files that do not say how many heads there are.
const HEAD_WIDTH: u32 = 64;

pub(super) fn read(parts: &[PathBuf], vocabulary: &Path) -> Result<WhisperWeights, ConvertError> {
    let variables = Variables::read(parts)?;
    let hyper = variables.hyper_parameters()?;
    hyper
        .check()
        .map_err(|reason| variables.malformed(reason))?;
    let tensors = variables.tensors(&hyper)?;
    let vocabulary = vocabulary::read(vocabulary, &hyper)?;
    WhisperWeights::new(&variables.path, FORMAT, hyper, vocabulary, tensors)
}

/// A variable as the file has it.
#[derive(Debug)]
struct Variable {
    offset: u64,
    shape: Vec<u64>,
    dtype: u8,
}

#[derive(Debug)]
struct Variables {
    path: PathBuf,
    blob: std::sync::Arc<Blob>,
    by_name: HashMap<String, Variable>,
    aliases: HashMap<String, String>,
}

impl Variables {
    fn read(parts: &[PathBuf]) -> Result<Self, ConvertError> {
        let blob = Blob::open(parts)?;
        let mut fields = Fields::new(&blob, FORMAT);
        let version = fields.u32("the version")?;
        if !(5..=6).contains(&version) {
            let reason = format!(
                "its version is {version}, and versions 5 and 6 are known: convert the model again with a current CTranslate2, and if these are part files, give them in order"
            );
            return Err(fields.malformed(reason));
        }
        let spec = string(&mut fields, "the kind of model")?;
        if spec != SPEC {
            return Err(fields.malformed(format!("it holds a {spec}, not a {SPEC}")));
        }
        let _revision = fields.u32("the revision")?;
        let mut by_name = HashMap::new();
        for _ in 0..count(&mut fields, "the number of variables")? {
            let (name, variable) = variable(&mut fields)?;
            if by_name.insert(name.clone(), variable).is_some() {
                return Err(fields.malformed(format!("variable {name} occurs twice")));
            }
        }
        let mut aliases = HashMap::new();
        for _ in 0..count(&mut fields, "the number of aliases")? {
            let alias = string(&mut fields, "an alias")?;
            aliases.insert(alias, string(&mut fields, "the target of an alias")?);
        }
        let trailing = blob.len_bytes() - fields.position();
        if trailing > 0 {
            return Err(fields.malformed(format!("{trailing} bytes follow its end")));
        }
        Ok(Self {
            path: blob.path().to_path_buf(),
            blob,
            by_name,
            aliases,
        })
    }

    fn malformed(&self, reason: impl Into<String>) -> ConvertError {
        ConvertError::malformed(&self.path, FORMAT, reason)
    }

    fn find(&self, name: &str) -> Option<&Variable> {
        let name = self.aliases.get(name).map_or(name, String::as_str);
        self.by_name.get(name)
    }

    fn get(&self, name: &str) -> Result<&Variable, ConvertError> {
        self.find(name)
            .ok_or_else(|| self.malformed(format!("variable {name} is missing")))
    }

    fn hyper_parameters(&self) -> Result<HyperParameters, ConvertError> {
        let dim = |name: &str, at: usize| {
            let shape = &self.get(name)?.shape;
            shape
                .get(at)
                .and_then(|&dim| u32::try_from(dim).ok())
                .ok_or_else(|| self.malformed(format!("variable {name} has shape {shape:?}")))
        };
        let state = dim("decoder/embeddings/weight", 1)?;
        Ok(HyperParameters {
            n_vocab: dim("decoder/embeddings/weight", 0)?,
            n_audio_ctx: dim("encoder/position_encodings/encodings", 0)?,
            n_audio_state: dim("encoder/position_encodings/encodings", 1)?,
            n_audio_head: self.heads("encoder", state)?,
            n_audio_layer: self.layers("encoder"),
            n_text_ctx: dim("decoder/position_encodings/encodings", 0)?,
            n_text_state: state,
            n_text_head: self.heads("decoder", state)?,
            n_text_layer: self.layers("decoder"),
            n_mels: dim("encoder/conv1/weight", 1)?,
        })
    }

    /// One more than the highest layer; a gap between is found when its tensors are missing.
    fn layers(&self, side: &str) -> u32 {
        let prefix = format!("{side}/layer_");
        let names = self.by_name.keys().chain(self.aliases.keys());
        names
            .filter_map(|name| name.strip_prefix(&prefix)?.split('/').next()?.parse().ok())
            .max()
            .map_or(0, |highest: u32| highest.saturating_add(1))
    }

    fn heads(&self, side: &str, state: u32) -> Result<u32, ConvertError> {
        let name = format!("{side}/num_heads");
        let Some(variable) = self.find(&name) else {
            return Ok(state / HEAD_WIDTH);
        };
        let len = match variable.dtype {
            1 => 1,
            2 => 2,
            3 => 4,
            other => return Err(self.malformed(format!("{name} has type {other}"))),
        };
        let mut bytes = [0; 4];
        if let Some(bytes) = bytes.get_mut(..len) {
            self.blob.read_exact_at(variable.offset, bytes)?;
        }
        Ok(u32::from_le_bytes(bytes))
    }

    /// A variable as numbers, with its scale if it has one.
    fn tensor(&self, name: &str) -> Result<Tensor, ConvertError> {
        let variable = self.get(name)?;
        let dtype = match variable.dtype {
            0 => Dtype::F32,
            1 => Dtype::I8,
            2 => Dtype::I16,
            4 => Dtype::F16,
            5 => Dtype::Bf16,
            other => {
                let reason = format!(
                    "variable {name} has type {other}, which is not one of f32, f16, bf16, int8 and int16: convert the model again with quantization float16"
                );
                return Err(self.malformed(reason));
            }
        };
        let tensor = Tensor::new(&self.blob, variable.offset, variable.shape.clone(), dtype)
            .ok_or_else(|| self.malformed(format!("variable {name} is truncated")))?;
        if matches!(dtype, Dtype::I8 | Dtype::I16) {
            let scale = self.scale(name, &tensor)?;
            return Ok(tensor.with_scale(scale));
        }
        Ok(tensor)
    }

    fn scale(&self, name: &str, tensor: &Tensor) -> Result<Scale, ConvertError> {
        let scale = self.tensor_of_floats(&format!("{name}_scale"))?;
        let rows = tensor.shape().first().copied().unwrap_or(1);
        let values = match scale.len() {
            1 => scale.read_all()?,
            len if len == rows => scale.read_all()?,
            len => {
                let reason = format!("{name} has {rows} rows and {len} scales");
                return Err(self.malformed(reason));
            }
        };
        if values.iter().any(|value| !value.is_normal()) {
            return Err(self.malformed(format!("{name} has a scale of zero or none at all")));
        }
        Ok(match values.as_slice() {
            [whole] => Scale::Whole(*whole),
            _ => Scale::Rows(values),
        })
    }

    fn tensor_of_floats(&self, name: &str) -> Result<Tensor, ConvertError> {
        if matches!(self.get(name)?.dtype, 1..=3) {
            return Err(self.malformed(format!("variable {name} holds integers")));
        }
        self.tensor(name)
    }

    fn tensors(&self, hyper: &HyperParameters) -> Result<HashMap<String, Tensor>, ConvertError> {
        let mut out = HashMap::new();
        let plain = [
            (
                "decoder.positional_embedding",
                "decoder/position_encodings/encodings",
            ),
            (
                "encoder.positional_embedding",
                "encoder/position_encodings/encodings",
            ),
            (
                "decoder.token_embedding.weight",
                "decoder/embeddings/weight",
            ),
            ("encoder.conv1.weight", "encoder/conv1/weight"),
            ("encoder.conv1.bias", "encoder/conv1/bias"),
            ("encoder.conv2.weight", "encoder/conv2/weight"),
            ("encoder.conv2.bias", "encoder/conv2/bias"),
        ];
        for (name, variable) in plain {
            out.insert(name.to_owned(), self.tensor(variable)?);
        }
        self.norm(&mut out, "decoder.ln", "decoder/layer_norm")?;
        self.norm(&mut out, "encoder.ln_post", "encoder/layer_norm")?;
        for (side, layers) in [
            ("encoder", hyper.n_audio_layer),
            ("decoder", hyper.n_text_layer),
        ] {
            for layer in 0..layers {
                let name = format!("{side}.blocks.{layer}");
                let variable = format!("{side}/layer_{layer}");
                self.block(&mut out, &name, &variable)?;
                if side == "decoder" {
                    self.cross_attention(&mut out, &name, &variable)?;
                }
            }
        }
        Ok(out)
    }

    fn block(&self, out: &mut Tensors, name: &str, variable: &str) -> Result<(), ConvertError> {
        self.norm(
            out,
            &format!("{name}.mlp_ln"),
            &format!("{variable}/ffn/layer_norm"),
        )?;
        self.linear(
            out,
            &format!("{name}.mlp.0"),
            &format!("{variable}/ffn/linear_0"),
        )?;
        self.linear(
            out,
            &format!("{name}.mlp.2"),
            &format!("{variable}/ffn/linear_1"),
        )?;
        let (name, variable) = (format!("{name}.attn"), format!("{variable}/self_attention"));
        self.norm(
            out,
            &format!("{name}_ln"),
            &format!("{variable}/layer_norm"),
        )?;
        self.fused(
            out,
            &name,
            &format!("{variable}/linear_0"),
            &["query", "key", "value"],
        )?;
        self.linear(out, &format!("{name}.out"), &format!("{variable}/linear_1"))
    }

    fn cross_attention(
        &self,
        out: &mut Tensors,
        name: &str,
        variable: &str,
    ) -> Result<(), ConvertError> {
        let (name, variable) = (
            format!("{name}.cross_attn"),
            format!("{variable}/attention"),
        );
        self.norm(
            out,
            &format!("{name}_ln"),
            &format!("{variable}/layer_norm"),
        )?;
        self.linear(
            out,
            &format!("{name}.query"),
            &format!("{variable}/linear_0"),
        )?;
        self.fused(
            out,
            &name,
            &format!("{variable}/linear_1"),
            &["key", "value"],
        )?;
        self.linear(out, &format!("{name}.out"), &format!("{variable}/linear_2"))
    }

    fn norm(&self, out: &mut Tensors, name: &str, variable: &str) -> Result<(), ConvertError> {
        out.insert(
            format!("{name}.weight"),
            self.tensor(&format!("{variable}/gamma"))?,
        );
        out.insert(
            format!("{name}.bias"),
            self.tensor(&format!("{variable}/beta"))?,
        );
        Ok(())
    }

    fn linear(&self, out: &mut Tensors, name: &str, variable: &str) -> Result<(), ConvertError> {
        out.insert(
            format!("{name}.weight"),
            self.tensor(&format!("{variable}/weight"))?,
        );
        out.insert(
            format!("{name}.bias"),
            self.tensor(&format!("{variable}/bias"))?,
        );
        Ok(())
    }

    /// Cuts a fused matrix into the rows of its parts.
    fn fused(
        &self,
        out: &mut Tensors,
        name: &str,
        variable: &str,
        parts: &[&str],
    ) -> Result<(), ConvertError> {
        let weight = self.tensor(&format!("{variable}/weight"))?;
        let bias = self.tensor(&format!("{variable}/bias"))?;
        for (index, part) in (0..).zip(parts) {
            let cut = |tensor: &Tensor| {
                tensor.part(index, parts.len() as u64).ok_or_else(|| {
                    let reason = format!("{variable} has shape {:?}", tensor.shape());
                    self.malformed(format!("{reason}, which is not {} matrices", parts.len()))
                })
            };
            out.insert(format!("{name}.{part}.weight"), cut(&weight)?);
            let bias = cut(&bias)?;
            if *part != "key" {
                out.insert(format!("{name}.{part}.bias"), bias);
            } else if bias.read_all()?.iter().any(|&x| x != 0.0) {
                let reason = format!("{variable} has a bias on its keys, which Whisper has not");
                return Err(self.malformed(reason));
            }
        }
        Ok(())
    }
}

type Tensors = HashMap<String, Tensor>;

fn count(fields: &mut Fields, what: &str) -> Result<u32, ConvertError> {
    let count = fields.u32(what)?;
    if count > MAX_VARIABLES {
        return Err(fields.malformed(format!("{what} is {count}, more than {MAX_VARIABLES}")));
    }
    Ok(count)
}

fn string(fields: &mut Fields, what: &str) -> Result<String, ConvertError> {
    let len = fields.u16(what)?;
    let mut bytes = fields.bytes(u64::from(len), what)?;
    if bytes.pop() != Some(0) {
        return Err(fields.malformed(format!("{what} does not end with a zero byte")));
    }
    String::from_utf8(bytes).map_err(|_| fields.malformed(format!("{what} is not UTF-8")))
}

fn variable(fields: &mut Fields) -> Result<(String, Variable), ConvertError> {
    let name = string(fields, "the name of a variable")?;
    let what = format!("variable {name}");
    let rank = fields.u8(&what)?;
    let mut shape = Vec::new();
    for _ in 0..rank {
        shape.push(u64::from(fields.u32(&what)?));
    }
    let dtype = fields.u8(&what)?;
    let len_bytes = u64::from(fields.u32(&what)?);
    let size = match dtype {
        1 => 1,
        2 | 4 | 5 => 2,
        _ => 4,
    };
    if elements(&shape).and_then(|len| len.checked_mul(size)) != Some(len_bytes) {
        let reason = format!("{what} has shape {shape:?} and {len_bytes} bytes of type {dtype}");
        return Err(fields.malformed(reason));
    }
    let offset = fields.position();
    fields.skip(len_bytes, &what)?;
    Ok((
        name,
        Variable {
            offset,
            shape,
            dtype,
        },
    ))
}
