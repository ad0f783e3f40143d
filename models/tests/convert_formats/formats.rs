//! Writes the test model in the formats that can be converted.

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use serde_json::json;
use zip::write::SimpleFileOptions;

use crate::model::{self, HEADS, Model, Tensor, put};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    F32,
    F16,
    Bf16,
    I16,
    I8,
}

impl Kind {
    fn encode(self, values: &[f32]) -> Vec<u8> {
        let scaled = values.iter().map(|x| x * 64.0);
        match self {
            Self::F32 => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Self::F16 => values
                .iter()
                .flat_map(|x| f16::from_f32(*x).to_le_bytes())
                .collect(),
            Self::Bf16 => values
                .iter()
                .flat_map(|x| bf16::from_f32(*x).to_le_bytes())
                .collect(),
            Self::I16 => scaled.flat_map(|x| (x as i16).to_le_bytes()).collect(),
            Self::I8 => scaled.map(|x| x as i8 as u8).collect(),
        }
    }
}

/// CTranslate2's model.bin. Integer kinds apply to matrices and kernels.
pub fn ct2(model: &Model, kind: Kind) -> Vec<u8> {
    let mut variables: Vec<(String, Vec<u32>, u8, Vec<u8>)> = Vec::new();
    for (name, shape, values) in ct2_variables(model) {
        let integer = matches!(kind, Kind::I8 | Kind::I16);
        let plain = shape.len() < 2 || name.contains("position_encodings");
        let kind = if integer && plain { Kind::F32 } else { kind };
        let code = match kind {
            Kind::F32 => 0,
            Kind::I8 => 1,
            Kind::I16 => 2,
            Kind::F16 => 4,
            Kind::Bf16 => 5,
        };
        let scale_shape = if kind == Kind::I8 {
            vec![shape[0]]
        } else {
            vec![]
        };
        let scales = scale_shape.first().copied().unwrap_or(1) as usize;
        if integer && !plain {
            let scale = Kind::F32.encode(&vec![64.0; scales]);
            variables.push((format!("{name}_scale"), scale_shape, 0, scale));
        }
        variables.push((name, shape, code, kind.encode(&values)));
    }
    for side in ["encoder", "decoder"] {
        let heads = (HEADS as u16).to_le_bytes().to_vec();
        variables.push((format!("{side}/num_heads"), vec![], 2, heads));
    }
    let mut out = 6_u32.to_le_bytes().to_vec();
    put_text(&mut out, "WhisperSpec");
    put(&mut out, &[3, variables.len() as u32]);
    for (name, shape, code, bytes) in variables {
        put_text(&mut out, &name);
        out.push(shape.len() as u8);
        put(&mut out, &shape);
        out.push(code);
        put(&mut out, &[bytes.len() as u32]);
        out.extend(bytes);
    }
    put(&mut out, &[1]);
    put_text(&mut out, "decoder/projection/weight");
    put_text(&mut out, "decoder/embeddings/weight");
    out
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u16 + 1).to_le_bytes());
    out.extend(text.as_bytes());
    out.push(0);
}

fn ct2_variables(model: &Model) -> Vec<(String, Vec<u32>, Vec<f32>)> {
    let mut out = Vec::new();
    for tensor in &model.tensors {
        let name = tensor
            .name
            .replace(".blocks.", "/layer_")
            .replacen("coder.", "coder/", 1);
        let (name, values, rows) = match name.as_str() {
            _ if name.contains("attn.key.") || name.contains("attn.value.") => continue,
            _ if name.contains("attn.query.") => match fuse(model, tensor, &name) {
                Some(fused) => fused,
                None => (ct2_name(&name), tensor.values.clone(), tensor.shape[0]),
            },
            _ => (ct2_name(&name), tensor.values.clone(), tensor.shape[0]),
        };
        if name.ends_with("/attention/linear_0/weight")
            || name.ends_with("/attention/linear_0/bias")
        {
            // The fused key and value of the cross-attention follow its query.
            let parts = parts(model, &tensor.name, &["key", "value"]);
            let rows = tensor.shape[0] * 2;
            let shape = [vec![rows], tensor.shape[1..].to_vec()].concat();
            out.push((name.replace("linear_0", "linear_1"), shape, parts));
        }
        let shape = [vec![rows], tensor.shape[1..].to_vec()].concat();
        out.push((name, shape, values));
    }
    out
}

/// Self-attention: query, key and value in one matrix, and zeros for the key's bias.
fn fuse(model: &Model, query: &Tensor, name: &str) -> Option<(String, Vec<f32>, u32)> {
    if name.contains("cross_attn") {
        return None;
    }
    let values = parts(model, &query.name, &["query", "key", "value"]);
    Some((ct2_name(name), values, query.shape[0] * 3))
}

fn parts(model: &Model, query: &str, parts: &[&str]) -> Vec<f32> {
    let mut out = Vec::new();
    for part in parts {
        let name = query.replace("query", part);
        if name.ends_with("key.bias") {
            out.extend([0.0; model::WIDTH as usize]);
        } else {
            out.extend(&model.tensor(&name).values);
        }
    }
    out
}

fn ct2_name(name: &str) -> String {
    let mut name = match name {
        "decoder/token_embedding.weight" => "decoder/embeddings/weight".to_owned(),
        _ => name.replace("positional_embedding", "position_encodings/encodings"),
    };
    for (ours, theirs) in [
        (".mlp_ln.", "/ffn/layer_norm/"),
        (".mlp.0.", "/ffn/linear_0/"),
        (".mlp.2.", "/ffn/linear_1/"),
        (".cross_attn_ln.", "/attention/layer_norm/"),
        (".cross_attn.query.", "/attention/linear_0/"),
        (".cross_attn.out.", "/attention/linear_2/"),
        (".attn_ln.", "/self_attention/layer_norm/"),
        (".attn.query.", "/self_attention/linear_0/"),
        (".attn.out.", "/self_attention/linear_1/"),
        ("/ln_post.", "/layer_norm/"),
        ("/ln.", "/layer_norm/"),
        ("conv1.", "conv1/"),
        ("conv2.", "conv2/"),
    ] {
        name = name.replace(ours, theirs);
    }
    if name.contains("layer_norm/") {
        name = name.replace("/weight", "/gamma").replace("/bias", "/beta");
    }
    name
}

pub fn vocabulary_txt(dir: &Path, model: &Model) -> PathBuf {
    let path = dir.join("vocabulary.txt");
    fs::write(&path, model.tokens().join("\n") + "\n").unwrap();
    path
}

pub fn vocabulary_json(dir: &Path, model: &Model) -> PathBuf {
    let path = dir.join("vocabulary.json");
    fs::write(&path, serde_json::to_string(&model.tokens()).unwrap()).unwrap();
    path
}

/// A Hugging Face directory with `shards` files.
pub fn hugging_face(dir: &Path, model: &Model, kind: Kind, shards: usize) {
    fs::create_dir_all(dir).unwrap();
    let config = json!({
        "model_type": "whisper", "vocab_size": model.n_vocab, "num_mel_bins": model::N_MELS,
        "d_model": model::WIDTH, "encoder_layers": model::AUDIO_LAYERS,
        "encoder_attention_heads": HEADS, "decoder_layers": model::TEXT_LAYERS,
        "decoder_attention_heads": HEADS, "max_source_positions": model::AUDIO_CTX,
        "max_target_positions": model::TEXT_CTX, "architectures": ["whatever"],
    });
    fs::write(dir.join("config.json"), config.to_string()).unwrap();
    let mut renamed: Vec<(String, &Tensor)> = model
        .tensors
        .iter()
        .map(|tensor| (hugging_face_name(&tensor.name), tensor))
        .collect();
    renamed.push((
        "proj_out.weight".to_owned(),
        model.tensor("decoder.token_embedding.weight"),
    ));
    let mut map = serde_json::Map::new();
    let per_shard = renamed.len().div_ceil(shards);
    for (index, tensors) in renamed.chunks(per_shard).enumerate() {
        let name = match shards {
            1 => "model.safetensors".to_owned(),
            _ => format!("model-{index}.safetensors"),
        };
        fs::write(dir.join(&name), safetensors(tensors, kind)).unwrap();
        map.extend(
            tensors
                .iter()
                .map(|(tensor, _)| (tensor.clone(), json!(name))),
        );
    }
    if shards > 1 {
        let index = json!({ "metadata": {}, "weight_map": map }).to_string();
        fs::write(dir.join("model.safetensors.index.json"), index).unwrap();
    }
    let end = model.end_of_text() as usize;
    let numbered = |range: std::ops::Range<usize>| -> serde_json::Value {
        let tokens = model.tokens();
        range
            .map(|i| (tokens[i].clone(), json!(i)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    fs::write(dir.join("vocab.json"), numbered(0..end).to_string()).unwrap();
    let added = numbered(end..model.n_vocab as usize).to_string();
    fs::write(dir.join("added_tokens.json"), added).unwrap();
}

/// The other way to store the vocabulary of such a directory.
pub fn tokenizer_json(dir: &Path, model: &Model) -> PathBuf {
    let vocab: serde_json::Value =
        serde_json::from_slice(&fs::read(dir.join("vocab.json")).unwrap()).unwrap();
    let added = json!([{ "id": model.end_of_text(), "content": "<|endoftext|>", "special": true }]);
    let tokenizer = json!({ "model": { "type": "BPE", "vocab": vocab }, "added_tokens": added });
    let path = dir.join("tokenizer.json");
    fs::write(&path, tokenizer.to_string()).unwrap();
    path
}

fn hugging_face_name(name: &str) -> String {
    let mut name = format!("model.{name}").replace(".blocks.", ".layers.");
    for (ours, theirs) in [
        ("cross_attn_ln", "encoder_attn_layer_norm"),
        ("attn_ln", "self_attn_layer_norm"),
        ("mlp_ln", "final_layer_norm"),
        (".cross_attn.", ".encoder_attn."),
        (".attn.", ".self_attn."),
        (".query.", ".q_proj."),
        (".key.", ".k_proj."),
        (".value.", ".v_proj."),
        (".out.", ".out_proj."),
        (".mlp.0.", ".fc1."),
        (".mlp.2.", ".fc2."),
        ("ln_post", "layer_norm"),
        ("decoder.ln.", "decoder.layer_norm."),
        ("positional_embedding", "embed_positions.weight"),
        ("token_embedding", "embed_tokens"),
    ] {
        name = name.replace(ours, theirs);
    }
    name
}

fn safetensors(tensors: &[(String, &Tensor)], kind: Kind) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let mut data = Vec::new();
    for (name, tensor) in tensors {
        let start = data.len();
        data.extend(kind.encode(&tensor.values));
        let dtype = format!("{kind:?}").to_uppercase();
        let entry =
            json!({ "dtype": dtype, "shape": tensor.shape, "data_offsets": [start, data.len()] });
        header.insert(name.clone(), entry);
    }
    let header = serde_json::Value::from(header).to_string();
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend(header.as_bytes());
    out.extend(data);
    out
}

/// An OpenAI checkpoint. With `shared`, all tensors lie in one storage.
pub fn openai(model: &Model, kind: Kind, shared: bool) -> Vec<u8> {
    let mut storages: Vec<Vec<u8>> = Vec::new();
    let mut pickle = Pickle(b"\x80\x02}q\x00(".to_vec());
    pickle.text("dims");
    pickle.0.extend(b"}q\x01(");
    for (name, value) in [
        ("n_mels", model::N_MELS),
        ("n_vocab", model.n_vocab),
        ("n_audio_ctx", model::AUDIO_CTX),
        ("n_audio_state", model::WIDTH),
        ("n_audio_head", HEADS),
        ("n_audio_layer", model::AUDIO_LAYERS),
        ("n_text_ctx", model::TEXT_CTX),
        ("n_text_state", model::WIDTH),
        ("n_text_head", HEADS),
        ("n_text_layer", model::TEXT_LAYERS),
    ] {
        pickle.text(name);
        pickle.int(value);
    }
    pickle.0.push(b'u');
    pickle.text("model_state_dict");
    pickle.0.extend(b"ccollections\nOrderedDict\nq\x02)Rq\x03(");
    for tensor in &model.tensors {
        let bytes = kind.encode(&tensor.values);
        let offset = match storages.first_mut() {
            Some(first) if shared => {
                let offset = first.len() * tensor.values.len() / bytes.len();
                first.extend(&bytes);
                offset as u32
            }
            _ => {
                storages.push(bytes);
                0
            }
        };
        pickle.text(&tensor.name);
        pickle.tensor(tensor, kind, storages.len() - 1, offset);
    }
    pickle.0.extend(b"uu.");
    archive(&pickle.0, &storages)
}

/// Zips a pickle and its storages as `torch.save` does.
pub fn archive(pickle: &[u8], storages: &[Vec<u8>]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    zip.start_file("tiny/data.pkl", options).unwrap();
    zip.write_all(pickle).unwrap();
    zip.start_file("tiny/byteorder", options).unwrap();
    zip.write_all(b"little").unwrap();
    for (key, bytes) in storages.iter().enumerate() {
        zip.start_file(format!("tiny/data/{key}"), options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

struct Pickle(Vec<u8>);

impl Pickle {
    fn text(&mut self, text: &str) {
        self.0.push(b'X');
        put(&mut self.0, &[text.len() as u32]);
        self.0.extend(text.as_bytes());
    }

    fn int(&mut self, value: u32) {
        self.0.push(b'J');
        put(&mut self.0, &[value]);
    }

    fn tensor(&mut self, tensor: &Tensor, kind: Kind, key: usize, offset: u32) {
        let class = match kind {
            Kind::F32 => "FloatStorage",
            Kind::F16 => "HalfStorage",
            _ => "BFloat16Storage",
        };
        self.0.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        self.text("storage");
        self.0.extend(format!("ctorch\n{class}\n").as_bytes());
        self.text(&key.to_string());
        self.text("cpu");
        self.int(tensor.values.len() as u32);
        self.0.extend(b"tQ");
        self.int(offset);
        self.0.push(b'(');
        tensor.shape.iter().for_each(|&dim| self.int(dim));
        self.0.extend(b"t(");
        for at in 1..=tensor.shape.len() {
            self.int(tensor.shape[at..].iter().product());
        }
        self.0.extend(b"t\x89h\x02)RtR");
    }
}
