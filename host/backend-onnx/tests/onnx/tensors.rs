//! Runs of tiny graphs, with what fits and with what does not.

use auricle_backend_onnx::{
    ElementType, NamedTensor, OnnxError, OnnxLoader, OnnxSession, RunLimits, Tensor, TensorData,
};
use auricle_speech::{
    CancelFlag, EngineError, GraphLoader, GraphResult, GraphSession, GraphWork, ModelFiles,
};

use crate::support::runtime;
use crate::tiny::{self, File};

fn tensor(name: &str, shape: &[u64], data: TensorData) -> NamedTensor {
    NamedTensor::new(name, Tensor::new(shape.to_vec(), data).unwrap())
}

fn floats(name: &str, shape: &[u64]) -> NamedTensor {
    let len = shape.iter().product::<u64>() as usize;
    tensor(name, shape, TensorData::F32(vec![1.0; len]))
}

fn every_type() -> Vec<NamedTensor> {
    vec![
        tensor("u8", &[2], TensorData::U8(vec![0, 255])),
        tensor("f32", &[2], TensorData::F32(vec![1.5, f32::NAN])),
        tensor("f64", &[2], TensorData::F64(vec![-2.5, 1e300])),
        tensor("i32", &[2], TensorData::I32(vec![-3, 4])),
        tensor("i64", &[2], TensorData::I64(vec![-5, 1 << 40])),
    ]
}

#[test]
fn numbers_of_every_type_go_in_and_come_out() {
    let Some(runtime) = runtime() else { return };
    let mut session = File::new(&tiny::every_type()).load(&runtime).unwrap();
    let types: Vec<_> = session.inputs().iter().map(|p| p.element_type).collect();
    assert_eq!(
        types,
        [
            ElementType::F32,
            ElementType::F64,
            ElementType::I32,
            ElementType::I64,
            ElementType::U8
        ]
    );
    let outputs = session.run(&every_type()).unwrap();
    let names: Vec<_> = outputs.iter().map(|o| o.name.as_str()).collect();
    assert_eq!(
        names,
        ["f32_out", "f64_out", "i32_out", "i64_out", "u8_out"]
    );
    assert_eq!(
        outputs[1].tensor.data(),
        &TensorData::F64(vec![-5.0, 2e300])
    );
    assert_eq!(outputs[2].tensor.data(), &TensorData::I32(vec![-6, 8]));
    assert_eq!(
        outputs[3].tensor.data(),
        &TensorData::I64(vec![-10, 1 << 41])
    );
    assert_eq!(outputs[4].tensor.data(), &TensorData::U8(vec![0, 255]));
    let TensorData::F32(values) = outputs[0].tensor.data() else {
        panic!("{outputs:?}")
    };
    assert!(values[0] == 3.0 && values[1].is_nan());
}

/// The inputs of the graph of every type, changed.
fn changed(change: impl FnOnce(&mut Vec<NamedTensor>)) -> Vec<NamedTensor> {
    let mut inputs = every_type();
    change(&mut inputs);
    inputs
}

fn with_f32(tensor: NamedTensor) -> Vec<NamedTensor> {
    changed(|inputs| inputs[1] = tensor)
}

/// What is wrong, and inputs of which that is true.
fn misfits() -> Vec<(&'static str, Vec<NamedTensor>)> {
    let rename = |name: &str| changed(|inputs| inputs[1].name = name.to_owned());
    vec![
        ("nothing", Vec::new()),
        ("one missing", changed(|inputs| drop(inputs.pop()))),
        ("another missing", changed(|inputs| drop(inputs.remove(0)))),
        ("only one", vec![floats("f32", &[2])]),
        ("unknown", rename("f33")),
        ("no name", rename("")),
        ("a name with a zero byte", rename("f32\0")),
        ("a name cut by a zero byte", rename("\0f32")),
        ("a name in upper case", rename("F32")),
        ("a name of a megabyte", rename(&"f".repeat(1 << 20))),
        ("a name that is no ASCII", rename("f³²")),
        ("an output's name", rename("f32_out")),
        ("twice", changed(|inputs| inputs.push(floats("f32", &[2])))),
        (
            "twice, differing",
            changed(|inputs| inputs.push(floats("f32", &[3]))),
        ),
        (
            "one too many",
            changed(|inputs| inputs.push(floats("more", &[2]))),
        ),
        (
            "f64 for f32",
            with_f32(tensor("f32", &[2], TensorData::F64(vec![0.0; 2]))),
        ),
        (
            "i32 for f32",
            with_f32(tensor("f32", &[2], TensorData::I32(vec![0; 2]))),
        ),
        (
            "i64 for f32",
            with_f32(tensor("f32", &[2], TensorData::I64(vec![0; 2]))),
        ),
        (
            "u8 for f32",
            with_f32(tensor("f32", &[2], TensorData::U8(vec![0; 2]))),
        ),
        ("too long", with_f32(floats("f32", &[3]))),
        ("too short", with_f32(floats("f32", &[1]))),
        ("a single number", with_f32(floats("f32", &[]))),
        ("a dimension too many", with_f32(floats("f32", &[1, 2]))),
        (
            "eight dimensions",
            with_f32(floats("f32", &[1, 1, 1, 1, 1, 1, 1, 2])),
        ),
        ("empty", with_f32(floats("f32", &[0]))),
        ("empty and large", with_f32(floats("f32", &[0, 1 << 40]))),
    ]
}

#[test]
fn inputs_that_do_not_fit_are_refused_and_the_session_goes_on() {
    let Some(runtime) = runtime() else { return };
    let mut session = File::new(&tiny::every_type()).load(&runtime).unwrap();
    let cases = misfits();
    assert!(cases.len() >= 20);
    for (what, inputs) in cases {
        let refused = session.run(&inputs);
        assert!(
            matches!(refused, Err(OnnxError::InvalidArgument { .. })),
            "{what}: {refused:?}"
        );
        assert!(session.run(&every_type()).is_ok(), "after: {what}");
    }
}

#[test]
fn what_only_the_engine_finds_is_an_error_too() {
    let Some(runtime) = runtime() else { return };
    let mut session = File::new(&tiny::product()).load(&runtime).unwrap();
    for shape in [[2, 4], [3, 1], [1, 300]] {
        assert!(session.run(&[floats("x", &shape)]).is_err(), "{shape:?}");
    }
    let outputs = session.run(&[floats("x", &[1, 3])]).unwrap();
    assert_eq!(outputs[0].tensor.shape(), [1, 2]);
    assert_eq!(outputs[0].tensor.data(), &TensorData::F32(vec![2.0, 2.0]));
    let mut zeros = File::new(&tiny::zeros()).load(&runtime).unwrap();
    for shape in [
        [-1, 2],
        [i64::MIN, 1],
        [i64::MAX, i64::MAX],
        [1 << 40, 1 << 40],
    ] {
        let input = tensor("shape", &[2], TensorData::I64(shape.to_vec()));
        let refused = zeros.run(&[input]);
        assert!(refused.is_err(), "{shape:?}: {refused:?}");
    }
    let input = tensor("shape", &[2], TensorData::I64(vec![0, 5]));
    let empty = zeros.run(&[input]).unwrap();
    assert_eq!(empty[0].tensor.shape(), [0, 5]);
}

#[test]
fn inputs_and_outputs_over_their_budget_are_refused_with_its_size() {
    let Some(runtime) = runtime() else { return };
    let limits = RunLimits {
        max_input_bytes: 16,
        max_output_bytes: 4000,
    };
    let load = |bytes: &[u8]| {
        let file = File::new(bytes);
        OnnxSession::load(&runtime, &file.path, &file.sha256, limits).unwrap()
    };
    let mut product = load(&tiny::product());
    assert!(product.run(&[floats("x", &[1, 3])]).is_ok());
    let refused = product.run(&[floats("x", &[2, 3])]);
    let Err(OnnxError::TooLarge {
        what,
        bytes,
        limit_bytes,
    }) = refused
    else {
        panic!("{refused:?}");
    };
    assert_eq!((what, bytes, limit_bytes), ("inputs", 24, 16));
    let mut zeros = load(&tiny::zeros());
    let shape = |shape: [i64; 2]| [tensor("shape", &[2], TensorData::I64(shape.to_vec()))];
    assert!(zeros.run(&shape([10, 100])).is_ok());
    let refused = zeros.run(&shape([10, 101]));
    let Err(OnnxError::TooLarge {
        what,
        bytes,
        limit_bytes,
    }) = refused
    else {
        panic!("{refused:?}");
    };
    assert_eq!((what, bytes, limit_bytes), ("outputs", 4040, 4000));
}

#[test]
fn sessions_of_one_runtime_work_on_threads_of_their_own() {
    let Some(runtime) = runtime() else { return };
    let file = File::new(&tiny::product());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut session = file.load(&runtime).unwrap();
                for _ in 0..50 {
                    assert!(session.run(&[floats("x", &[5, 3])]).is_ok());
                }
            });
        }
    });
}

/// A session as the device opens it, on a graph in this file.
fn behind_the_traits(file: &File) -> Option<Box<dyn GraphSession>> {
    let files = ModelFiles {
        name: "tiny".into(),
        path: file.path.clone(),
        sha256: file.sha256.clone(),
        word_timestamps: false,
    };
    let engine = OnnxLoader::new(runtime()?).load(&files).unwrap();
    Some(engine.open_session().unwrap())
}

#[test]
fn work_on_plain_tensors_tells_the_callers_mistakes_from_the_engines() {
    let file = File::new(&tiny::product());
    let Some(mut session) = behind_the_traits(&file) else {
        return;
    };
    let mut run = |inputs: Vec<NamedTensor>| {
        let inputs = inputs.into();
        session.run(&GraphWork::Compute { inputs }, &CancelFlag::new())
    };
    for (what, inputs) in misfits() {
        let refused = run(inputs);
        let Err(EngineError::InvalidInput(text)) = refused else {
            panic!("{what}: {refused:?}");
        };
        assert!(!text.contains(file.path.to_str().unwrap()), "{text}");
    }
    // 60 s of audio as f32, and a row more.
    let refused = run(vec![floats("x", &[320_001, 3])]);
    assert!(matches!(refused, Err(EngineError::TooLarge(_))));
    let GraphResult::Compute(outputs) = run(vec![floats("x", &[320_000, 3])]).unwrap() else {
        panic!("another result");
    };
    assert_eq!(outputs[0].tensor.shape(), [320_000, 2]);
}

#[test]
fn work_on_plain_tensors_that_is_cancelled_does_not_begin() {
    let file = File::new(&tiny::product());
    let Some(mut session) = behind_the_traits(&file) else {
        return;
    };
    let cancel = CancelFlag::new();
    cancel.cancel();
    let inputs = vec![floats("x", &[1, 3])].into();
    let result = session.run(&GraphWork::Compute { inputs }, &cancel);
    assert!(matches!(result, Err(EngineError::Cancelled)));
}
