//! Plain tensors: the data that goes into a graph and comes out of it.
//!
//! A [`Tensor`] cannot be made with a shape that does not fit its data, so everything behind it
//! may rely on that. Nothing here names the engine: a tensor may come from a guest or another
//! process.

/// A shape that does not fit its data. The text says which rule is broken, and may be shown to
/// whoever gave the tensor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TensorError(String);

/// Dimensions that a tensor may have; real graphs have five at most.
pub const MAX_RANK: usize = 8;

/// What a tensor's numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ElementType {
    /// 32-bit IEEE 754.
    F32,
    /// 64-bit IEEE 754.
    F64,
    /// Signed, 32 bits.
    I32,
    /// Signed, 64 bits.
    I64,
    /// Unsigned, 8 bits.
    U8,
}

impl ElementType {
    /// Bytes of one element.
    #[must_use]
    pub fn size_bytes(self) -> u64 {
        match self {
            Self::F32 | Self::I32 => 4,
            Self::F64 | Self::I64 => 8,
            Self::U8 => 1,
        }
    }
}

impl std::fmt::Display for ElementType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::U8 => "u8",
        })
    }
}

/// A tensor's numbers in row-major order (the last dimension runs fastest).
#[derive(Clone, Debug, PartialEq)]
pub enum TensorData {
    /// 32-bit floating point.
    F32(Vec<f32>),
    /// 64-bit floating point.
    F64(Vec<f64>),
    /// Signed, 32 bits.
    I32(Vec<i32>),
    /// Signed, 64 bits.
    I64(Vec<i64>),
    /// Unsigned, 8 bits.
    U8(Vec<u8>),
}

impl TensorData {
    /// What the numbers are.
    #[must_use]
    pub fn element_type(&self) -> ElementType {
        match self {
            Self::F32(_) => ElementType::F32,
            Self::F64(_) => ElementType::F64,
            Self::I32(_) => ElementType::I32,
            Self::I64(_) => ElementType::I64,
            Self::U8(_) => ElementType::U8,
        }
    }

    /// How many numbers there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        let len = match self {
            Self::F32(data) => data.len(),
            Self::F64(data) => data.len(),
            Self::I32(data) => data.len(),
            Self::I64(data) => data.len(),
            Self::U8(data) => data.len(),
        };
        len as u64
    }

    /// Whether there is not one number.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Numbers with a shape that fits them.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    shape: Vec<u64>,
    data: TensorData,
}

impl Tensor {
    /// Takes over numbers in row-major order. An empty `shape` is a single number.
    ///
    /// # Errors
    /// [`TensorError`] when the shape has more than 8 dimensions, more elements than
    /// 64 bits can count, or another number of elements than there is data.
    pub fn new(shape: Vec<u64>, data: TensorData) -> Result<Self, TensorError> {
        let elements = elements(&shape)?;
        if elements != data.len() {
            return Err(TensorError(format!(
                "shape {shape:?} has {elements} elements and the data has {}",
                data.len()
            )));
        }
        Ok(Self { shape, data })
    }

    /// Takes over a list of f32.
    ///
    /// # Errors
    /// As [`Tensor::new`].
    pub fn f32(shape: Vec<u64>, data: Vec<f32>) -> Result<Self, TensorError> {
        Self::new(shape, TensorData::F32(data))
    }

    /// Reads little-endian bytes.
    ///
    /// # Errors
    /// As [`Tensor::new`]; the length is checked before anything is allocated.
    pub fn from_le_bytes(
        element_type: ElementType,
        shape: &[u64],
        bytes: &[u8],
    ) -> Result<Self, TensorError> {
        let expected = elements(shape)?.checked_mul(element_type.size_bytes());
        if expected != Some(bytes.len() as u64) {
            return Err(TensorError(format!(
                "shape {shape:?} of {element_type} does not take {} bytes",
                bytes.len()
            )));
        }
        let data = match element_type {
            ElementType::F32 => TensorData::F32(read(bytes, f32::from_le_bytes)),
            ElementType::F64 => TensorData::F64(read(bytes, f64::from_le_bytes)),
            ElementType::I32 => TensorData::I32(read(bytes, i32::from_le_bytes)),
            ElementType::I64 => TensorData::I64(read(bytes, i64::from_le_bytes)),
            ElementType::U8 => TensorData::U8(bytes.to_vec()),
        };
        Self::new(shape.to_vec(), data)
    }

    /// The numbers as little-endian bytes.
    #[must_use]
    pub fn to_le_bytes(&self) -> Vec<u8> {
        match &self.data {
            TensorData::F32(data) => data.iter().flat_map(|value| value.to_le_bytes()).collect(),
            TensorData::F64(data) => data.iter().flat_map(|value| value.to_le_bytes()).collect(),
            TensorData::I32(data) => data.iter().flat_map(|value| value.to_le_bytes()).collect(),
            TensorData::I64(data) => data.iter().flat_map(|value| value.to_le_bytes()).collect(),
            TensorData::U8(data) => data.clone(),
        }
    }

    /// The dimensions, outermost first.
    #[must_use]
    pub fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// The numbers.
    #[must_use]
    pub fn data(&self) -> &TensorData {
        &self.data
    }

    /// Gives the numbers back.
    #[must_use]
    pub fn into_data(self) -> TensorData {
        self.data
    }

    /// The numbers, if they are f32.
    #[must_use]
    pub fn into_f32(self) -> Option<Vec<f32>> {
        match self.data {
            TensorData::F32(data) => Some(data),
            _ => None,
        }
    }

    /// Memory that the numbers take.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.data
            .len()
            .saturating_mul(self.data.element_type().size_bytes())
    }
}

/// A tensor with the name of the graph's input or output.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor {
    /// The input or output.
    pub name: String,
    /// The numbers.
    pub tensor: Tensor,
}

impl NamedTensor {
    /// Names a tensor.
    #[must_use]
    pub fn new(name: &str, tensor: Tensor) -> Self {
        Self {
            name: name.to_owned(),
            tensor,
        }
    }
}

fn elements(shape: &[u64]) -> Result<u64, TensorError> {
    let refuse = |reason: &str| Err(TensorError(format!("shape {shape:?} {reason}")));
    if shape.len() > MAX_RANK {
        return refuse("has more than 8 dimensions");
    }
    let product = shape.iter().try_fold(1_u64, |product, &dimension| {
        // The engine counts in i64.
        i64::try_from(dimension).ok()?;
        product.checked_mul(dimension)
    });
    match product {
        // No element is larger than 8 bytes.
        Some(product) if product <= i64::MAX as u64 / 8 => Ok(product),
        _ => refuse("has more elements than can be counted"),
    }
}

fn read<T, const N: usize>(bytes: &[u8], from: fn([u8; N]) -> T) -> Vec<T> {
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks.iter().map(|chunk| from(*chunk)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_shape_that_does_not_fit_its_data_is_refused() {
        for shape in [
            vec![3],
            vec![0],
            vec![2, 0],
            vec![],
            vec![u64::MAX],
            vec![u64::MAX, u64::MAX],
            vec![1 << 32, 1 << 32],
            vec![1 << 62, 4],
            vec![1; 9],
        ] {
            assert!(
                Tensor::f32(shape.clone(), vec![0.0; 2]).is_err(),
                "{shape:?}"
            );
        }
        assert!(Tensor::f32(vec![2, 1], vec![0.0; 2]).is_ok());
        assert!(Tensor::f32(vec![], vec![0.0]).is_ok());
    }

    #[test]
    fn bytes_of_another_length_are_refused_before_they_are_read() {
        for bytes in [0, 7, 9, 16] {
            let result = Tensor::from_le_bytes(ElementType::F32, &[2], &vec![0; bytes]);
            assert!(result.is_err(), "{bytes}");
        }
        let result = Tensor::from_le_bytes(ElementType::F64, &[1 << 61], &[]);
        assert!(result.is_err());
    }

    proptest! {
        #[test]
        fn bytes_survive_the_way_there_and_back(
            bytes in proptest::collection::vec(any::<u8>(), 1..20).prop_map(|b| b.repeat(8)),
            kind in proptest::sample::select(vec![
                ElementType::F32, ElementType::F64, ElementType::I32, ElementType::I64, ElementType::U8,
            ]),
        ) {
            let shape = [bytes.len() as u64 / kind.size_bytes()];
            let tensor = Tensor::from_le_bytes(kind, &shape, &bytes).unwrap();
            prop_assert_eq!(tensor.size_bytes(), bytes.len() as u64);
            prop_assert_eq!(tensor.to_le_bytes(), bytes);
        }

        #[test]
        fn no_shape_panics(shape in proptest::collection::vec(any::<u64>(), 0..10)) {
            let _ = Tensor::from_le_bytes(ElementType::I64, &shape, &[0; 8]);
        }
    }
}
