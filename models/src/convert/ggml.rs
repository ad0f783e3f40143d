//! whisper.cpp's ggml files: header, mel filters, vocabulary, tensors.
//!
//! whisper.cpp trusts what it loads (up to 1.8.3 it does not even check how many dimensions a
//! tensor claims before it stores them), so a file is read here in full before it may become a
//! model: every number against its bounds, every tensor against the model's layout, every float
//! for being finite, and not a byte too few or too many.

mod write;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::ConvertError;
use super::blob::{Blob, Fields};
use super::layout::{self, HyperParameters, N_BINS, Role, Spec};
use super::output::Output;
use super::quantize::{BLOCK, Quantization};
use super::weights::{Dtype, Tensor, WhisperWeights, elements, wrong_shape};

pub(super) use write::write;

/// `GGML_FILE_MAGIC`: "ggml" as a little-endian number.
pub(super) const MAGIC: u32 = 0x6767_6d6c;

/// `GGML_QNT_VERSION_FACTOR`: a file's type is `version * factor + type` if it is quantized.
const VERSION_FACTOR: u32 = 1000;

/// `GGML_QNT_VERSION`: the one in use since May 2023.
const VERSION: u32 = 2;

const FORMAT: &str = "ggml Whisper model";

/// `GGML_MAX_DIMS`.
const MAX_DIMS: u32 = 4;

/// The longest name in Whisper has 40 characters.
const MAX_NAME_BYTES: u32 = 128;

/// whisper.cpp's own quantizer has room for 128 bytes.
const MAX_TOKEN_BYTES: u32 = 128;

/// Elements converted at a time: a multiple of a block.
const PIECE: usize = BLOCK << 12;

/// How the large matrices of a file are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileType {
    F32,
    F16,
    Quantized(Quantization),
}

impl FileType {
    fn from_number(number: u32) -> Option<Self> {
        match (number / VERSION_FACTOR, number % VERSION_FACTOR) {
            (0..=VERSION, 0) => Some(Self::F32),
            (0..=VERSION, 1) => Some(Self::F16),
            (VERSION, kind) => Quantization::ALL
                .into_iter()
                .find(|quantization| quantization.file_type() == kind)
                .map(Self::Quantized),
            _ => None,
        }
    }

    fn number(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Quantized(quantization) => VERSION * VERSION_FACTOR + quantization.file_type(),
        }
    }

    /// How a tensor of `role` is stored in such a file.
    fn storage(self, role: Role) -> Storage {
        match (role, self) {
            (Role::Vector | Role::Positions | Role::ConvBias, _) | (_, Self::F32) => Storage::F32,
            (Role::Conv, _) | (Role::Matrix, Self::F16) => Storage::F16,
            (Role::Matrix, Self::Quantized(quantization)) => Storage::Blocks(quantization),
        }
    }
}

/// How one tensor is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Storage {
    F32,
    F16,
    Blocks(Quantization),
}

impl Storage {
    /// `GGML_TYPE_*`.
    fn number(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Blocks(quantization) => quantization.tensor_type(),
        }
    }

    fn len_bytes(self, len: u64) -> u64 {
        match self {
            Self::F32 => len * 4,
            Self::F16 => len * 2,
            Self::Blocks(quantization) => len / BLOCK as u64 * quantization.block_bytes() as u64,
        }
    }
}

/// A file that was read in full and found sound.
#[derive(Debug)]
pub(super) struct GgmlFile {
    pub(super) hyper: HyperParameters,
    pub(super) file_type: FileType,
    pub(super) vocabulary: Vec<Vec<u8>>,
    /// The floats; quantized tensors are not among them.
    tensors: HashMap<String, Tensor>,
    blob: Arc<Blob>,
}

impl GgmlFile {
    /// The weights, to be written in another form.
    pub(super) fn into_weights(self) -> Result<WhisperWeights, ConvertError> {
        let Self {
            hyper,
            vocabulary,
            tensors,
            blob,
            ..
        } = self;
        WhisperWeights::new(blob.path(), FORMAT, hyper, vocabulary, tensors)
    }

    /// Writes the file as it is.
    pub(super) fn copy(&self, output: &mut Output) -> Result<(), ConvertError> {
        let mut piece = vec![0; 1 << 20];
        let mut at = 0;
        while at < self.blob.len_bytes() {
            let len = (self.blob.len_bytes() - at).min(piece.len() as u64);
            piece.truncate(len as usize);
            self.blob.read_exact_at(at, &mut piece)?;
            output.put(&piece)?;
            at += len;
        }
        Ok(())
    }
}

/// Reads and checks a file.
pub(super) fn read(path: &Path) -> Result<GgmlFile, ConvertError> {
    let blob = Blob::open(&[path])?;
    let mut fields = Fields::new(&blob, FORMAT);
    if fields.u32("the magic number")? != MAGIC {
        return Err(fields.malformed("it does not begin with ggml's magic number"));
    }
    let (hyper, file_type) = read_header(&mut fields)?;
    read_filters(&mut fields, &hyper)?;
    let vocabulary = read_vocabulary(&mut fields, &hyper)?;
    let mut specs: HashMap<String, Spec> = layout::specs(&hyper)
        .into_iter()
        .map(|spec| (spec.name.clone(), spec))
        .collect();
    let mut tensors = HashMap::new();
    while fields.position() < blob.len_bytes() {
        if specs.is_empty() {
            let trailing = blob.len_bytes() - fields.position();
            return Err(fields.malformed(format!("{trailing} bytes follow its last tensor")));
        }
        let (spec, tensor) = read_tensor(&mut fields, &blob, &mut specs, file_type)?;
        if let Some(tensor) = tensor {
            tensors.insert(spec.name, tensor);
        }
    }
    if let Some(name) = specs.keys().min() {
        let reason = format!(
            "{} tensors are missing, {name} among them; it is truncated: fetch it again",
            specs.len()
        );
        return Err(fields.malformed(reason));
    }
    Ok(GgmlFile {
        hyper,
        file_type,
        vocabulary,
        tensors,
        blob,
    })
}

fn read_header(fields: &mut Fields) -> Result<(HyperParameters, FileType), ConvertError> {
    let mut next = || fields.u32("the header");
    let hyper = HyperParameters {
        n_vocab: next()?,
        n_audio_ctx: next()?,
        n_audio_state: next()?,
        n_audio_head: next()?,
        n_audio_layer: next()?,
        n_text_ctx: next()?,
        n_text_state: next()?,
        n_text_head: next()?,
        n_text_layer: next()?,
        n_mels: next()?,
    };
    let number = next()?;
    hyper.check().map_err(|reason| fields.malformed(reason))?;
    let file_type = FileType::from_number(number).ok_or_else(|| {
        fields.malformed(format!(
            "its type is {number}; f32, f16, q4_0, q4_1, q5_0, q5_1 and q8_0 of quantization version 2 are known: fetch the f16 file and quantize it anew"
        ))
    })?;
    Ok((hyper, file_type))
}

fn read_filters(fields: &mut Fields, hyper: &HyperParameters) -> Result<(), ConvertError> {
    let what = "the mel filters";
    let (filters, bins) = (fields.u32(what)?, fields.u32(what)?);
    if (filters, bins) != (hyper.n_mels, N_BINS as u32) {
        let reason = format!(
            "it has {filters} mel filters of {bins} weights where {} of {N_BINS} belong",
            hyper.n_mels
        );
        return Err(fields.malformed(reason));
    }
    let bytes = fields.bytes(u64::from(filters) * u64::from(bins) * 4, what)?;
    let (weights, _) = bytes.as_chunks::<4>();
    if weights
        .iter()
        .any(|&bytes| !f32::from_le_bytes(bytes).is_finite())
    {
        return Err(fields.malformed("a mel filter holds a number that is not finite"));
    }
    Ok(())
}

fn read_vocabulary(
    fields: &mut Fields,
    hyper: &HyperParameters,
) -> Result<Vec<Vec<u8>>, ConvertError> {
    let what = "the vocabulary";
    let count = fields.u32(what)?;
    if count < hyper.end_of_text() || count > hyper.n_vocab {
        let reason = format!(
            "it lists {count} tokens; {}..={} belong to it",
            hyper.end_of_text(),
            hyper.n_vocab
        );
        return Err(fields.malformed(reason));
    }
    let mut out = Vec::with_capacity(count as usize);
    for number in 0..count {
        let len_bytes = fields.u32(what)?;
        if len_bytes > MAX_TOKEN_BYTES {
            return Err(fields.malformed(format!("token {number} claims {len_bytes} bytes")));
        }
        out.push(fields.bytes(u64::from(len_bytes), what)?);
    }
    Ok(out)
}

/// Reads the next tensor and takes its description out of `specs`.
fn read_tensor(
    fields: &mut Fields,
    blob: &Arc<Blob>,
    specs: &mut HashMap<String, Spec>,
    file_type: FileType,
) -> Result<(Spec, Option<Tensor>), ConvertError> {
    let what = "the description of a tensor";
    let (n_dims, name_bytes, kind) = (fields.u32(what)?, fields.u32(what)?, fields.u32(what)?);
    if n_dims == 0 || n_dims > MAX_DIMS || name_bytes > MAX_NAME_BYTES {
        let reason = format!(
            "a tensor claims {n_dims} dimensions and a name of {name_bytes} bytes; this file is damaged or made to harm: do not load it elsewhere either"
        );
        return Err(fields.malformed(reason));
    }
    let mut shape = Vec::new();
    for _ in 0..n_dims {
        shape.push(u64::from(fields.u32(what)?));
    }
    shape.reverse();
    let name = fields.bytes(u64::from(name_bytes), what)?;
    let name = String::from_utf8_lossy(&name).into_owned();
    let Some(spec) = specs.remove(&name) else {
        return Err(fields.malformed(format!(
            "tensor {name:?} is not part of Whisper, or occurs twice"
        )));
    };
    if shape != file_shape(&spec) {
        return Err(fields.malformed(wrong_shape(&spec, &shape)));
    }
    let storage = file_type.storage(spec.role);
    if kind != storage.number() || !fits_blocks(&spec, storage) {
        let reason = format!(
            "tensor {name} has type {kind} where {} belongs",
            storage.number()
        );
        return Err(fields.malformed(reason));
    }
    let len = elements(&spec.shape).unwrap_or(u64::MAX / 4);
    let offset = fields.position();
    fields.skip(storage.len_bytes(len), &name)?;
    let tensor = match storage {
        Storage::F32 => Tensor::new(blob, offset, spec.shape.clone(), Dtype::F32),
        Storage::F16 => Tensor::new(blob, offset, spec.shape.clone(), Dtype::F16),
        Storage::Blocks(quantization) => {
            check_blocks(fields, blob, &name, offset, len, quantization)?;
            None
        }
    };
    if let Some(tensor) = &tensor {
        for_each_piece(tensor, |piece| {
            check_finite(blob.path(), FORMAT, &name, piece)
        })?;
    }
    Ok((spec, tensor))
}

/// The scales of quantized blocks must be finite as well.
fn check_blocks(
    fields: &Fields,
    blob: &Blob,
    name: &str,
    offset: u64,
    len: u64,
    quantization: Quantization,
) -> Result<(), ConvertError> {
    let size = quantization.block_bytes();
    let blocks = len / BLOCK as u64;
    let mut piece = Vec::new();
    for start in (0..blocks).step_by(PIECE / BLOCK) {
        let count = (blocks - start).min((PIECE / BLOCK) as u64) as usize;
        piece.resize(count * size, 0);
        blob.read_exact_at(offset + start * size as u64, &mut piece)?;
        let scales = |block: &[u8]| {
            let (scales, _) = block.as_chunks::<2>();
            let mut scales = scales.iter().take(quantization.scales());
            scales.all(|&bytes| half::f16::from_le_bytes(bytes).is_finite())
        };
        if !piece.chunks_exact(size).all(scales) {
            return Err(fields.malformed(not_finite(name)));
        }
    }
    Ok(())
}

/// A convolution's bias is a matrix of one column in the file.
fn file_shape(spec: &Spec) -> Vec<u64> {
    let mut shape = spec.shape.clone();
    if spec.role == Role::ConvBias {
        shape.push(1);
    }
    shape
}

/// Blocks run along a row and must not cross into the next.
fn fits_blocks(spec: &Spec, storage: Storage) -> bool {
    let row = spec.shape.last().copied().unwrap_or_default();
    !matches!(storage, Storage::Blocks(_)) || row.is_multiple_of(BLOCK as u64)
}

fn not_finite(name: &str) -> String {
    format!("tensor {name} holds a number that is not finite in its type; the weights are damaged")
}

fn check_finite(
    path: &Path,
    format: &'static str,
    name: &str,
    piece: &[f32],
) -> Result<(), ConvertError> {
    if piece.iter().all(|x| x.is_finite()) {
        return Ok(());
    }
    Err(ConvertError::malformed(path, format, not_finite(name)))
}

fn for_each_piece(
    tensor: &Tensor,
    mut each: impl FnMut(&mut [f32]) -> Result<(), ConvertError>,
) -> Result<(), ConvertError> {
    let mut piece = vec![0.0; PIECE.min(tensor.len() as usize)];
    let mut at = 0;
    while at < tensor.len() {
        piece.truncate((tensor.len() - at) as usize);
        tensor.read(at, &mut piece)?;
        at += piece.len() as u64;
        each(&mut piece)?;
    }
    Ok(())
}
