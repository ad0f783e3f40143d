//! The weights of a checkpoint or of a graph, by name, and which of them were used.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::super::ConvertError;
use super::super::pickle::Value;
use super::super::torch::TorchFile;
use super::super::weights::Tensor;
use super::constants;

/// Most that one checkpoint may be read as, however often its tensors name the same bytes: ten
/// times the larger of the two models.
const MAX_ELEMENTS: u64 = 64 << 20;

/// Tensors where they lie in their file, or why one cannot be read (after "tensor NAME").
pub(super) type Tensors = HashMap<String, Result<Tensor, String>>;

/// A state dictionary, or the constants of a graph.
pub(super) struct Weights {
    path: PathBuf,
    format: &'static str,
    tensors: Tensors,
    used: HashSet<String>,
    elements: u64,
}

/// Numbers read from a checkpoint.
#[derive(Clone, Debug)]
pub(super) struct Array {
    pub(super) dims: Vec<u64>,
    pub(super) values: Vec<f32>,
}

impl Weights {
    /// Opens a checkpoint: a state dictionary, or a dictionary that has one as `state_dict`.
    /// `format` names the kind of checkpoint in errors.
    pub(super) fn of_checkpoint(path: &Path, format: &'static str) -> Result<Self, ConvertError> {
        let torch = TorchFile::open(path, format)?;
        let pickle = &torch.pickle;
        let state = pickle.entry(pickle.root(), "state_dict");
        let Value::Dict(pairs) = state.unwrap_or_else(|| pickle.root()) else {
            let reason = "it has no dictionary of weights";
            return Err(ConvertError::malformed(path, format, reason));
        };
        let tensors = pairs.iter().filter_map(|(name, value)| {
            let name = pickle.text(*name)?;
            match pickle.get(*value) {
                Value::Tensor(tensor) => Some((name.to_owned(), torch.tensor(tensor))),
                _ => None,
            }
        });
        Ok(Self::new(path, format, tensors.collect()))
    }

    /// Opens an ONNX graph. `format` names it in errors.
    pub(super) fn of_graph(path: &Path, format: &'static str) -> Result<Self, ConvertError> {
        Ok(Self::new(path, format, constants::read(path, format)?))
    }

    fn new(path: &Path, format: &'static str, tensors: Tensors) -> Self {
        Self {
            path: path.to_path_buf(),
            format,
            tensors,
            used: HashSet::new(),
            elements: 0,
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Reads a tensor, which must have these dimensions.
    pub(super) fn read(&mut self, name: &str, dims: &[u64]) -> Result<Array, ConvertError> {
        let tensor = match self.tensors.get(name) {
            Some(Ok(tensor)) => tensor,
            Some(Err(reason)) => return Err(self.malformed(format!("tensor {name} {reason}"))),
            None => return Err(self.malformed(format!("it has no weights called {name}"))),
        };
        if tensor.shape() != dims {
            let shape = tensor.shape();
            return Err(self.malformed(format!("{name} is {shape:?} and must be {dims:?}")));
        }
        self.elements = self.elements.saturating_add(tensor.len());
        if self.elements > MAX_ELEMENTS {
            return Err(self.malformed(format!("it has more than {MAX_ELEMENTS} weights")));
        }
        let mut values = vec![0.0; tensor.len() as usize];
        tensor.read(0, &mut values)?;
        self.used.insert(name.to_owned());
        Ok(Array {
            dims: dims.to_vec(),
            values,
        })
    }

    /// Refuses a checkpoint with weights that were not read: it is of another network.
    pub(super) fn finish(self) -> Result<(), ConvertError> {
        // A counter of training steps, which torch keeps in every batch normalisation.
        let unused =
            |name: &&String| !self.used.contains(*name) && !name.ends_with(".num_batches_tracked");
        match self.tensors.keys().filter(unused).min() {
            Some(name) => Err(self.malformed(format!("it has weights of another network: {name}"))),
            None => Ok(()),
        }
    }

    fn malformed(&self, reason: String) -> ConvertError {
        ConvertError::malformed(&self.path, self.format, reason)
    }
}
