//! Graphs on a GPU, in builds with the feature `cuda`.
//!
//! Whether a graph can be computed there is known only when a session is built: it takes a CUDA build
//! of ONNX Runtime, its provider's library beside it, cuDNN and a driver. Where one is missing graphs
//! are computed on the CPU as ever, and the log says so once.

use std::sync::Once;

use ort::ep::CUDA;
use ort::session::builder::SessionBuilder;

static SAID: Once = Once::new();

/// Has the session's graph computed on the first GPU, or leaves it on the CPU.
pub(crate) fn on_gpu(builder: SessionBuilder) -> SessionBuilder {
    let cuda = CUDA::default().build().error_on_failure();
    match builder.with_execution_providers([cuda]) {
        Ok(builder) => {
            SAID.call_once(|| tracing::info!("graphs are computed on the GPU"));
            builder
        }
        Err(error) => {
            let reason = error.to_string();
            SAID.call_once(|| {
                tracing::warn!(
                    reason,
                    "graphs are computed on the CPU: for the GPU, have models.onnxruntime name a CUDA \
                     build of ONNX Runtime and install CUDA 13, cuDNN 9 and the driver"
                );
            });
            error.recover()
        }
    }
}
