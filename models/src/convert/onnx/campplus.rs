//! CAM++ as 3D-Speaker has it: a head of two-dimensional convolutions, three blocks of densely
//! connected time-delay layers with context-aware masks, and statistics over time.
//!
//! The network ends with a batch normalisation without weights (3D-Speaker's `batchnorm_`), and no
//! ReLU after it: one copy of the code that adds it tells voices apart visibly worse.

use std::path::Path;

use super::super::ConvertError;
use super::graph::Attribute::{Float, Int, Ints};
use super::graph::{Attribute, Dim, FLOAT, Graph, Model, Value};
use super::weights::Weights;

const FORMAT: &str = "3D-Speaker CAM++ checkpoint";

/// Channels of the head.
const HEAD: u64 = 32;

/// What a dense layer adds to the channels.
const GROWTH: u64 = 32;

/// Channels inside a dense layer.
const BOTTLENECK: u64 = 128;

const EMBEDDING: u64 = 192;

/// A batch normalisation's guard against division by 0, torch's default.
const EPSILON: [(&str, Attribute<'static>); 1] = [("epsilon", Float(1e-5))];

/// The mean over frames.
const TIME_MEAN: [(&str, Attribute<'static>); 2] = [("axes", Ints(&[2])), ("keepdims", Int(1))];

/// Layers and dilation of the blocks.
const BLOCKS: [(u64, i64); 3] = [(12, 1), (24, 2), (16, 2)];

pub(super) fn model(checkpoint: &Path) -> Result<Model, ConvertError> {
    let mut builder = Builder {
        graph: Graph::default(),
        weights: Weights::of_checkpoint(checkpoint, FORMAT)?,
    };
    let x = builder.head()?;
    let (x, frames) = builder.blocks(&x)?;
    builder.statistics(&x, &frames)?;
    builder.weights.finish()?;
    Ok(Model {
        graph: builder.graph,
        name: "campplus",
        // Part of the bytes whose digest is pinned.
        producer: "export_campplus.py",
        inputs: vec![("x", vec![Dim::Free("N"), Dim::Free("T"), Dim::Fixed(80)])],
        outputs: vec![(
            "embedding",
            vec![Dim::Free("N"), Dim::Fixed(EMBEDDING as u32)],
        )],
        properties: vec![
            ("framework", "3d-speaker"),
            ("language", "Chinese-English"),
            ("sample_rate", "16000"),
            ("feature_normalize_type", "global-mean"),
            ("normalize_samples", "1"),
            ("output_dim", "192"),
            ("comment", "speech_campplus_sv_zh_en_16k-common_advanced"),
            ("license", "Apache-2.0"),
        ],
    })
}

struct Builder {
    graph: Graph,
    weights: Weights,
}

impl Builder {
    /// Features [N, T, 80] to [N, 320, T]; only the frequencies become fewer.
    fn head(&mut self) -> Result<Value, ConvertError> {
        let perm = [("perm", Ints(&[0, 2, 1]))];
        let x = self.graph.node("Transpose", &["x"], &perm);
        let axis = self.graph.integers(&[1]);
        let x = self.graph.node("Unsqueeze", &[&x, &axis], &[]);
        let x = self.square(&x, "head.conv1", 1, None)?;
        let mut x = self.norm(&x, "head.bn1", HEAD, true)?;
        for layer in [1, 2] {
            for block in [0, 1] {
                x = self.residual(&x, &format!("head.layer{layer}.{block}"), block == 0)?;
            }
        }
        let x = self.square(&x, "head.conv2", HEAD, Some(2))?;
        let x = self.norm(&x, "head.bn2", HEAD, true)?;
        // [N, 32, 10, T] to [N, 320, T].
        let shape = self.graph.integers(&[0, 320, -1]);
        Ok(self.graph.node("Reshape", &[&x, &shape], &[]))
    }

    /// Two convolutions beside a shortcut; the first halves the frequencies when `halve` is set.
    fn residual(&mut self, x: &str, name: &str, halve: bool) -> Result<Value, ConvertError> {
        let stride = if halve { 2 } else { 1 };
        let y = self.square(x, &format!("{name}.conv1"), HEAD, Some(stride))?;
        let y = self.norm(&y, &format!("{name}.bn1"), HEAD, true)?;
        let y = self.square(&y, &format!("{name}.conv2"), HEAD, None)?;
        let y = self.norm(&y, &format!("{name}.bn2"), HEAD, false)?;
        let mut x = x.to_owned();
        let shortcut = format!("{name}.shortcut.0");
        if self.weights.has(&format!("{shortcut}.weight")) {
            let strides = [stride, 1];
            let attributes = [("kernel_shape", Ints(&[1, 1])), ("strides", Ints(&strides))];
            x = self.conv(&x, &shortcut, &[HEAD, HEAD, 1, 1], &attributes)?;
            x = self.norm(&x, &format!("{name}.shortcut.1"), HEAD, false)?;
        }
        let sum = self.graph.node("Add", &[&y, &x], &[]);
        Ok(self.graph.node("Relu", &[&sum], &[]))
    }

    /// The dense blocks: [N, 320, T] to [N, 512, T / 2], and a value that counts those frames.
    fn blocks(&mut self, x: &str) -> Result<(Value, Value), ConvertError> {
        let mut channels = 128;
        let attributes = [
            ("kernel_shape", Ints(&[5])),
            ("pads", Ints(&[2, 2])),
            ("strides", Ints(&[2])),
        ];
        let x = self.conv(x, "xvector.tdnn.linear", &[channels, 320, 5], &attributes)?;
        let name = "xvector.tdnn.nonlinear.batchnorm";
        let mut x = self.norm(&x, name, channels, true)?;
        let shape = self.graph.node("Shape", &[&x], &[]);
        let (two, three) = (self.graph.integers(&[2]), self.graph.integers(&[3]));
        let frames = self.graph.node("Slice", &[&shape, &two, &three], &[]);
        for (block, (layers, dilation)) in (1..).zip(BLOCKS) {
            for layer in 1..=layers {
                let name = format!("xvector.block{block}.tdnnd{layer}");
                let y = self.norm(&x, &format!("{name}.nonlinear1.batchnorm"), channels, true)?;
                let y = self.point(&y, &format!("{name}.linear1"), BOTTLENECK, channels)?;
                let name2 = format!("{name}.nonlinear2.batchnorm");
                let y = self.norm(&y, &name2, BOTTLENECK, true)?;
                let y = self.masked(&y, &format!("{name}.cam_layer"), dilation, &frames)?;
                x = self.graph.node("Concat", &[&x, &y], &[("axis", Int(1))]);
                channels += GROWTH;
            }
            let name = format!("xvector.transit{block}");
            let y = self.norm(&x, &format!("{name}.nonlinear.batchnorm"), channels, true)?;
            x = self.point(&y, &format!("{name}.linear"), channels / 2, channels)?;
            channels /= 2;
        }
        let x = self.norm(&x, "xvector.out_nonlinear.batchnorm", channels, true)?;
        Ok((x, frames))
    }

    /// A convolution under a mask that knows the whole sound and the 100 frames around.
    fn masked(
        &mut self,
        x: &str,
        name: &str,
        dilation: i64,
        frames: &str,
    ) -> Result<Value, ConvertError> {
        let (dilations, pads) = ([dilation], [dilation, dilation]);
        let attributes = [
            ("dilations", Ints(&dilations)),
            ("kernel_shape", Ints(&[3])),
            ("pads", Ints(&pads)),
        ];
        let dims = [GROWTH, BOTTLENECK, 3];
        let y = self.conv(x, &format!("{name}.linear_local"), &dims, &attributes)?;
        // The mean of each 100 frames, the last of what is left, repeated back to all frames.
        let attributes = [
            ("ceil_mode", Int(1)),
            ("count_include_pad", Int(0)),
            ("kernel_shape", Ints(&[100])),
            ("strides", Ints(&[100])),
        ];
        let graph = &mut self.graph;
        let near = graph.node("AveragePool", &[x], &attributes);
        let axis = graph.integers(&[3]);
        let near = graph.node("Unsqueeze", &[&near, &axis], &[]);
        let repeats = graph.integers(&[1, 1, 1, 100]);
        let near = graph.node("Expand", &[&near, &repeats], &[]);
        let flat = graph.integers(&[0, 0, -1]);
        let near = graph.node("Reshape", &[&near, &flat], &[]);
        let (start, axis) = (graph.integers(&[0]), graph.integers(&[2]));
        let near = graph.node("Slice", &[&near, &start, frames, &axis], &[]);
        let whole = graph.node("ReduceMean", &[x], &TIME_MEAN);
        let context = graph.node("Add", &[&whole, &near], &[]);
        let context = self.point(&context, &format!("{name}.linear1"), 64, BOTTLENECK)?;
        let context = self.graph.node("Relu", &[&context], &[]);
        let mask = self.point(&context, &format!("{name}.linear2"), GROWTH, 64)?;
        let mask = self.graph.node("Sigmoid", &[&mask], &[]);
        Ok(self.graph.node("Mul", &[&y, &mask], &[]))
    }

    /// Mean and unbiased deviation over time, and the embedding of them: the graph's output.
    fn statistics(&mut self, x: &str, frames: &str) -> Result<(), ConvertError> {
        let graph = &mut self.graph;
        let mean = graph.node("ReduceMean", &[x], &TIME_MEAN);
        let difference = graph.node("Sub", &[x, &mean], &[]);
        let square = graph.node("Mul", &[&difference, &difference], &[]);
        let axis = graph.integers(&[2]);
        let sum = graph.node("ReduceSum", &[&square, &axis], &[("keepdims", Int(1))]);
        let count = graph.node("Cast", &[frames], &[("to", Int(FLOAT))]);
        let one = graph.floats("one", &[1], &[1.0]);
        let count = graph.node("Sub", &[&count, &one], &[]);
        let count = graph.node("Max", &[&count, &one], &[]);
        let variance = graph.node("Div", &[&sum, &count], &[]);
        let deviation = graph.node("Sqrt", &[&variance], &[]);
        let x = graph.node("Concat", &[&mean, &deviation], &[("axis", Int(1))]);
        let x = self.point(&x, "xvector.dense.linear", EMBEDDING, 1024)?;
        let x = self.graph.node("Flatten", &[&x], &[("axis", Int(1))]);
        let name = "xvector.dense.nonlinear.batchnorm";
        let inputs = self.norm_inputs(&x, name, EMBEDDING)?;
        let inputs: Vec<_> = inputs.iter().map(String::as_str).collect();
        let kind = "BatchNormalization";
        self.graph.node_to(kind, &inputs, &EPSILON, &["embedding"]);
        Ok(())
    }

    /// A 3 by 3 convolution to [`HEAD`] channels; `stride` along the frequencies.
    fn square(
        &mut self,
        x: &str,
        name: &str,
        inputs: u64,
        stride: Option<i64>,
    ) -> Result<Value, ConvertError> {
        let mut attributes = vec![
            ("kernel_shape", Ints(&[3, 3])),
            ("pads", Ints(&[1, 1, 1, 1])),
        ];
        let strides = [stride.unwrap_or(1), 1];
        if stride.is_some() {
            attributes.push(("strides", Ints(&strides)));
        }
        self.conv(x, name, &[HEAD, inputs, 3, 3], &attributes)
    }

    /// A convolution over single frames.
    fn point(
        &mut self,
        x: &str,
        name: &str,
        outputs: u64,
        inputs: u64,
    ) -> Result<Value, ConvertError> {
        let attributes = [("kernel_shape", Ints(&[1]))];
        self.conv(x, name, &[outputs, inputs, 1], &attributes)
    }

    /// A convolution, with a bias if the checkpoint has one. Attributes are in alphabetical order.
    fn conv(
        &mut self,
        x: &str,
        name: &str,
        dims: &[u64],
        attributes: &[(&str, Attribute<'_>)],
    ) -> Result<Value, ConvertError> {
        let weight = self.constant(&format!("{name}.weight"), dims)?;
        let bias = format!("{name}.bias");
        if self.weights.has(&bias) {
            let bias = self.constant(&bias, dims.get(..1).unwrap_or_default())?;
            return Ok(self.graph.node("Conv", &[x, &weight, &bias], attributes));
        }
        Ok(self.graph.node("Conv", &[x, &weight], attributes))
    }

    /// A batch normalisation, and a ReLU after it when `relu` is set.
    fn norm(
        &mut self,
        x: &str,
        name: &str,
        channels: u64,
        relu: bool,
    ) -> Result<Value, ConvertError> {
        let inputs = self.norm_inputs(x, name, channels)?;
        let inputs: Vec<_> = inputs.iter().map(String::as_str).collect();
        let x = self.graph.node("BatchNormalization", &inputs, &EPSILON);
        Ok(if relu {
            self.graph.node("Relu", &[&x], &[])
        } else {
            x
        })
    }

    /// One without weights of its own scales by 1 and adds 0.
    fn norm_inputs(
        &mut self,
        x: &str,
        name: &str,
        channels: u64,
    ) -> Result<[Value; 5], ConvertError> {
        let dims = [channels];
        let mut own = |kind: &str, default: f32, word: &str| {
            let key = format!("{name}.{kind}");
            if self.weights.has(&key) {
                return self.constant(&key, &dims);
            }
            let values = vec![default; channels as usize];
            Ok(self
                .graph
                .floats(&format!("{word}{channels}"), &dims, &values))
        };
        let scale = own("weight", 1.0, "ones")?;
        let shift = own("bias", 0.0, "zeros")?;
        Ok([
            x.to_owned(),
            scale,
            shift,
            self.constant(&format!("{name}.running_mean"), &dims)?,
            self.constant(&format!("{name}.running_var"), &dims)?,
        ])
    }

    fn constant(&mut self, name: &str, dims: &[u64]) -> Result<Value, ConvertError> {
        let array = self.weights.read(name, dims)?;
        Ok(self.graph.floats(name, &array.dims, &array.values))
    }
}
