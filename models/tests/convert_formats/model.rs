//! A Whisper small enough for tests, with weights that every storage type holds exactly, and the
//! ggml file that it must become.

use half::f16;

pub const N_MELS: u32 = 80;
pub const AUDIO_CTX: u32 = 8;
pub const TEXT_CTX: u32 = 6;
pub const WIDTH: u32 = 32;
pub const HEADS: u32 = 2;
pub const AUDIO_LAYERS: u32 = 1;
pub const TEXT_LAYERS: u32 = 2;

/// Bytes of the header and of the mel filters' own two numbers.
const FILTERS_AT: usize = 14 * 4;
const FILTERS_BYTES: usize = 80 * 201 * 4;

#[derive(Clone)]
pub struct Tensor {
    pub name: String,
    pub shape: Vec<u32>,
    pub values: Vec<f32>,
}

#[derive(Clone)]
pub struct Model {
    pub n_vocab: u32,
    pub tensors: Vec<Tensor>,
}

impl Model {
    pub fn multilingual() -> Self {
        Self::new(51_865)
    }

    pub fn english() -> Self {
        Self::new(51_864)
    }

    fn new(n_vocab: u32) -> Self {
        let mut model = Self {
            n_vocab,
            tensors: Vec::new(),
        };
        model.add("decoder.positional_embedding", &[TEXT_CTX, WIDTH]);
        model.add("encoder.positional_embedding", &[AUDIO_CTX, WIDTH]);
        model.add("decoder.token_embedding.weight", &[n_vocab, WIDTH]);
        for layer in 0..TEXT_LAYERS {
            model.add_block(&format!("decoder.blocks.{layer}"));
            model.add_attention(&format!("decoder.blocks.{layer}.cross_attn"));
        }
        model.add_norm("decoder.ln");
        model.add("encoder.conv1.weight", &[WIDTH, N_MELS, 3]);
        model.add("encoder.conv1.bias", &[WIDTH]);
        model.add("encoder.conv2.weight", &[WIDTH, WIDTH, 3]);
        model.add("encoder.conv2.bias", &[WIDTH]);
        for layer in 0..AUDIO_LAYERS {
            model.add_block(&format!("encoder.blocks.{layer}"));
        }
        model.add_norm("encoder.ln_post");
        model
    }

    fn add_block(&mut self, prefix: &str) {
        self.add_norm(&format!("{prefix}.mlp_ln"));
        self.add_linear(&format!("{prefix}.mlp.0"), 4 * WIDTH, WIDTH);
        self.add_linear(&format!("{prefix}.mlp.2"), WIDTH, 4 * WIDTH);
        self.add_attention(&format!("{prefix}.attn"));
    }

    fn add_attention(&mut self, prefix: &str) {
        self.add_norm(&format!("{prefix}_ln"));
        self.add_linear(&format!("{prefix}.query"), WIDTH, WIDTH);
        self.add(&format!("{prefix}.key.weight"), &[WIDTH, WIDTH]);
        self.add_linear(&format!("{prefix}.value"), WIDTH, WIDTH);
        self.add_linear(&format!("{prefix}.out"), WIDTH, WIDTH);
    }

    fn add_norm(&mut self, prefix: &str) {
        self.add(&format!("{prefix}.weight"), &[WIDTH]);
        self.add(&format!("{prefix}.bias"), &[WIDTH]);
    }

    fn add_linear(&mut self, prefix: &str, rows: u32, columns: u32) {
        self.add(&format!("{prefix}.weight"), &[rows, columns]);
        self.add(&format!("{prefix}.bias"), &[rows]);
    }

    /// Multiples of 1/64 between -100/64 and 100/64: exact in f32, f16 and bf16, and as int8 or
    /// int16 with a scale of 64. Different in each tensor.
    fn add(&mut self, name: &str, shape: &[u32]) {
        let seed = self.tensors.len() as u32;
        let len: u32 = shape.iter().product();
        let value = |i: u32| (i.wrapping_mul(2_654_435_761).wrapping_add(seed * 977) >> 7) % 201;
        self.tensors.push(Tensor {
            name: name.to_owned(),
            shape: shape.to_vec(),
            values: (0..len).map(|i| (value(i) as f32 - 100.0) / 64.0).collect(),
        });
    }

    pub fn tensor(&self, name: &str) -> &Tensor {
        let found = self.tensors.iter().find(|tensor| tensor.name == name);
        found.unwrap_or_else(|| panic!("no tensor {name}"))
    }

    pub fn tensor_mut(&mut self, name: &str) -> &mut Tensor {
        let found = self.tensors.iter_mut().find(|tensor| tensor.name == name);
        found.unwrap_or_else(|| panic!("no tensor {name}"))
    }

    pub fn end_of_text(&self) -> u32 {
        if self.n_vocab == 51_864 {
            50_256
        } else {
            50_257
        }
    }

    /// All tokens as vocabulary files spell them. The last one with text is empty in multilingual
    /// models.
    pub fn tokens(&self) -> Vec<String> {
        let mut tokens: Vec<String> = (0..self.n_vocab).map(|i| format!("Ġt{i}")).collect();
        tokens[50_257..]
            .iter_mut()
            .for_each(|token| *token = format!("<|{token}|>"));
        tokens[50_256] = String::new();
        tokens[self.end_of_text() as usize] = "<|endoftext|>".to_owned();
        tokens
    }

    /// The file that all formats must become. The filters are taken from `output`: the crate's own
    /// tests compare them with the published ones.
    pub fn expected(&self, output: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let header = [
            0x6767_6d6c,
            self.n_vocab,
            AUDIO_CTX,
            WIDTH,
            HEADS,
            AUDIO_LAYERS,
            TEXT_CTX,
            WIDTH,
            HEADS,
            TEXT_LAYERS,
            N_MELS,
            1,
            N_MELS,
            201,
        ];
        put(&mut out, &header);
        out.extend(&output[FILTERS_AT..FILTERS_AT + FILTERS_BYTES]);
        put(&mut out, &[50_257]);
        for i in 0..50_257 {
            let token = match i {
                50_256 if self.n_vocab == 51_864 => "<|endoftext|>".to_owned(),
                50_256 => String::new(),
                _ => format!(" t{i}"),
            };
            put(&mut out, &[token.len() as u32]);
            out.extend(token.as_bytes());
        }
        for tensor in &self.tensors {
            put_tensor(&mut out, tensor);
        }
        out
    }
}

fn put_tensor(out: &mut Vec<u8>, tensor: &Tensor) {
    let mut shape = tensor.shape.clone();
    let conv_bias = tensor.name.contains(".conv") && tensor.name.ends_with("bias");
    let wide = shape.len() < 2 || tensor.name.ends_with("positional_embedding");
    if conv_bias {
        shape.push(1);
    }
    put(
        out,
        &[
            shape.len() as u32,
            tensor.name.len() as u32,
            u32::from(!wide),
        ],
    );
    shape.reverse();
    put(out, &shape);
    out.extend(tensor.name.as_bytes());
    for value in &tensor.values {
        if wide {
            out.extend(value.to_le_bytes());
        } else {
            out.extend(f16::from_f32(*value).to_le_bytes());
        }
    }
}

pub fn put(out: &mut Vec<u8>, numbers: &[u32]) {
    out.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
}
