//! A handler that tries everything with graphs, as its query says, and answers with what came of it.
//!
//! - `case=name&graph=NAME`: whether the graph may be had.
//! - `case=bytes`: whether the bytes of a graph are taken.
//! - `case=tensors&graph=NAME`: inputs of many kinds for a graph of `x` [any, 3], a line for each.
//! - `case=many&graph=NAME`: tensors without end, until the host holds no more.
//! - `case=loop&graph=NAME&times=N`: that many runs of voice activity on nearly as much as one takes.
//! - `case=zeros&graph=NAME&shape=A,B,C`: how many numbers come of that many zeros for the input `x`.
//! - `case=numbers&graph=NAME&x=A,B,C`: what comes of these numbers for the input `x` [1, any].
//! - `case=speech&graph=NAME`: the form's file through a speech model.

use auricle_guest::audio::{Hint, SAMPLE_RATE, Span, decode};
use auricle_guest::handler::{Handler, IncomingRequest, ResponseOutparam};
use auricle_guest::http::{Request, Response};
use auricle_guest::nn::raw::wasi::nn::graph::{self, ExecutionTarget, GraphEncoding};
use auricle_guest::nn::{Graph, NnError, Outputs, Tensor, TensorType, f32s, i64s};

struct Hostile;

impl Handler for Hostile {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let request = Request::new(request);
        let answer = match answer(&request) {
            Ok(text) => text,
            Err(error) => error.to_string(),
        };
        Response::text(200, answer).send(out);
    }
}

auricle_guest::handler::export!(Hostile);

fn answer(request: &Request) -> Result<String, NnError> {
    let name = request.query().get("graph").unwrap_or_default();
    match request.query().get("case").unwrap_or_default() {
        "name" => Graph::load(name).map(|_| "ok".to_owned()),
        "bytes" => {
            let bytes = [vec![8; 1_000], vec![0; 10]];
            for encoding in [GraphEncoding::Onnx, GraphEncoding::Ggml] {
                graph::load(&bytes, encoding, ExecutionTarget::Cpu)?;
            }
            Ok("ok".to_owned())
        }
        "tensors" => tensors(&Graph::load(name)?),
        "many" => many(&Graph::load(name)?),
        "loop" => {
            let times = request.query().get("times").and_then(|n| n.parse().ok());
            let graph = Graph::load(name)?;
            for _ in 0..times.unwrap_or(1_u32) {
                listen(&graph)?;
            }
            Ok("ok".to_owned())
        }
        "zeros" => zeros(request, &Graph::load(name)?),
        "numbers" => numbers(request, &Graph::load(name)?),
        "speech" => speech(request, &Graph::load(name)?),
        other => Ok(format!("no case {other}")),
    }
}

fn zeros(request: &Request, graph: &Graph) -> Result<String, NnError> {
    let shape = request.query().get("shape").unwrap_or_default().split(',');
    let shape: Vec<u32> = shape.filter_map(|size| size.parse().ok()).collect();
    let numbers = vec![0.0; shape.iter().product::<u32>() as usize];
    let outputs = graph.compute(vec![("x", f32s(&shape, &numbers))])?;
    Ok(outputs.f32s_at(0)?.len().to_string())
}

fn numbers(request: &Request, graph: &Graph) -> Result<String, NnError> {
    let given = request.query().get("x").unwrap_or_default().split(',');
    let given: Vec<f32> = given.filter_map(|number| number.parse().ok()).collect();
    let input = f32s(&[1, given.len() as u32], &given);
    let outputs = graph.compute(vec![("x", input)])?;
    Ok(format!("{:?}", outputs.f32s_at(0)?))
}

/// Keeps a device busy for some 0.1 s.
fn listen(graph: &Graph) -> Result<(), NnError> {
    let state = [1, 1, 128];
    let noise = f32s(&[1_600, 576], &vec![0.5; 921_600]);
    let h = f32s(&state, &[0.0; 128]);
    let c = f32s(&state, &[0.0; 128]);
    graph.compute(vec![("input", noise), ("h", h), ("c", c)])?;
    Ok(())
}

type Case = (&'static str, Vec<(&'static str, Tensor)>);

/// What each input is answered with; the graph must be as good as new after each.
fn tensors(graph: &Graph) -> Result<String, NnError> {
    let mut lines = String::new();
    for (what, inputs) in tensor_cases().into_iter().chain(graph_cases()) {
        let said = match graph.compute(inputs) {
            Ok(outputs) => format!("ok {:?}", outputs.f32s_at(0)?),
            Err(error) => error.kind().to_owned(),
        };
        lines.push_str(&format!("{what}: {said}\n"));
        graph.compute(vec![("x", sound())])?;
    }
    Ok(lines)
}

fn sound() -> Tensor {
    f32s(&[1, 3], &[1.0, 2.0, 3.0])
}

fn of(dimensions: &[u32], kind: TensorType, bytes: usize) -> Vec<(&'static str, Tensor)> {
    vec![("x", Tensor::new(dimensions, kind, &vec![0; bytes]))]
}

/// Tensors that are none.
fn tensor_cases() -> Vec<Case> {
    use TensorType::{Bf16, Fp16, Fp32, Fp64, U8};
    vec![
        ("no bytes", of(&[1, 3], Fp32, 0)),
        ("a byte too few", of(&[1, 3], Fp32, 11)),
        ("a byte too many", of(&[1, 3], Fp32, 13)),
        ("another length", of(&[1, 3], Fp32, 24)),
        ("doubles of another length", of(&[1, 3], Fp64, 12)),
        ("halves", of(&[1, 3], Fp16, 6)),
        ("brain floats", of(&[1, 3], Bf16, 6)),
        ("nine dimensions", of(&[1; 9], Fp32, 4)),
        ("a product over 64 bits", of(&[u32::MAX; 3], Fp32, 4)),
        ("bytes over 64 bits", of(&[1 << 31, 1 << 31, 2], Fp32, 0)),
        ("a zero with bytes", of(&[0, 3], Fp32, 12)),
        ("as many bytes as a call takes", of(&[7 << 20], U8, 7 << 20)),
    ]
}

/// Tensors that are sound, and not this graph's.
fn graph_cases() -> Vec<Case> {
    vec![
        ("empty", of(&[0, 3], TensorType::Fp32, 0)),
        ("no dimension", of(&[], TensorType::Fp32, 4)),
        ("a dimension too few", of(&[3], TensorType::Fp32, 12)),
        ("a dimension too many", of(&[1, 1, 3], TensorType::Fp32, 12)),
        ("bytes", of(&[1, 3], TensorType::U8, 3)),
        ("doubles", of(&[1, 3], TensorType::Fp64, 24)),
        ("integers", vec![("x", i64s(&[1, 3], &[1, 2, 3]))]),
        ("nothing", vec![]),
        ("twice", vec![("x", sound()), ("x", sound())]),
        ("one too many", vec![("x", sound()), ("z", sound())]),
        ("another name", vec![("X", sound())]),
        ("no name", vec![("", sound())]),
        ("an output's name", vec![("y", sound())]),
        ("too large", of(&[320_001, 3], TensorType::Fp32, 3_840_012)),
        ("not numbers", vec![("x", f32s(&[1, 3], &[f32::NAN; 3]))]),
        ("sound", vec![("x", sound())]),
    ]
}

/// How many tensors of 6 MB the host held before one was refused.
fn many(graph: &Graph) -> Result<String, NnError> {
    let bytes = vec![0; 6_000_000];
    let mut held = Vec::new();
    loop {
        held.push(Tensor::new(&[1_500_000], TensorType::Fp32, &bytes));
        let emptied = held.last().is_some_and(|tensor| tensor.data().is_empty());
        if !emptied {
            continue;
        }
        let count = held.len() - 1;
        let Some(last) = held.pop() else {
            return Ok("none".to_owned());
        };
        return match graph.compute(vec![("x", last)]) {
            Ok(_) => Ok("ok".to_owned()),
            Err(error) => Ok(format!("{count} {}", error.kind())),
        };
    }
}

fn speech(request: &Request, graph: &Graph) -> Result<String, NnError> {
    let Some(samples) = samples(request) else {
        return Ok("no sound".to_owned());
    };
    let input = f32s(&[1, samples.len() as u32], &samples);
    let outputs: Outputs = graph.compute(vec![("audio", input)])?;
    outputs.text("transcript")
}

/// The first 60 s of the form's file.
fn samples(request: &Request) -> Option<Vec<f32>> {
    let form = request.form().ok()?;
    while let Some(part) = form.next_part().ok()? {
        if part.name().as_deref() != Some("file") {
            continue;
        }
        let hint = Hint {
            file_name: part.file_name(),
            content_type: part.content_type(),
        };
        let clip = decode(part.content()?, &hint).ok()?;
        let half = u64::from(SAMPLE_RATE) * 30;
        let mut all = Vec::new();
        for start in [0, half] {
            let end = clip.length().min(start + half);
            if start < end {
                all.extend(clip.samples(Span { start, end }).ok()?);
            }
        }
        return Some(all);
    }
    None
}
