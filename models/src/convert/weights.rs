//! The one form that every reader produces: what the model is, its vocabulary, and where each
//! tensor's numbers lie.
//!
//! Tensors are not loaded. A [`Tensor`] says where its numbers are and how they are stored, and
//! hands them out as f32 in pieces of the caller's size.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use half::{bf16, f16};

use super::ConvertError;
use super::blob::Blob;
use super::layout::{self, HyperParameters, Spec};

/// How a number is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dtype {
    F32,
    F16,
    Bf16,
    I16,
    I8,
}

impl Dtype {
    pub(super) fn bytes(self) -> u64 {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 => 2,
            Self::I8 => 1,
        }
    }
}

/// What the stored numbers are divided by.
#[derive(Clone, Debug)]
pub(super) enum Scale {
    None,
    Whole(f32),
    /// One for each row (slice along the first dimension).
    Rows(Vec<f32>),
}

/// Numbers in a file: row-major, contiguous.
#[derive(Clone, Debug)]
pub(super) struct Tensor {
    blob: Arc<Blob>,
    offset: u64,
    shape: Vec<u64>,
    dtype: Dtype,
    scale: Scale,
}

impl Tensor {
    /// A tensor at `offset` bytes of `blob`; `None` when the file does not hold all of it.
    pub(super) fn new(
        blob: &Arc<Blob>,
        offset: u64,
        shape: Vec<u64>,
        dtype: Dtype,
    ) -> Option<Self> {
        let len_bytes = elements(&shape)?.checked_mul(dtype.bytes())?;
        blob.holds(offset, len_bytes).then(|| Self {
            blob: Arc::clone(blob),
            offset,
            shape,
            dtype,
            scale: Scale::None,
        })
    }

    pub(super) fn with_scale(mut self, scale: Scale) -> Self {
        self.scale = scale;
        self
    }

    pub(super) fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// Number of elements.
    pub(super) fn len(&self) -> u64 {
        elements(&self.shape).unwrap_or_default()
    }

    /// The `index`th of `count` equal slices along the first dimension; `None` when it cannot be
    /// cut so.
    pub(super) fn part(&self, index: u64, count: u64) -> Option<Self> {
        let rows = *self.shape.first()?;
        if index >= count || !rows.is_multiple_of(count) {
            return None;
        }
        let rows = rows / count;
        let mut out = self.clone();
        *out.shape.first_mut()? = rows;
        out.offset += index * out.len() * self.dtype.bytes();
        if let Scale::Rows(scales) = &self.scale {
            let start = (index * rows) as usize;
            out.scale = Scale::Rows(scales.get(start..start + rows as usize)?.to_vec());
        }
        Some(out)
    }

    /// Fills `out` with the elements from `start`, as f32.
    pub(super) fn read(&self, start: u64, out: &mut [f32]) -> Result<(), ConvertError> {
        let size = self.dtype.bytes();
        let mut raw = vec![0; out.len() * size as usize];
        self.blob
            .read_exact_at(self.offset + start * size, &mut raw)?;
        match self.dtype {
            Dtype::F32 => widen(&raw, out, f32::from_le_bytes),
            Dtype::F16 => widen(&raw, out, |bytes| f16::from_le_bytes(bytes).to_f32()),
            Dtype::Bf16 => widen(&raw, out, |bytes| bf16::from_le_bytes(bytes).to_f32()),
            Dtype::I16 => widen(&raw, out, |bytes| f32::from(i16::from_le_bytes(bytes))),
            Dtype::I8 => widen(&raw, out, |bytes| f32::from(i8::from_le_bytes(bytes))),
        }
        match &self.scale {
            Scale::None => {}
            Scale::Whole(scale) => out.iter_mut().for_each(|x| *x /= scale),
            Scale::Rows(scales) => {
                let row_len = (self.len() / (scales.len() as u64).max(1)).max(1);
                for (at, x) in (start..).zip(out) {
                    *x /= scales.get((at / row_len) as usize).unwrap_or(&1.0);
                }
            }
        }
        Ok(())
    }

    /// All elements; for the small tensors only.
    pub(super) fn read_all(&self) -> Result<Vec<f32>, ConvertError> {
        let mut out = vec![0.0; self.len() as usize];
        self.read(0, &mut out)?;
        Ok(out)
    }
}

fn widen<const N: usize>(raw: &[u8], out: &mut [f32], decode: impl Fn([u8; N]) -> f32) {
    let (chunks, _) = raw.as_chunks::<N>();
    for (x, bytes) in out.iter_mut().zip(chunks) {
        *x = decode(*bytes);
    }
}

/// Product of the dimensions; `None` when it does not fit.
pub(super) fn elements(shape: &[u64]) -> Option<u64> {
    shape
        .iter()
        .try_fold(1_u64, |product, &dim| product.checked_mul(dim))
}

/// A Whisper model, whatever file it came from.
#[derive(Debug)]
pub(super) struct WhisperWeights {
    /// The file that the numbers are in, for messages.
    pub(super) path: PathBuf,
    /// What that file is, for messages.
    pub(super) format: &'static str,
    pub(super) hyper: HyperParameters,
    /// The text of the tokens below `<|endoftext|>`, as bytes, by number.
    pub(super) vocabulary: Vec<Vec<u8>>,
    /// By name in OpenAI's `state_dict`.
    pub(super) tensors: HashMap<String, Tensor>,
}

impl WhisperWeights {
    /// Checks the numbers, and that there is every tensor in its shape and no other.
    pub(super) fn new(
        path: &Path,
        format: &'static str,
        hyper: HyperParameters,
        vocabulary: Vec<Vec<u8>>,
        tensors: HashMap<String, Tensor>,
    ) -> Result<Self, ConvertError> {
        let malformed = |reason: String| ConvertError::malformed(path, format, reason);
        hyper.check().map_err(malformed)?;
        let specs = layout::specs(&hyper);
        for spec in &specs {
            let tensor = tensors
                .get(&spec.name)
                .ok_or_else(|| malformed(format!("tensor {} is missing", spec.name)))?;
            if tensor.shape() != spec.shape {
                return Err(malformed(wrong_shape(spec, tensor.shape())));
            }
        }
        if tensors.len() > specs.len() {
            let known = |name: &String| specs.iter().any(|spec| spec.name == *name);
            let foreign = tensors.keys().filter(|name| !known(name)).min();
            return Err(malformed(format!(
                "tensor {} is not part of Whisper; merge adapters into the weights and save them again",
                foreign.map_or("?", String::as_str)
            )));
        }
        Ok(Self {
            path: path.to_path_buf(),
            format,
            hyper,
            vocabulary,
            tensors,
        })
    }
}

pub(super) fn wrong_shape(spec: &Spec, found: &[u64]) -> String {
    format!(
        "tensor {} has shape {found:?} where the model's dimensions ask for {:?}",
        spec.name, spec.shape
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn blob(bytes: &[u8]) -> (tempfile::TempDir, Arc<Blob>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("blob");
        std::fs::write(&path, bytes).unwrap();
        let blob = Blob::open(&[path]).unwrap();
        (dir, blob)
    }

    #[test]
    fn integers_are_divided_by_the_scale_of_their_row() {
        let (_dir, blob) = blob(&[10, 20, 0xf6, 40, 50, 60, 70, 80]);
        let scale = Scale::Rows(vec![10.0, 5.0, 2.0, 1.0]);
        let tensor = Tensor::new(&blob, 0, vec![4, 2], Dtype::I8)
            .unwrap()
            .with_scale(scale);
        assert_eq!(
            tensor.read_all().unwrap(),
            [1.0, 2.0, -2.0, 8.0, 25.0, 30.0, 70.0, 80.0]
        );
        let lower = tensor.part(1, 2).unwrap();
        assert_eq!(lower.shape(), [2, 2]);
        let mut out = [0.0; 3];
        lower.read(1, &mut out).unwrap();
        assert_eq!(out, [30.0, 70.0, 80.0]);
        assert!(tensor.part(0, 3).is_none());
    }

    #[test]
    fn a_tensor_outside_its_file_is_refused() {
        let (_dir, blob) = blob(&[0; 16]);
        assert!(Tensor::new(&blob, 0, vec![2, 2], Dtype::F32).is_some());
        assert!(Tensor::new(&blob, 1, vec![2, 2], Dtype::F32).is_none());
        assert!(Tensor::new(&blob, 0, vec![u64::MAX, u64::MAX], Dtype::F16).is_none());
        assert!(Tensor::new(&blob, u64::MAX, vec![1], Dtype::I8).is_none());
    }
}
