//! Writes a model as whisper.cpp's own converter would, byte for byte.

use super::super::layout::{self, N_BINS, Spec};
use super::super::output::Output;
use super::super::quantize::{BLOCK, Quantization};
use super::super::weights::{Tensor, WhisperWeights};
use super::super::{ConvertError, mel};
use super::{FileType, MAGIC, Storage, check_finite, file_shape, fits_blocks, for_each_piece};

/// Writes a model with its large matrices as f16, or as blocks.
pub(in super::super) fn write(
    weights: &WhisperWeights,
    quantize: Option<Quantization>,
    output: &mut Output,
) -> Result<(), ConvertError> {
    let file_type = quantize.map_or(FileType::F16, FileType::Quantized);
    write_head(weights, file_type, output)?;
    for spec in layout::specs(&weights.hyper) {
        let Some(tensor) = weights.tensors.get(&spec.name) else {
            continue;
        };
        let storage = file_type.storage(spec.role);
        if let (Storage::Blocks(quantization), false) = (storage, fits_blocks(&spec, storage)) {
            return Err(ConvertError::Quantize {
                path: weights.path.clone(),
                quantization,
                reason: format!(
                    "the rows of tensor {} are not a multiple of {BLOCK} long: convert it to f16",
                    spec.name
                ),
            });
        }
        write_tensor_head(&spec, storage, output)?;
        write_tensor(weights, &spec.name, tensor, storage, output)?;
    }
    Ok(())
}

fn write_head(
    weights: &WhisperWeights,
    file_type: FileType,
    output: &mut Output,
) -> Result<(), ConvertError> {
    let hyper = &weights.hyper;
    let numbers = [
        MAGIC,
        hyper.n_vocab,
        hyper.n_audio_ctx,
        hyper.n_audio_state,
        hyper.n_audio_head,
        hyper.n_audio_layer,
        hyper.n_text_ctx,
        hyper.n_text_state,
        hyper.n_text_head,
        hyper.n_text_layer,
        hyper.n_mels,
        file_type.number(),
        hyper.n_mels,
        N_BINS as u32,
    ];
    for number in numbers {
        output.put(&number.to_le_bytes())?;
    }
    for weight in mel::filters(hyper.n_mels) {
        output.put(&weight.to_le_bytes())?;
    }
    output.put(&(weights.vocabulary.len() as u32).to_le_bytes())?;
    for token in &weights.vocabulary {
        output.put(&(token.len() as u32).to_le_bytes())?;
        output.put(token)?;
    }
    Ok(())
}

fn write_tensor_head(
    spec: &Spec,
    storage: Storage,
    output: &mut Output,
) -> Result<(), ConvertError> {
    let shape = file_shape(spec);
    let head = [shape.len() as u32, spec.name.len() as u32, storage.number()];
    let dims = shape.iter().rev().map(|&dim| dim as u32);
    for number in head.into_iter().chain(dims) {
        output.put(&number.to_le_bytes())?;
    }
    output.put(spec.name.as_bytes())
}

fn write_tensor(
    weights: &WhisperWeights,
    name: &str,
    tensor: &Tensor,
    storage: Storage,
    output: &mut Output,
) -> Result<(), ConvertError> {
    let mut bytes = Vec::new();
    for_each_piece(tensor, |piece| {
        if storage != Storage::F32 {
            // Blocks are made of the f16 values, so that a file quantized now is the same as one
            // quantized from the f16 file later.
            for x in piece.iter_mut() {
                *x = half::f16::from_f32(*x).to_f32();
            }
        }
        check_finite(&weights.path, weights.format, name, piece)?;
        bytes.clear();
        match storage {
            Storage::F32 => bytes.extend(piece.iter().flat_map(|x| x.to_le_bytes())),
            Storage::F16 => {
                let halves = piece.iter().map(|&x| half::f16::from_f32(x));
                bytes.extend(halves.flat_map(half::f16::to_le_bytes));
            }
            Storage::Blocks(quantization) => {
                let (blocks, _) = piece.as_chunks::<BLOCK>();
                for block in blocks {
                    quantization.encode(block, &mut bytes);
                }
            }
        }
        output.put(&bytes)
    })
}
