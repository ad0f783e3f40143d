//! ONNX graphs of a few bytes, written field by field (numbers are those of onnx.proto).

use std::path::PathBuf;

use sha2::{Digest, Sha256};

use crate::support::program::scratch;

/// `TensorProto.DataType.FLOAT`.
const FLOAT: u64 = 1;

/// A graph as a file, and its digest.
pub struct File {
    pub path: PathBuf,
    pub sha256: String,
}

impl File {
    pub fn new(name: &str, model: &[u8]) -> Self {
        let dir = scratch().join("graphs");
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join(format!("{name}.onnx"));
        std::fs::write(&path, model).unwrap();
        Self {
            path,
            sha256: hex::encode(Sha256::digest(model)),
        }
    }

    /// The line of `[models.graphs]`.
    pub fn line(&self, name: &str) -> String {
        let (path, sha256) = (self.path.display(), &self.sha256);
        format!("{name} = {{ path = '{path}', sha256 = '{sha256}' }}\n")
    }
}

/// `y = x W + b` with `x` [any, rows of W] and `y` [any, columns of W], all f32.
pub fn linear(weights: &[&[f32]], bias: &[f32]) -> Vec<u8> {
    let (rows, columns) = (weights.len() as u64, bias.len() as u64);
    let graph = [
        bytes(2, "linear"),
        node("MatMul", &["x", "W"], "product"),
        node("Add", &["product", "b"], "y"),
        constant("W", &[rows, columns], &weights.concat()),
        constant("b", &[columns], bias),
        port(11, "x", rows),
        port(12, "y", columns),
    ];
    let opset = bytes(8, integer(2, 13));
    [integer(1, 8), bytes(7, graph.concat()), opset].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

fn integer(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

fn bytes(field: u64, value: impl AsRef<[u8]>) -> Vec<u8> {
    let value = value.as_ref();
    let head = [varint(field << 3 | 2), varint(value.len() as u64)].concat();
    [head, value.to_vec()].concat()
}

fn node(kind: &str, inputs: &[&str], output: &str) -> Vec<u8> {
    let mut out: Vec<u8> = inputs.iter().flat_map(|input| bytes(1, input)).collect();
    out.extend(bytes(2, output));
    out.extend(bytes(4, kind));
    bytes(1, out)
}

/// An input (11) or output (12) of f32, [any, columns].
fn port(field: u64, name: &str, columns: u64) -> Vec<u8> {
    let any = bytes(1, bytes(2, "any"));
    let shape = [any, bytes(1, integer(1, columns))].concat();
    let tensor = [integer(1, FLOAT), bytes(2, shape)].concat();
    bytes(field, [bytes(1, name), bytes(2, bytes(1, tensor))].concat())
}

fn constant(name: &str, dims: &[u64], values: &[f32]) -> Vec<u8> {
    let mut out: Vec<u8> = dims.iter().flat_map(|&dim| integer(1, dim)).collect();
    out.extend(integer(2, FLOAT));
    out.extend(bytes(8, name));
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    out.extend(bytes(9, raw));
    bytes(5, out)
}
