//! Silero VAD 6.2 at 16 kHz for many frames at once, its convolutions written as matrix products.
//!
//! The network looks at each frame of 576 samples through four windows and folds those four positions
//! into one within four small convolutions. ONNX Runtime computes a convolution frame by frame, and
//! with four positions or fewer that costs three times the multiplications themselves. Here the frames
//! of one position lie under each other, so that every layer is a few products of tall matrices; what
//! a convolution would multiply with its padding is left out. Only the LSTM goes from frame to frame.
//!
//! Inputs, outputs and weights are those of the authors' own `silero_vad_16k_sequence.onnx`.

use std::ops::Range;
use std::path::Path;

use super::super::ConvertError;
use super::graph::Attribute::{Int, Text};
use super::graph::{Dim, Graph, Model, Value};
use super::weights::Weights;

const FORMAT: &str = "Silero VAD graph";

/// Samples of a frame with those before it that the model reads.
const STEP: u32 = 576;

/// Samples that are mirrored at a frame's end, for the last window.
const MIRRORED: i64 = 64;

/// Samples of a window and from one to the next.
const WINDOW: i64 = 256;
const HOP: i64 = 128;

/// Windows of a frame.
const POSITIONS: [&str; 4] = ["position_0", "position_1", "position_2", "position_3"];

/// Frequencies of a window's spectrum.
const BINS: i64 = 129;

/// Numbers of the LSTM's state.
const HIDDEN: u64 = 128;

/// Taps of a convolution.
const TAPS: usize = 3;

/// A convolution over positions, with a ReLU after it.
struct Layer {
    name: &'static str,
    outputs: u64,
    channels: u64,
}

const LAYERS: [Layer; 4] = [
    layer("encoder.0", 128, BINS as u64),
    layer("encoder.1", 64, 128),
    layer("encoder.2", 64, 64),
    layer("encoder.3", HIDDEN, 64),
];

const fn layer(name: &'static str, outputs: u64, channels: u64) -> Layer {
    Layer {
        name,
        outputs,
        channels,
    }
}

pub(super) fn model(graph: &Path) -> Result<Model, ConvertError> {
    let mut builder = Builder {
        graph: Graph::default(),
        weights: Weights::of_graph(graph, FORMAT)?,
    };
    builder.spectra()?;
    let x = builder.encoder()?;
    builder.recurrent(&x)?;
    builder.weights.finish()?;
    let state = || vec![Dim::Fixed(1), Dim::Fixed(1), Dim::Fixed(HIDDEN as u32)];
    Ok(Model {
        graph: builder.graph,
        name: "silero-vad-16k",
        producer: "auricle",
        inputs: vec![
            ("input", vec![Dim::Free("frames"), Dim::Fixed(STEP)]),
            ("h", state()),
            ("c", state()),
        ],
        outputs: vec![
            ("speech_probs", vec![Dim::Free("frames")]),
            ("hn", state()),
            ("cn", state()),
        ],
        properties: vec![
            ("model_type", "silero-vad-6.2"),
            ("sample_rate", "16000"),
            ("license", "MIT (Silero Team)"),
        ],
    })
}

struct Builder {
    graph: Graph,
    weights: Weights,
}

impl Builder {
    /// Frames [T, 576] to the spectrum's magnitudes at each of [`POSITIONS`], [T, 129].
    fn spectra(&mut self) -> Result<(), ConvertError> {
        let pads = self.graph.integers(&[0, 0, 0, MIRRORED]);
        let mode = [("mode", Text("reflect"))];
        let padded = self.graph.node("Pad", &["input", &pads], &mode);
        let windows = (0..POSITIONS.len() as i64).map(|position| {
            let start = position * HOP;
            columns(&mut self.graph, &padded, start, start + WINDOW)
        });
        let windows: Vec<Value> = windows.collect();
        let windows: Vec<_> = windows.iter().map(String::as_str).collect();
        let x = concat(&mut self.graph, &windows, 0);
        let dims = [2 * BINS as u64, 1, WINDOW as u64];
        let basis = self.weights.read("stft.forward_basis_buffer", &dims)?;
        // One row for each cosine, then for each sine, of as many taps as the window.
        let basis = tap_columns(&basis.values, 1, WINDOW as usize, 0..WINDOW as usize);
        let dims = [WINDOW as u64, 2 * BINS as u64];
        let basis = self.graph.floats("stft", &dims, &basis);
        let x = self.graph.node("MatMul", &[&x, &basis], &[]);
        let halves = [(0, BINS), (BINS, 2 * BINS)].map(|(start, end)| {
            let half = columns(&mut self.graph, &x, start, end);
            self.graph.node("Mul", &[&half, &half], &[])
        });
        let [real, imaginary] = &halves;
        let power = self.graph.node("Add", &[real, imaginary], &[]);
        let magnitudes = self.graph.node("Sqrt", &[&power], &[]);
        let axis = [("axis", Int(0))];
        self.graph
            .node_to("Split", &[&magnitudes], &axis, &POSITIONS);
        Ok(())
    }

    /// The four positions to what the LSTM reads, [T, 128].
    fn encoder(&mut self) -> Result<Value, ConvertError> {
        let [a, b, c, d] = POSITIONS;
        let [whole, half, quarter, last] = &LAYERS;
        // Four positions again; at the first and the fourth a tap lies beyond.
        let first = self.position(whole, &[a, b], 1)?;
        let second = self.position(whole, &[a, b, c], 0)?;
        let third = self.position(whole, &[b, c, d], 0)?;
        let fourth = self.position(whole, &[c, d], 0)?;
        // Every other position: two, then one.
        let left = self.position(half, &[&first, &second], 1)?;
        let right = self.position(half, &[&second, &third, &fourth], 0)?;
        let one = self.position(quarter, &[&left, &right], 1)?;
        self.position(last, &[&one], 1)
    }

    /// One position of a layer. `inputs` are the positions that its taps from `first_tap` on meet.
    fn position(
        &mut self,
        layer: &Layer,
        inputs: &[&str],
        first_tap: usize,
    ) -> Result<Value, ConvertError> {
        let &Layer {
            name,
            outputs,
            channels,
        } = layer;
        let dims = [outputs, channels, TAPS as u64];
        let weight = self.weights.read(&format!("{name}.weight"), &dims)?;
        let taps = first_tap..first_tap + inputs.len();
        let matrix_name = format!("{name}.taps_{}_{}", taps.start, taps.end);
        let matrix = tap_columns(&weight.values, channels as usize, TAPS, taps);
        let dims = [channels * inputs.len() as u64, outputs];
        let matrix = self.graph.floats(&matrix_name, &dims, &matrix);
        let bias = format!("{name}.bias");
        let bias = self.constant(&bias, &bias, &[outputs])?;
        let x = concat(&mut self.graph, inputs, 1);
        let x = self.graph.node("Gemm", &[&x, &matrix, &bias], &[]);
        Ok(self.graph.node("Relu", &[&x], &[]))
    }

    /// What the encoder made to probabilities and the state: the graph's outputs.
    fn recurrent(&mut self, x: &str) -> Result<(), ConvertError> {
        let gates = 4 * HIDDEN;
        let axis = self.graph.integers(&[1]);
        let x = self.graph.node("Unsqueeze", &[x, &axis], &[]);
        // The exporter's names; gates are in ONNX's order already.
        let w = self.constant("onnx::LSTM_209", "lstm.W", &[1, gates, HIDDEN])?;
        let r = self.constant("onnx::LSTM_210", "lstm.R", &[1, gates, HIDDEN])?;
        let b = self.constant("onnx::LSTM_211", "lstm.B", &[1, 2 * gates])?;
        let inputs = [&x, &w, &r, &b, "", "h", "c"];
        let size = [("hidden_size", Int(HIDDEN as i64))];
        let outputs = ["lstm", "hn", "cn"];
        self.graph.node_to("LSTM", &inputs, &size, &outputs);
        let rows = self.graph.integers(&[-1, HIDDEN as i64]);
        let x = self.graph.node("Reshape", &["lstm", &rows], &[]);
        let x = self.graph.node("Relu", &[&x], &[]);
        let weight = self.weights.read("output.weight", &[1, HIDDEN, 1])?;
        let weight = self
            .graph
            .floats("output.weight", &[HIDDEN, 1], &weight.values);
        let bias = self.constant("output.bias", "output.bias", &[1])?;
        let x = self.graph.node("Gemm", &[&x, &weight, &bias], &[]);
        let x = self.graph.node("Sigmoid", &[&x], &[]);
        let all = self.graph.integers(&[-1]);
        self.graph
            .node_to("Reshape", &[&x, &all], &[], &["speech_probs"]);
        Ok(())
    }

    fn constant(&mut self, from: &str, to: &str, dims: &[u64]) -> Result<Value, ConvertError> {
        let array = self.weights.read(from, dims)?;
        Ok(self.graph.floats(to, &array.dims, &array.values))
    }
}

/// Columns of a matrix.
fn columns(graph: &mut Graph, x: &str, start: i64, end: i64) -> Value {
    let [start, end, axis] = [start, end, 1].map(|number| graph.integers(&[number]));
    graph.node("Slice", &[x, &start, &end, &axis], &[])
}

fn concat(graph: &mut Graph, parts: &[&str], axis: i64) -> Value {
    if let [only] = parts {
        return (*only).to_owned();
    }
    graph.node("Concat", parts, &[("axis", Int(axis))])
}

/// A convolution's weights [outputs, channels, taps] as a matrix with a row for every channel of
/// every tap in `wanted`, and a column for every output.
fn tap_columns(weights: &[f32], channels: usize, taps: usize, wanted: Range<usize>) -> Vec<f32> {
    let rows = wanted.flat_map(|tap| (0..channels).map(move |channel| channel * taps + tap));
    rows.flat_map(|row| {
        let column = weights.iter().skip(row).step_by(channels * taps);
        column.copied()
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::tap_columns;

    #[test]
    fn a_convolution_s_taps_become_rows_of_a_matrix() {
        // Two outputs, two channels, three taps; the tens are the output and the channel.
        let weights = [
            0.0, 1.0, 2.0, 10.0, 11.0, 12.0, 100.0, 101.0, 102.0, 110.0, 111.0, 112.0,
        ];
        let matrix = tap_columns(&weights, 2, 3, 1..3);
        assert_eq!(matrix, [1.0, 101.0, 11.0, 111.0, 2.0, 102.0, 12.0, 112.0]);
    }
}
