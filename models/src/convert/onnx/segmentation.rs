//! PyanNet as pyannote's segmentation 3.0 has it: band-pass filters, two convolutions, four
//! bidirectional LSTM layers, two linear layers and a classifier.

use std::path::Path;

use super::super::ConvertError;
use super::graph::Attribute::{Float, Int, Ints, Text};
use super::graph::{Dim, Graph, Model, Value};
use super::weights::{Array, Weights};

const FORMAT: &str = "pyannote segmentation 3.0 checkpoint";

/// Band-pass filters; each is there as a cosine and as a sine.
const FILTERS: usize = 40;

/// Taps of a filter on one side of its centre; 251 in all.
const HALF_TAPS: usize = 125;

/// Lowest frequency and narrowest band of a filter (asteroid_filterbanks' `ParamSincFB`).
const MIN_LOW_HZ: f64 = 50.0;
const MIN_BAND_HZ: f64 = 50.0;

const NYQUIST_HZ: f64 = 8000.0;

/// Numbers of an LSTM's state.
const HIDDEN: u64 = 128;

const LSTM_LAYERS: u64 = 4;

const CLASSES: u64 = 7;

pub(super) fn model(checkpoint: &Path) -> Result<Model, ConvertError> {
    let mut builder = Builder {
        graph: Graph::default(),
        weights: Weights::of_checkpoint(checkpoint, FORMAT)?,
    };
    let x = builder.convolutions()?;
    let x = builder.recurrent(x)?;
    builder.classifier(x)?;
    builder.weights.finish()?;
    Ok(Model {
        graph: builder.graph,
        name: "pyannote-segmentation-3.0",
        // Part of the bytes whose digest is pinned.
        producer: "export_segmentation.py",
        inputs: vec![("x", vec![Dim::Free("N"), Dim::Fixed(1), Dim::Free("T")])],
        outputs: vec![(
            "y",
            vec![Dim::Free("N"), Dim::Free("F"), Dim::Fixed(CLASSES as u32)],
        )],
        properties: vec![
            ("model_type", "pyannote-segmentation-3.0"),
            ("sample_rate", "16000"),
            ("window_size", "160000"),
            ("num_speakers", "3"),
            ("powerset_max_classes", "2"),
            ("num_classes", "7"),
            ("receptive_field_size", "991"),
            ("receptive_field_shift", "270"),
            ("license", "MIT (c) 2020 CNRS"),
        ],
    })
}

struct Builder {
    graph: Graph,
    weights: Weights,
}

impl Builder {
    /// Samples [N, 1, T] to features [N, 60, F].
    fn convolutions(&mut self) -> Result<Value, ConvertError> {
        let mut x = self.normalise("x", "sincnet.wav_norm1d", 1)?;
        for (layer, channels) in [(0, 80), (1, 60), (2, 60)] {
            if layer == 0 {
                let (dims, filters) = sinc_filters(&mut self.weights)?;
                let filters = self
                    .graph
                    .floats("sincnet.conv1d.0.filters", &dims, &filters);
                let shape = [("kernel_shape", Ints(&[251])), ("strides", Ints(&[10]))];
                x = self.graph.node("Conv", &[&x, &filters], &shape);
                x = self.graph.node("Abs", &[&x], &[]);
            } else {
                let name = format!("sincnet.conv1d.{layer}");
                let inputs = if layer == 1 { 80 } else { 60 };
                let weight = self.constant(&format!("{name}.weight"), &[channels, inputs, 5])?;
                let bias = self.constant(&format!("{name}.bias"), &[channels])?;
                let shape = [("kernel_shape", Ints(&[5]))];
                x = self.graph.node("Conv", &[&x, &weight, &bias], &shape);
            }
            let shape = [("kernel_shape", Ints(&[3])), ("strides", Ints(&[3]))];
            x = self.graph.node("MaxPool", &[&x], &shape);
            x = self.normalise(&x, &format!("sincnet.norm1d.{layer}"), channels)?;
            x = self.leaky_relu(&x);
        }
        Ok(x)
    }

    /// Features [N, 60, F] to [N, F, 256].
    fn recurrent(&mut self, x: Value) -> Result<Value, ConvertError> {
        let mut x = self
            .graph
            .node("Transpose", &[&x], &[("perm", Ints(&[2, 0, 1]))]);
        let flat = self.graph.named_integers("lstm.flat", &[0, 0, -1]);
        for layer in 0..LSTM_LAYERS {
            let inputs = if layer == 0 { 60 } else { 2 * HIDDEN };
            let [w, r, b] = self.lstm_weights(layer, inputs)?;
            let attributes = [
                ("direction", Text("bidirectional")),
                ("hidden_size", Int(HIDDEN as i64)),
            ];
            let y = self.graph.node("LSTM", &[&x, &w, &r, &b], &attributes);
            // [F, directions, N, H] to [F, N, directions * H].
            let perm = [("perm", Ints(&[0, 2, 1, 3]))];
            let y = self.graph.node("Transpose", &[&y], &perm);
            x = self.graph.node("Reshape", &[&y, &flat], &[]);
        }
        let perm = [("perm", Ints(&[1, 0, 2]))];
        Ok(self.graph.node("Transpose", &[&x], &perm))
    }

    /// The constants W, R and B of one layer: both directions, gates in ONNX's order.
    fn lstm_weights(&mut self, layer: u64, inputs: u64) -> Result<[Value; 3], ConvertError> {
        let gates = 4 * HIDDEN;
        let (mut w, mut r, mut b) = (Vec::new(), Vec::new(), Vec::new());
        for direction in ["", "_reverse"] {
            let mut read = |kind: &str, dims: &[u64]| {
                let name = format!("lstm.{kind}_l{layer}{direction}");
                Ok::<_, ConvertError>(reorder_gates(&self.weights.read(&name, dims)?))
            };
            w.extend(read("weight_ih", &[gates, inputs])?);
            r.extend(read("weight_hh", &[gates, HIDDEN])?);
            b.extend(read("bias_ih", &[gates])?);
            b.extend(read("bias_hh", &[gates])?);
        }
        let graph = &mut self.graph;
        Ok([
            graph.floats(&format!("lstm.W{layer}"), &[2, gates, inputs], &w),
            graph.floats(&format!("lstm.R{layer}"), &[2, gates, HIDDEN], &r),
            graph.floats(&format!("lstm.B{layer}"), &[2, 2 * gates], &b),
        ])
    }

    /// Features [N, F, 256] to log-probabilities, the graph's output.
    fn classifier(&mut self, mut x: Value) -> Result<(), ConvertError> {
        for (name, outputs, inputs) in [
            ("linear.0", HIDDEN, 2 * HIDDEN),
            ("linear.1", HIDDEN, HIDDEN),
            ("classifier", CLASSES, HIDDEN),
        ] {
            let key = format!("{name}.weight");
            let weight = self.weights.read(&key, &[outputs, inputs])?;
            let weight = transpose(&weight.values, inputs as usize);
            let weight = self.graph.floats(&key, &[inputs, outputs], &weight);
            let y = self.graph.node("MatMul", &[&x, &weight], &[]);
            let bias = self.constant(&format!("{name}.bias"), &[outputs])?;
            x = self.graph.node("Add", &[&y, &bias], &[]);
            if name != "classifier" {
                x = self.leaky_relu(&x);
            }
        }
        let axis = [("axis", Int(-1))];
        self.graph.node_to("LogSoftmax", &[&x], &axis, &["y"]);
        Ok(())
    }

    fn normalise(&mut self, x: &str, name: &str, channels: u64) -> Result<Value, ConvertError> {
        let weight = self.constant(&format!("{name}.weight"), &[channels])?;
        let bias = self.constant(&format!("{name}.bias"), &[channels])?;
        let epsilon = [("epsilon", Float(1e-5))];
        let inputs = [x, weight.as_str(), bias.as_str()];
        Ok(self.graph.node("InstanceNormalization", &inputs, &epsilon))
    }

    fn leaky_relu(&mut self, x: &str) -> Value {
        self.graph
            .node("LeakyRelu", &[x], &[("alpha", Float(0.01))])
    }

    fn constant(&mut self, name: &str, dims: &[u64]) -> Result<Value, ConvertError> {
        let array = self.weights.read(name, dims)?;
        Ok(self.graph.floats(name, &array.dims, &array.values))
    }
}

/// Torch stacks an LSTM's gates as input, forget, cell, output; ONNX as input, output, forget,
/// cell.
fn reorder_gates(array: &Array) -> Vec<f32> {
    let gate = array.values.len() / 4;
    let gates: Vec<_> = array.values.chunks(gate.max(1)).collect();
    [0, 3, 1, 2]
        .iter()
        .filter_map(|&gate| gates.get(gate))
        .flat_map(|gate| gate.iter().copied())
        .collect()
}

/// Rows of `columns` numbers to columns.
fn transpose(values: &[f32], columns: usize) -> Vec<f32> {
    (0..columns)
        .flat_map(|column| values.iter().skip(column).step_by(columns).copied())
        .collect()
}

/// The filters that the two learnt frequencies of each stand for: 40 cosines, then 40 sines, of
/// 251 taps, each divided by twice its band.
fn sinc_filters(weights: &mut Weights) -> Result<([u64; 3], Vec<f32>), ConvertError> {
    let mut read = |name: &str, dims: &[u64]| {
        let array = weights.read(&format!("sincnet.conv1d.0.filterbank.{name}"), dims)?;
        Ok::<_, ConvertError>(array.values.into_iter().map(f64::from))
    };
    let low_hz = read("low_hz_", &[FILTERS as u64, 1])?;
    let band_hz = read("band_hz_", &[FILTERS as u64, 1])?;
    let window: Vec<f64> = read("window_", &[HALF_TAPS as u64])?.collect();
    let times: Vec<f64> = read("n_", &[1, HALF_TAPS as u64])?.collect();
    let (mut cosines, mut sines) = (Vec::new(), Vec::new());
    for (low, band) in low_hz.zip(band_hz) {
        let low = MIN_LOW_HZ + low.abs();
        let high = (low + MIN_BAND_HZ + band.abs()).clamp(MIN_LOW_HZ, NYQUIST_HZ);
        let band = high - low;
        let taps = |tap: fn(f64, f64) -> f64| -> Vec<f64> {
            let pairs = times.iter().zip(&window);
            pairs
                .map(|(&n, &window)| tap(low * n, high * n) / (n / 2.0) * window)
                .collect()
        };
        let scaled = |tap: f64| (tap / (2.0 * band)) as f32;
        let left = taps(|low, high| high.sin() - low.sin());
        cosines.extend(left.iter().map(|&tap| scaled(tap)));
        cosines.push(scaled(2.0 * band));
        cosines.extend(left.iter().rev().map(|&tap| scaled(tap)));
        let left = taps(|low, high| low.cos() - high.cos());
        sines.extend(left.iter().map(|&tap| scaled(tap)));
        sines.push(0.0);
        sines.extend(left.iter().rev().map(|&tap| scaled(-tap)));
    }
    cosines.append(&mut sines);
    Ok(([2 * FILTERS as u64, 1, 2 * HALF_TAPS as u64 + 1], cosines))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_are_put_into_the_order_of_onnx() {
        let array = Array {
            dims: vec![8],
            values: vec![1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5],
        };
        let reordered = reorder_gates(&array);
        assert_eq!(reordered, [1.0, 1.5, 4.0, 4.5, 2.0, 2.5, 3.0, 3.5]);
    }

    #[test]
    fn a_transposed_matrix_has_its_rows_as_columns() {
        let transposed = transpose(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3);
        assert_eq!(transposed, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    }
}
