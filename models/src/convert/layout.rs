//! Which tensors a Whisper model has, in which shapes, and in which order whisper.cpp's own
//! converter writes them (the order of OpenAI's `state_dict`).
//!
//! Every reader is checked against this one list, so a model with a tensor too few, too many or in
//! another shape is refused here and never reaches whisper.cpp, which trusts what it loads.

/// Samples of an FFT frame (`WHISPER_N_FFT`); a mel filter has half as many weights plus one.
pub(super) const N_FFT: usize = 400;

/// Weights of one mel filter.
pub(super) const N_BINS: usize = N_FFT / 2 + 1;

/// Vocabulary size of the English-only models.
pub(super) const N_VOCAB_ENGLISH: u32 = 51_864;

/// Vocabulary size of the multilingual models with 99 languages.
pub(super) const N_VOCAB_MULTILINGUAL: u32 = 51_865;

/// Vocabulary size of large-v3 and its kin: 100 languages.
pub(super) const N_VOCAB_V3: u32 = 51_866;

/// The numbers that shape a Whisper model, named as in OpenAI's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HyperParameters {
    pub(super) n_vocab: u32,
    pub(super) n_audio_ctx: u32,
    pub(super) n_audio_state: u32,
    pub(super) n_audio_head: u32,
    pub(super) n_audio_layer: u32,
    pub(super) n_text_ctx: u32,
    pub(super) n_text_state: u32,
    pub(super) n_text_head: u32,
    pub(super) n_text_layer: u32,
    pub(super) n_mels: u32,
}

impl HyperParameters {
    /// Whether the model knows languages other than English.
    pub(super) fn is_multilingual(&self) -> bool {
        self.n_vocab != N_VOCAB_ENGLISH
    }

    /// The number of `<|endoftext|>`, which is also how many tokens have text: whisper.cpp names
    /// the rest by itself from the size of the vocabulary.
    pub(super) fn end_of_text(&self) -> u32 {
        if self.is_multilingual() {
            50_257
        } else {
            50_256
        }
    }

    /// Refuses numbers that no Whisper model has: they would make whisper.cpp allocate absurd
    /// amounts, divide by zero, or take the wrong tokens for its special ones.
    pub(super) fn check(&self) -> Result<(), String> {
        let known = [N_VOCAB_ENGLISH, N_VOCAB_MULTILINGUAL, N_VOCAB_V3];
        if !known.contains(&self.n_vocab) {
            return Err(format!(
                "its vocabulary has {} entries; whisper.cpp derives its special tokens from the sizes 51864, 51865 and 51866 only",
                self.n_vocab
            ));
        }
        if ![80, 128].contains(&self.n_mels) {
            return Err(format!(
                "it wants {} mel bands; Whisper has 80 or 128",
                self.n_mels
            ));
        }
        // The largest Whisper has 32 layers, 1280 states, 20 heads, 1500 and 448 positions.
        let bounds = [
            ("n_audio_ctx", self.n_audio_ctx, 4096),
            ("n_audio_state", self.n_audio_state, 8192),
            ("n_audio_head", self.n_audio_head, 256),
            ("n_audio_layer", self.n_audio_layer, 128),
            ("n_text_ctx", self.n_text_ctx, 4096),
            ("n_text_state", self.n_text_state, 8192),
            ("n_text_head", self.n_text_head, 256),
            ("n_text_layer", self.n_text_layer, 128),
        ];
        for (name, value, most) in bounds {
            if value == 0 || value > most {
                return Err(format!("{name} is {value}; it must be in 1..={most}"));
            }
        }
        if self.n_audio_state != self.n_text_state {
            return Err(format!(
                "encoder and decoder differ in width ({} and {}), which whisper.cpp cannot compute",
                self.n_audio_state, self.n_text_state
            ));
        }
        for (state, head) in [
            (self.n_audio_state, self.n_audio_head),
            (self.n_text_state, self.n_text_head),
        ] {
            if !state.is_multiple_of(head) {
                return Err(format!(
                    "a width of {state} cannot be divided among {head} heads"
                ));
            }
        }
        Ok(())
    }
}

/// What a tensor is for, which decides how it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Biases and layer norms: always f32.
    Vector,
    /// Positional embeddings: always f32.
    Positions,
    /// Bias of a convolution: always f32, and written as a matrix of one column.
    ConvBias,
    /// Kernel of a convolution: f16, or f32 in an all-f32 file; never quantized.
    Conv,
    /// Everything else: f16, f32 or quantized.
    Matrix,
}

/// One tensor of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spec {
    /// Its name in OpenAI's `state_dict`, which is its name in ggml too.
    pub(super) name: String,
    /// Rows first; a [`Role::ConvBias`] has one dimension here and two in the file.
    pub(super) shape: Vec<u64>,
    pub(super) role: Role,
}

/// All tensors, in the order of the file.
pub(super) fn specs(hyper: &HyperParameters) -> Vec<Spec> {
    let mut out = Vec::new();
    let width = u64::from(hyper.n_audio_state);
    let mut push = |name: &str, shape: &[u64], role| {
        out.push(Spec {
            name: name.to_owned(),
            shape: shape.to_vec(),
            role,
        });
    };
    let positions = [u64::from(hyper.n_text_ctx), width];
    push("decoder.positional_embedding", &positions, Role::Positions);
    let positions = [u64::from(hyper.n_audio_ctx), width];
    push("encoder.positional_embedding", &positions, Role::Positions);
    let embedding = [u64::from(hyper.n_vocab), width];
    push("decoder.token_embedding.weight", &embedding, Role::Matrix);
    for layer in 0..hyper.n_text_layer {
        let prefix = format!("decoder.blocks.{layer}");
        block(&mut push, &prefix, width);
        attention(&mut push, &format!("{prefix}.cross_attn"), width);
    }
    norm(&mut push, "decoder.ln", width);
    for (conv, inputs) in [("conv1", u64::from(hyper.n_mels)), ("conv2", width)] {
        let kernel = [width, inputs, 3];
        push(&format!("encoder.{conv}.weight"), &kernel, Role::Conv);
        push(&format!("encoder.{conv}.bias"), &[width], Role::ConvBias);
    }
    for layer in 0..hyper.n_audio_layer {
        block(&mut push, &format!("encoder.blocks.{layer}"), width);
    }
    norm(&mut push, "encoder.ln_post", width);
    out
}

/// What encoder and decoder blocks have in common.
fn block(push: &mut impl FnMut(&str, &[u64], Role), prefix: &str, width: u64) {
    norm(push, &format!("{prefix}.mlp_ln"), width);
    linear(push, &format!("{prefix}.mlp.0"), 4 * width, width);
    linear(push, &format!("{prefix}.mlp.2"), width, 4 * width);
    attention(push, &format!("{prefix}.attn"), width);
}

fn attention(push: &mut impl FnMut(&str, &[u64], Role), prefix: &str, width: u64) {
    norm(push, &format!("{prefix}_ln"), width);
    linear(push, &format!("{prefix}.query"), width, width);
    // The one linear layer without a bias.
    push(
        &format!("{prefix}.key.weight"),
        &[width, width],
        Role::Matrix,
    );
    linear(push, &format!("{prefix}.value"), width, width);
    linear(push, &format!("{prefix}.out"), width, width);
}

fn norm(push: &mut impl FnMut(&str, &[u64], Role), prefix: &str, width: u64) {
    push(&format!("{prefix}.weight"), &[width], Role::Vector);
    push(&format!("{prefix}.bias"), &[width], Role::Vector);
}

fn linear(push: &mut impl FnMut(&str, &[u64], Role), prefix: &str, rows: u64, columns: u64) {
    push(&format!("{prefix}.weight"), &[rows, columns], Role::Matrix);
    push(&format!("{prefix}.bias"), &[rows], Role::Vector);
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) const BASE: HyperParameters = HyperParameters {
        n_vocab: N_VOCAB_MULTILINGUAL,
        n_audio_ctx: 1500,
        n_audio_state: 512,
        n_audio_head: 8,
        n_audio_layer: 6,
        n_text_ctx: 448,
        n_text_state: 512,
        n_text_head: 8,
        n_text_layer: 6,
        n_mels: 80,
    };

    #[test]
    fn base_has_the_number_of_tensors_that_whisper_cpp_creates() {
        assert_eq!(specs(&BASE).len(), 4 + 3 + 4 + 15 * 6 + 24 * 6);
    }

    #[test]
    fn numbers_that_no_whisper_has_are_refused() {
        assert_eq!(BASE.check(), Ok(()));
        let wrong = [
            HyperParameters {
                n_vocab: 50_000,
                ..BASE
            },
            HyperParameters { n_mels: 81, ..BASE },
            HyperParameters {
                n_audio_head: 0,
                ..BASE
            },
            HyperParameters {
                n_text_layer: u32::MAX,
                ..BASE
            },
            HyperParameters {
                n_text_state: 256,
                ..BASE
            },
            HyperParameters {
                n_text_head: 7,
                ..BASE
            },
        ];
        for hyper in wrong {
            assert!(hyper.check().is_err(), "{hyper:?}");
        }
    }
}
