//! What the pipeline gives to `wasi:nn`, as traits.

use std::collections::BTreeSet;
use std::sync::Arc;

use auricle_speech::NamedTensor;
use futures::future::BoxFuture;

use crate::services::RequestScope;

/// Names of graphs that a deployment may use.
pub type GraphNames = Arc<BTreeSet<String>>;

/// The graphs of this server, by name. Whether a component may have one is decided before this.
pub trait Graphs: Send + Sync + 'static {
    /// Makes a graph ready. Waits while its weights are read.
    ///
    /// Fails with [`GraphError::NotFound`] when there is no such graph, and with
    /// [`GraphError::Unavailable`] when it cannot be used here.
    fn load(
        &self,
        scope: &RequestScope,
        name: &str,
    ) -> BoxFuture<'static, Result<Arc<dyn LoadedGraph>, GraphError>>;
}

/// A graph that stays loaded for as long as this is held.
pub trait LoadedGraph: Send + Sync + 'static {
    /// Runs the graph on a device. Waits for its turn while the device is busy; dropping the future
    /// cancels the work.
    ///
    /// Fails with [`GraphError::InvalidArgument`] for inputs that are missing, unknown, given twice,
    /// or of another type or shape than the graph's; [`GraphError::TooLarge`];
    /// [`GraphError::Timeout`] at the request's deadline; [`GraphError::Failed`].
    fn compute(
        &self,
        scope: &RequestScope,
        inputs: Vec<NamedTensor>,
    ) -> BoxFuture<'static, Result<Vec<NamedTensor>, GraphError>>;
}

/// Why a graph did not do its work. The texts are fit to be shown to the component: they name no
/// path of the host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// The inputs are not the graph's; the text says what is wrong.
    #[error("{0}")]
    InvalidArgument(String),
    /// Nothing here does that; the text says what does.
    #[error("{0}")]
    Unsupported(String),
    /// Tensors are over a limit; the text names it.
    #[error("{0}")]
    TooLarge(String),
    /// There is no such graph, or none that this component may use: which of the two is not told.
    #[error("no graph of this name may be used by this component")]
    NotFound,
    /// The request's deadline passed.
    #[error("the computation did not finish in the time of the request")]
    Timeout,
    /// The graph may be used, and is not to be had now; the text says why.
    #[error("{0}")]
    Unavailable(String),
    /// The engine failed; the log says how.
    #[error("the graph failed on this input")]
    Failed,
}
