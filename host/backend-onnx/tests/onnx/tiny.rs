//! ONNX graphs of a few bytes, written field by field (numbers are those of onnx.proto).

use std::path::PathBuf;

use auricle_backend_onnx::{OnnxError, OnnxRuntime, OnnxSession, RunLimits};
use sha2::{Digest, Sha256};

/// `TensorProto.DataType`.
pub const FLOAT: u64 = 1;
pub const UINT8: u64 = 2;
pub const INT32: u64 = 6;
pub const INT64: u64 = 7;
pub const BOOL: u64 = 9;
pub const FLOAT16: u64 = 10;
pub const DOUBLE: u64 = 11;

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

pub fn integer(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

pub fn bytes(field: u64, value: impl AsRef<[u8]>) -> Vec<u8> {
    let value = value.as_ref();
    [
        varint(field << 3 | 2),
        varint(value.len() as u64),
        value.to_vec(),
    ]
    .concat()
}

pub fn node(kind: &str, inputs: &[&str], output: &str) -> Vec<u8> {
    let mut out: Vec<u8> = inputs.iter().flat_map(|input| bytes(1, input)).collect();
    out.extend(bytes(2, output));
    out.extend(bytes(4, kind));
    bytes(1, out)
}

/// An input (11) or output (12) with its dimensions; 0 is one that may vary.
pub fn port(field: u64, name: &str, element: u64, dims: &[u64]) -> Vec<u8> {
    let dims = dims.iter().flat_map(|&dim| match dim {
        0 => bytes(1, bytes(2, format!("any_{name}"))),
        size => bytes(1, integer(1, size)),
    });
    let shape: Vec<u8> = dims.collect();
    let tensor = [integer(1, element), bytes(2, shape)].concat();
    bytes(field, [bytes(1, name), bytes(2, bytes(1, tensor))].concat())
}

/// A constant of f32.
pub fn constant(name: &str, dims: &[u64], values: &[f32]) -> Vec<u8> {
    let mut out: Vec<u8> = dims.iter().flat_map(|&dim| integer(1, dim)).collect();
    out.extend(integer(2, FLOAT));
    out.extend(bytes(8, name));
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    out.extend(bytes(9, raw));
    bytes(5, out)
}

pub fn model(graph: &[Vec<u8>]) -> Vec<u8> {
    let graph = [bytes(2, "tiny"), graph.concat()].concat();
    let opset = bytes(8, integer(2, 13));
    [integer(1, 8), bytes(7, graph), opset].concat()
}

/// One output for each input, of each type that is served: floats and integers doubled, bytes as
/// they are.
pub fn every_type() -> Vec<u8> {
    let types = [
        ("f32", FLOAT, "Add"),
        ("f64", DOUBLE, "Add"),
        ("i32", INT32, "Add"),
        ("i64", INT64, "Add"),
        ("u8", UINT8, "Identity"),
    ];
    let mut graph = Vec::new();
    for (name, element, kind) in types {
        let inputs = if kind == "Add" {
            vec![name, name]
        } else {
            vec![name]
        };
        let output = format!("{name}_out");
        graph.push(node(kind, &inputs, &output));
        graph.push(port(11, name, element, &[2]));
        graph.push(port(12, &output, element, &[2]));
    }
    model(&graph)
}

/// `y = x W`, where x is [any, any] and W is [3, 2]: the engine itself finds a wrong x.
pub fn product() -> Vec<u8> {
    model(&[
        node("MatMul", &["x", "W"], "y"),
        constant("W", &[3, 2], &[1.0, 0.0, 0.0, 1.0, 1.0, 1.0]),
        port(11, "x", FLOAT, &[0, 0]),
        port(12, "y", FLOAT, &[0, 2]),
    ])
}

/// Zeros of whatever shape is asked for.
pub fn zeros() -> Vec<u8> {
    model(&[
        node("ConstantOfShape", &["shape"], "y"),
        port(11, "shape", INT64, &[2]),
        port(12, "y", FLOAT, &[0, 0]),
    ])
}

/// A graph that passes on one input of a type.
pub fn identity(element: u64) -> Vec<u8> {
    model(&[
        node("Identity", &["x"], "y"),
        port(11, "x", element, &[2]),
        port(12, "y", element, &[2]),
    ])
}

/// A graph whose only constant lies in another file.
pub fn external(file: &str) -> Vec<u8> {
    let entry = |key: &str, value: &str| bytes(13, [bytes(1, key), bytes(2, value)].concat());
    let tensor = [
        integer(1, 2),
        integer(2, FLOAT),
        bytes(8, "W"),
        entry("location", file),
        entry("offset", "0"),
        entry("length", "8"),
        integer(14, 1),
    ]
    .concat();
    model(&[
        node("Add", &["x", "W"], "y"),
        bytes(5, tensor),
        port(11, "x", FLOAT, &[2]),
        port(12, "y", FLOAT, &[2]),
    ])
}

pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// A graph in a file of its own directory.
pub struct File {
    pub dir: tempfile::TempDir,
    pub path: PathBuf,
    pub sha256: String,
}

impl File {
    pub fn new(bytes: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tiny.onnx");
        std::fs::write(&path, bytes).unwrap();
        Self {
            path,
            dir,
            sha256: sha256(bytes),
        }
    }

    pub fn load(&self, runtime: &OnnxRuntime) -> Result<OnnxSession, OnnxError> {
        OnnxSession::load(runtime, &self.path, &self.sha256, RunLimits::default())
    }
}
