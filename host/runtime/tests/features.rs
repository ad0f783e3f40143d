//! Features of WebAssembly that no role needs: a component that uses one is refused.
//! `docs/advisories.md` names what this keeps out of reach.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use auricle_runtime::{Origin, Runtime, RuntimeConfig};

/// A component that uses a feature, and what the engine's refusal names.
const DISABLED: [(&str, &str); 16] = [
    ("(component (core module (memory i64 1)))", "memory64"),
    ("(component (core module (memory 1 1 shared)))", "threads"),
    (
        "(component (core module (memory 1) (memory 1)))",
        "memories",
    ),
    (
        "(component (core module (memory 1 (pagesize 1))))",
        "page size",
    ),
    (
        "(component (core module (type (struct (field i32)))))",
        "gc",
    ),
    (
        "(component (core module (func (drop (ref.i31 (i32.const 0))))))",
        "gc",
    ),
    ("(component (core module (tag)))", "exceptions"),
    (
        "(component (core module (type $f (func)) (type (cont $f))))",
        "stack switching",
    ),
    ("(component (type (stream u8)))", "async"),
    ("(component (type (future u8)))", "async"),
    ("(component (core func (canon task.cancel)))", "async"),
    ("(component (core func (canon waitable-set.new)))", "async"),
    ("(component (core func (canon backpressure.inc)))", "async"),
    ("(component (core func (canon subtask.drop)))", "async"),
    ("(component (core func (canon context.get i32 0)))", "async"),
    (
        "(component (core func (canon error-context.drop)))",
        "error-context",
    ),
];

fn runtime() -> Runtime {
    Runtime::start(RuntimeConfig {
        max_requests: 1,
        ..RuntimeConfig::default()
    })
    .unwrap()
}

#[test]
fn components_that_use_a_disabled_feature_are_refused() {
    let runtime = runtime();
    for (text, feature) in DISABLED {
        let bytes = wat::parse_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let refused = match runtime.component(&bytes, Origin::Own) {
            Ok(_) => panic!("{text} is accepted"),
            Err(refused) => refused,
        };
        // The feature, and not a mistake in the text above, must be why.
        let error: &dyn std::error::Error = &refused;
        let mut causes = vec![error.to_string()];
        let mut cause = error.source();
        while let Some(error) = cause {
            causes.push(error.to_string());
            cause = error.source();
        }
        let causes = causes.join(": ");
        assert!(causes.contains(feature), "{text}: {causes}");
    }
    let plain = wat::parse_str("(component (core module (memory 1)))").unwrap();
    runtime.component(&plain, Origin::Own).unwrap();
}

#[test]
fn features_whose_absence_aborts_are_compiled_in() {
    let manifest = include_str!("../../../Cargo.toml");
    let line = manifest
        .lines()
        .find(|line| line.starts_with("wasmtime = "));
    for feature in ["\"gc\"", "\"threads\""] {
        assert!(line.unwrap().contains(feature), "{feature}");
    }
}
