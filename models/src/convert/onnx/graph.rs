//! An ONNX graph under construction: nodes in the order they run in, and their constants.
//!
//! Values between nodes are called `t1`, `t2` and so on. Numbers behind field names are those of
//! onnx.proto.

use std::collections::HashSet;

use super::proto::Message;

/// `TensorProto.DataType`.
pub(super) const FLOAT: i64 = 1;
const INT64: i64 = 7;

/// `ModelProto.ir_version` of ONNX 1.10, which opset 13 needs at least and every current runtime
/// reads.
const IR_VERSION: i64 = 8;

const OPSET: i64 = 13;

/// What a node is told beside its inputs.
#[derive(Clone, Copy)]
pub(super) enum Attribute<'a> {
    Int(i64),
    Ints(&'a [i64]),
    Float(f32),
    Text(&'a str),
}

/// A dimension of the graph's input or output.
#[derive(Clone, Copy)]
pub(super) enum Dim {
    Fixed(u32),
    Free(&'static str),
}

/// An input or output of the graph, which is f32: its name and dimensions.
pub(super) type Port = (&'static str, Vec<Dim>);

/// The name of a value within the graph.
pub(super) type Value = String;

#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: Vec<Message>,
    constants: Vec<Message>,
    names: HashSet<String>,
}

impl Graph {
    /// A constant of f32; one with that name already is the same one.
    pub(super) fn floats(&mut self, name: &str, dims: &[u64], values: &[f32]) -> Value {
        let raw = values.iter().flat_map(|value| value.to_le_bytes());
        self.constant(name, FLOAT, dims, raw.collect())
    }

    /// A list of i64, named after its numbers unless it is given a name.
    pub(super) fn integers(&mut self, values: &[i64]) -> Value {
        let numbers: Vec<_> = values.iter().map(i64::to_string).collect();
        let name = format!("i64_{}", numbers.join("_").replace('-', "m"));
        self.named_integers(&name, values)
    }

    pub(super) fn named_integers(&mut self, name: &str, values: &[i64]) -> Value {
        let raw = values.iter().flat_map(|value| value.to_le_bytes());
        self.constant(name, INT64, &[values.len() as u64], raw.collect())
    }

    /// Adds a node of one output and gives that output's name.
    pub(super) fn node(
        &mut self,
        kind: &str,
        inputs: &[&str],
        attributes: &[(&str, Attribute<'_>)],
    ) -> Value {
        let output = format!("t{}", self.nodes.len() + 1);
        self.node_to(kind, inputs, attributes, &[&output]);
        output
    }

    /// As [`Graph::node`], with names for one or more outputs.
    pub(super) fn node_to(
        &mut self,
        kind: &str,
        inputs: &[&str],
        attributes: &[(&str, Attribute<'_>)],
        outputs: &[&str],
    ) {
        let mut node = Message::default();
        for input in inputs {
            node.text(1, input);
        }
        for output in outputs {
            node.text(2, output);
        }
        node.text(3, &format!("{kind}_{}", self.nodes.len() + 1))
            .text(4, kind);
        for (name, attribute) in attributes {
            node.message(5, &encode(name, *attribute));
        }
        self.nodes.push(node);
    }

    fn constant(&mut self, name: &str, data_type: i64, dims: &[u64], raw: Vec<u8>) -> Value {
        if self.names.insert(name.to_owned()) {
            let mut tensor = Message::default();
            for &dim in dims {
                tensor.integer(1, dim as i64);
            }
            tensor.integer(2, data_type).text(8, name).bytes(9, &raw);
            self.constants.push(tensor);
        }
        name.to_owned()
    }
}

/// `AttributeProto`: name = 1, f = 2, i = 3, s = 4, ints = 8, type = 20.
fn encode(name: &str, attribute: Attribute<'_>) -> Message {
    let mut out = Message::default();
    out.text(1, name);
    match attribute {
        Attribute::Float(value) => out.float(2, value).integer(20, 1),
        Attribute::Int(value) => out.integer(3, value).integer(20, 2),
        Attribute::Text(value) => out.text(4, value).integer(20, 3),
        Attribute::Ints(values) => {
            for &value in values {
                out.integer(8, value);
            }
            out.integer(20, 7)
        }
    };
    out
}

/// A graph with what is around it in the file.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) graph: Graph,
    pub(super) name: &'static str,
    pub(super) producer: &'static str,
    pub(super) inputs: Vec<Port>,
    pub(super) outputs: Vec<Port>,
    /// What a reader of the file may want to know.
    pub(super) properties: Vec<(&'static str, &'static str)>,
}

impl std::fmt::Debug for Dim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fixed(size) => write!(f, "{size}"),
            Self::Free(name) => f.write_str(name),
        }
    }
}

impl Model {
    /// The bytes of the file.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut graph = Message::default();
        for node in &self.graph.nodes {
            graph.message(1, node);
        }
        graph.text(2, self.name);
        for constant in &self.graph.constants {
            graph.message(5, constant);
        }
        for (name, dims) in &self.inputs {
            graph.message(11, &port(name, dims));
        }
        for (name, dims) in &self.outputs {
            graph.message(12, &port(name, dims));
        }
        let mut opset = Message::default();
        opset.text(1, "").integer(2, OPSET);
        let mut model = Message::default();
        model
            .integer(1, IR_VERSION)
            .text(2, self.producer)
            .message(7, &graph)
            .message(8, &opset);
        for (key, value) in &self.properties {
            let mut property = Message::default();
            property.text(1, key).text(2, value);
            model.message(14, &property);
        }
        model.into_bytes()
    }
}

/// `ValueInfoProto` of a tensor of f32.
fn port(name: &str, dims: &[Dim]) -> Message {
    let mut shape = Message::default();
    for dim in dims {
        let mut out = Message::default();
        match dim {
            Dim::Fixed(size) => out.integer(1, i64::from(*size)),
            Dim::Free(name) => out.text(2, name),
        };
        shape.message(1, &out);
    }
    let mut tensor = Message::default();
    tensor.integer(1, FLOAT).message(2, &shape);
    let mut kind = Message::default();
    kind.message(1, &tensor);
    let mut port = Message::default();
    port.text(1, name).message(2, &kind);
    port
}
