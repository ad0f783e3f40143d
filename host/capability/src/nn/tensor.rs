//! A tensor as a component gave it, and what becomes of it.
//!
//! The standard's constructor cannot fail, so a tensor that is wrong is kept as it was given and
//! refused when it is computed on: until then it costs its bytes and nothing else.

use auricle_speech::{ElementType, Tensor};

use super::bindings::wasi::nn::tensor::TensorType;
use super::services::GraphError;

/// A tensor behind a handle: what the component said, unchecked. Lives until its handle is dropped
/// or given to `compute`, and counts among the bytes that the host holds for the instance.
pub struct GuestTensor {
    pub(super) dimensions: Vec<u32>,
    pub(super) element: TensorType,
    pub(super) data: Vec<u8>,
    /// Whether its data was thrown away, because the instance held too much already.
    over_budget: bool,
}

impl GuestTensor {
    pub(super) fn new(dimensions: Vec<u32>, element: TensorType, data: Vec<u8>) -> Self {
        Self {
            dimensions,
            element,
            data,
            over_budget: false,
        }
    }

    /// What stands in for a tensor that is over the instance's budget.
    pub(super) fn over_budget(element: TensorType) -> Self {
        Self {
            dimensions: Vec::new(),
            element,
            data: Vec::new(),
            over_budget: true,
        }
    }

    /// Bytes that it takes in the host.
    pub(super) fn size_bytes(&self) -> u64 {
        let dimensions = self.dimensions.len() as u64 * size_of::<u32>() as u64;
        dimensions.saturating_add(self.data.len() as u64)
    }

    /// The tensor that the bytes stand for, little-endian and in row-major order.
    ///
    /// # Errors
    /// [`GraphError::TooLarge`] when its data was thrown away; [`GraphError::Unsupported`] for 16-bit
    /// floating point; [`GraphError::InvalidArgument`] when the dimensions and the bytes do not fit.
    pub(super) fn into_tensor(self, name: &str) -> Result<Tensor, GraphError> {
        if self.over_budget {
            return Err(GraphError::TooLarge(format!(
                "tensor '{name}' did not fit beside what this component already holds"
            )));
        }
        let element = element_type(self.element).ok_or_else(|| {
            GraphError::Unsupported(format!(
                "tensor '{name}' is of 16-bit floating point: use FP32"
            ))
        })?;
        let shape: Vec<u64> = self.dimensions.iter().copied().map(u64::from).collect();
        Tensor::from_le_bytes(element, &shape, &self.data)
            .map_err(|error| GraphError::InvalidArgument(format!("tensor '{name}': {error}")))
    }

    /// What a computation gave, for the component; `None` for a dimension that the standard cannot
    /// say.
    pub(super) fn of(tensor: &Tensor) -> Option<Self> {
        let dimensions: Result<Vec<u32>, _> =
            tensor.shape().iter().map(|&d| u32::try_from(d)).collect();
        let element = match tensor.data().element_type() {
            ElementType::F32 => TensorType::Fp32,
            ElementType::F64 => TensorType::Fp64,
            ElementType::I32 => TensorType::I32,
            ElementType::I64 => TensorType::I64,
            ElementType::U8 => TensorType::U8,
        };
        Some(Self::new(dimensions.ok()?, element, tensor.to_le_bytes()))
    }
}

/// `None` for what no engine here takes.
fn element_type(element: TensorType) -> Option<ElementType> {
    match element {
        TensorType::Fp32 => Some(ElementType::F32),
        TensorType::Fp64 => Some(ElementType::F64),
        TensorType::U8 => Some(ElementType::U8),
        TensorType::I32 => Some(ElementType::I32),
        TensorType::I64 => Some(ElementType::I64),
        TensorType::Fp16 | TensorType::Bf16 => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn converted(
        dimensions: &[u32],
        element: TensorType,
        bytes: usize,
    ) -> Result<Tensor, GraphError> {
        GuestTensor::new(dimensions.to_vec(), element, vec![0; bytes]).into_tensor("x")
    }

    #[test]
    fn what_is_no_tensor_is_an_error_of_its_kind_and_never_a_panic() {
        use TensorType::{Fp32, Fp64, I32, I64, U8};
        let malformed: &[(&[u32], TensorType, usize)] = &[
            (&[2], Fp32, 0),
            (&[2], Fp32, 7),
            (&[2], Fp32, 9),
            (&[2], Fp32, 4),
            (&[2], Fp32, 12),
            (&[1], Fp32, 1),
            (&[2], Fp64, 8),
            (&[2], Fp64, 15),
            (&[2], I64, 8),
            (&[2], I64, 17),
            (&[2], I32, 6),
            (&[2], U8, 3),
            (&[2], U8, 0),
            (&[], Fp32, 0),
            (&[], Fp32, 8),
            (&[0], Fp32, 4),
            (&[2, 0], Fp32, 8),
            (&[u32::MAX], Fp32, 4),
            (&[u32::MAX, u32::MAX], U8, 1),
            (&[u32::MAX, u32::MAX, u32::MAX], U8, 1),
            (&[1 << 31, 1 << 31, 4], Fp32, 0),
            (&[1 << 16, 1 << 16, 1 << 16, 1 << 16], I64, 0),
            (&[1, 1, 1, 1, 1, 1, 1, 1, 1], Fp32, 4),
            (&[1; 10_000], U8, 1),
        ];
        for &(dimensions, element, bytes) in malformed {
            let refused = converted(dimensions, element, bytes);
            assert!(
                matches!(refused, Err(GraphError::InvalidArgument(_))),
                "{element:?} {bytes} bytes: {refused:?}"
            );
        }
    }

    #[test]
    fn sixteen_bit_floats_are_unsupported_whatever_their_shape() {
        for element in [TensorType::Fp16, TensorType::Bf16] {
            for bytes in [0, 3, 4] {
                let refused = converted(&[2], element, bytes);
                assert!(matches!(refused, Err(GraphError::Unsupported(_))));
            }
        }
    }

    #[test]
    fn a_tensor_over_the_budget_is_too_large_and_costs_nothing() {
        let tensor = GuestTensor::over_budget(TensorType::Fp32);
        assert_eq!(tensor.size_bytes(), 0);
        let refused = tensor.into_tensor("x");
        assert!(matches!(refused, Err(GraphError::TooLarge(_))));
    }

    #[test]
    fn every_type_survives_the_way_there_and_back() {
        let bytes: Vec<u8> = (0..16).collect();
        for (element, dimensions) in [
            (TensorType::Fp32, vec![2, 2]),
            (TensorType::Fp64, vec![2]),
            (TensorType::I32, vec![4, 1]),
            (TensorType::I64, vec![1, 2]),
            (TensorType::U8, vec![2, 2, 2, 2]),
        ] {
            let given = GuestTensor::new(dimensions.clone(), element, bytes.clone());
            let back = GuestTensor::of(&given.into_tensor("x").unwrap()).unwrap();
            assert_eq!((back.dimensions, back.element), (dimensions, element));
            assert_eq!(back.data, bytes);
        }
    }

    #[test]
    fn a_number_without_dimensions_and_one_that_is_none_are_tensors() {
        assert!(converted(&[], TensorType::I64, 8).is_ok());
        assert!(converted(&[0], TensorType::Fp32, 0).is_ok());
        let nan = GuestTensor::new(vec![1], TensorType::Fp32, f32::NAN.to_le_bytes().to_vec());
        assert!(nan.into_tensor("x").is_ok());
    }
}
