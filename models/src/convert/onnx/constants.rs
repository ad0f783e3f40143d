//! The constants (initializers) of an ONNX graph: where their numbers lie in the file.
//!
//! Only what weights need is read: names, dimensions, and numbers that are stored as raw f32, which
//! is how exporters store them. Numbers behind field names are those of onnx.proto.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::super::ConvertError;
use super::super::blob::Blob;
use super::super::weights::{Dtype, Tensor};
use super::graph::FLOAT;
use super::proto::{Field, Fields};
use super::weights::Tensors;

/// Ten times the graph that is read here.
const MAX_GRAPH_BYTES: u64 = 16 << 20;

/// `ModelProto.graph`, `GraphProto.initializer`.
const GRAPH: u64 = 7;
const INITIALIZER: u64 = 5;

/// `TensorProto.dims`, `data_type`, `name`, `raw_data`.
const DIMS: u64 = 1;
const DATA_TYPE: u64 = 2;
const NAME: u64 = 8;
const RAW_DATA: u64 = 9;

/// Reads the constants of the graph in `path`; `format` names it in errors.
pub(super) fn read(path: &Path, format: &'static str) -> Result<Tensors, ConvertError> {
    let malformed = |reason: &str| ConvertError::malformed(path, format, reason);
    let blob = Blob::open(&[path])?;
    if blob.len_bytes() > MAX_GRAPH_BYTES {
        return Err(malformed(&format!("it has {} bytes", blob.len_bytes())));
    }
    let mut bytes = vec![0; blob.len_bytes() as usize];
    blob.read_exact_at(0, &mut bytes)?;
    constants(&bytes, &blob).map_err(malformed)
}

fn constants(bytes: &[u8], blob: &Arc<Blob>) -> Result<Tensors, &'static str> {
    let mut tensors = Tensors::new();
    for graph in parts(bytes, 0..bytes.len(), GRAPH) {
        for constant in parts(bytes, graph?, INITIALIZER) {
            let (name, tensor) = constant_at(bytes, constant?, blob)?;
            if tensors.insert(name, tensor).is_some() {
                return Err("it has two constants of one name");
            }
        }
    }
    Ok(tensors)
}

/// Where the messages in a field of a message lie.
fn parts(
    bytes: &[u8],
    within: Range<usize>,
    wanted: u64,
) -> impl Iterator<Item = Result<Range<usize>, &'static str>> {
    Fields::new(bytes, within).filter_map(move |field| match field {
        Ok((number, Field::Bytes(part))) if number == wanted => Some(Ok(part)),
        Ok(_) => None,
        Err(reason) => Some(Err(reason)),
    })
}

type Constant = (String, Result<Tensor, String>);

fn constant_at(
    bytes: &[u8],
    within: Range<usize>,
    blob: &Arc<Blob>,
) -> Result<Constant, &'static str> {
    let (mut dims, mut data_type) = (Vec::new(), 0);
    let (mut name, mut raw) = (String::new(), None);
    for field in Fields::new(bytes, within) {
        match field? {
            (DIMS, Field::Integer(dim)) => dims.push(dim),
            // Dimensions may be written one after the other in one field.
            (DIMS, Field::Bytes(packed)) => {
                dims = Fields::packed(bytes, packed).collect::<Result<_, _>>()?;
            }
            (DATA_TYPE, Field::Integer(number)) => data_type = number,
            (NAME, Field::Bytes(text)) => {
                let text = bytes.get(text).unwrap_or_default();
                name = String::from_utf8_lossy(text).into_owned();
            }
            (RAW_DATA, Field::Bytes(range)) => raw = Some(range),
            _ => {}
        }
    }
    Ok((name, place(dims, data_type, raw, blob)))
}

fn place(
    dims: Vec<u64>,
    data_type: u64,
    raw: Option<Range<usize>>,
    blob: &Arc<Blob>,
) -> Result<Tensor, String> {
    let raw = raw.filter(|_| data_type == FLOAT as u64);
    let raw = raw.ok_or("is not stored as raw f32")?;
    Tensor::new(blob, raw.start as u64, dims, Dtype::F32)
        .filter(|tensor| tensor.len() * Dtype::F32.bytes() == raw.len() as u64)
        .ok_or_else(|| "has not the numbers that its dimensions claim".to_owned())
}
