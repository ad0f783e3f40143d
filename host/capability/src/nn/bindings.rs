//! Generated bindings of `wasi:nn`; nothing else.
//!
//! Its two functions that wait are asynchronous, so that a component which waits for a device holds
//! up no thread.

#![allow(missing_docs, reason = "generated")]
#![allow(
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    reason = "generated"
)]

wasmtime::component::bindgen!({
    path: ["../../wit/deps/nn.wit"],
    world: "wasi:nn/ml",
    imports: {
        "wasi:nn/graph.load-by-name": async | trappable,
        "wasi:nn/inference.[method]graph-execution-context.compute": async | trappable,
        default: trappable,
    },
    with: {
        "wasi:nn/tensor.tensor": crate::nn::GuestTensor,
        "wasi:nn/graph.graph": crate::nn::GuestGraph,
        "wasi:nn/inference.graph-execution-context": crate::nn::GuestContext,
        "wasi:nn/errors.error": crate::nn::GuestError,
    },
    require_store_data_send: true,
});
