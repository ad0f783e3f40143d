//! A Whisper model as a graph: samples in, text out.
//!
//! One input of f32, `[samples]` or `[1, samples]`, of any name: mono PCM at 16 kHz, -1.0 to 1.0
//! (beyond that it is clipped, and what is not finite is silence). One output, `transcript`: UTF-8
//! text as U8. The language is detected on the first 30 s; silence has an empty text.

use std::sync::Arc;
use std::time::Duration;

use auricle_capability::{GraphError, LoadedGraph, RequestScope};
use auricle_inference::{Lease, Scheduler, SpanJob, SpanResult, Work};
use auricle_speech::{
    CancelFlag, Clip, DecodeOptions, Language, MAX_CHUNK_SAMPLES, NamedTensor, SAMPLE_RATE, Span,
    Tensor, TensorData,
};
use futures::FutureExt;
use futures::future::BoxFuture;

use super::run;
use crate::meter::meter;
use crate::recognise::max_queued;
use crate::{classed, use_audio};

/// Name of the output.
const OUTPUT: &str = "transcript";

/// Longest sound of one computation: an hour.
const MAX_SAMPLES: u64 = 3600 * SAMPLE_RATE as u64;

/// A model that is loaded, and the device that runs it.
pub(super) struct Transcriber {
    lease: Lease,
    device: Arc<Scheduler>,
    batch_over: Duration,
}

impl Transcriber {
    pub(super) fn new(lease: Lease, device: Arc<Scheduler>, batch_over: Duration) -> Self {
        Self {
            lease,
            device,
            batch_over,
        }
    }
}

impl LoadedGraph for Transcriber {
    fn compute(
        &self,
        scope: &RequestScope,
        inputs: Vec<NamedTensor>,
    ) -> BoxFuture<'static, Result<Vec<NamedTensor>, GraphError>> {
        let (lease, device, scope) = (self.lease.clone(), Arc::clone(&self.device), scope.clone());
        let batch_over = self.batch_over;
        async move {
            let clip = clip_of(inputs)?;
            let scope = classed(&scope, clip.len_samples(), batch_over);
            use_audio(&scope, clip.len_samples())
                .map_err(|error| GraphError::Unavailable(error.to_string()))?;
            let call = Call {
                lease,
                device,
                scope,
                clip,
            };
            let text = call.transcribe().await?.into_bytes();
            let tensor = Tensor::new(vec![text.len() as u64], TensorData::U8(text));
            let tensor = tensor.map_err(|_| GraphError::Failed)?;
            Ok(vec![NamedTensor::new(OUTPUT, tensor)])
        }
        .boxed()
    }
}

/// One computation.
struct Call {
    lease: Lease,
    device: Arc<Scheduler>,
    scope: RequestScope,
    clip: Clip,
}

impl Call {
    async fn transcribe(&self) -> Result<String, GraphError> {
        let spans = spans(self.clip.len_samples());
        let language = match spans.first() {
            Some(first) if self.lease.engine().is_multilingual() => self.language(*first).await?,
            _ => Language::ENGLISH,
        };
        let mut texts = Vec::new();
        for span in spans {
            let options = DecodeOptions::default();
            let work = Work::Transcribe { language, options };
            let SpanResult::Segments(segments) = self.span(span, work).await? else {
                return Err(GraphError::Failed);
            };
            let found = segments
                .iter()
                .map(|segment| segment.text.trim().to_owned());
            texts.extend(found.filter(|text| !text.is_empty()));
        }
        Ok(texts.join(" "))
    }

    async fn language(&self, first: Span) -> Result<Language, GraphError> {
        let SpanResult::Languages(scores) = self.span(first, Work::DetectLanguage).await? else {
            return Err(GraphError::Failed);
        };
        Ok(scores
            .first()
            .map_or(Language::ENGLISH, |score| score.language))
    }

    async fn span(&self, span: Span, work: Work) -> Result<SpanResult, GraphError> {
        let job = || SpanJob {
            tenant: self.scope.tenant.clone(),
            class: self.scope.class,
            lease: self.lease.clone(),
            clip: self.clip.clone(),
            span,
            work: work.clone(),
            cancel: CancelFlag::new(),
            deadline: Some(self.scope.deadline),
            max_queued: max_queued(&self.scope),
            meter: Some(meter(&self.scope)),
        };
        run(&self.device, job, self.scope.deadline).await
    }
}

/// The sound in the inputs.
fn clip_of(inputs: Vec<NamedTensor>) -> Result<Clip, GraphError> {
    let invalid = |text: String| Err(GraphError::InvalidArgument(text));
    let count = inputs.len();
    let mut inputs = inputs.into_iter();
    let (Some(NamedTensor { name, tensor }), None) = (inputs.next(), inputs.next()) else {
        return invalid(format!("a speech model takes one input and not {count}"));
    };
    let shape = tensor.shape().to_vec();
    if !matches!(shape.as_slice(), [_] | [1, _]) {
        return invalid(format!(
            "tensor '{name}' has the shape {shape:?} and must be [samples] or [1, samples]"
        ));
    }
    let found = tensor.data().element_type();
    match tensor.into_f32() {
        Some(samples) if samples.is_empty() => invalid(format!("tensor '{name}' is empty")),
        Some(samples) if samples.len() as u64 > MAX_SAMPLES => Err(GraphError::TooLarge(format!(
            "tensor '{name}' has more than {MAX_SAMPLES} samples"
        ))),
        Some(samples) => Ok(Clip::new(samples)),
        None => invalid(format!("tensor '{name}' is {found} and must be f32")),
    }
}

/// The model's windows, one after the other.
fn spans(length_samples: u64) -> Vec<Span> {
    (0..length_samples.div_ceil(MAX_CHUNK_SAMPLES))
        .map(|number| Span {
            start: number * MAX_CHUNK_SAMPLES,
            end: length_samples.min((number + 1) * MAX_CHUNK_SAMPLES),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn input(shape: &[u64], data: TensorData) -> NamedTensor {
        NamedTensor::new("x", Tensor::new(shape.to_vec(), data).unwrap())
    }

    fn sound(shape: &[u64]) -> NamedTensor {
        let len = shape.iter().product::<u64>() as usize;
        input(shape, TensorData::F32(vec![0.5; len]))
    }

    #[test]
    fn samples_of_one_channel_are_a_clip() {
        for shape in [vec![3], vec![1, 3], vec![1]] {
            let clip = clip_of(vec![sound(&shape)]).unwrap();
            assert_eq!(clip.len_samples(), shape.iter().product::<u64>());
        }
        let odd = vec![f32::NAN, f32::INFINITY, 7.0];
        let clip = clip_of(vec![input(&[3], TensorData::F32(odd))]).unwrap();
        assert!(clip.samples().iter().all(|s| (-1.0..=1.0).contains(s)));
    }

    #[test]
    fn what_is_no_sound_is_refused_by_kind() {
        let refused: Vec<Vec<NamedTensor>> = vec![
            vec![],
            vec![sound(&[3]), sound(&[3])],
            vec![sound(&[0])],
            vec![sound(&[1, 0])],
            vec![sound(&[])],
            vec![sound(&[2, 3])],
            vec![sound(&[1, 1, 3])],
            vec![input(&[3], TensorData::F64(vec![0.0; 3]))],
            vec![input(&[3], TensorData::I32(vec![0; 3]))],
            vec![input(&[3], TensorData::I64(vec![0; 3]))],
            vec![input(&[3], TensorData::U8(vec![0; 3]))],
        ];
        for inputs in refused {
            let told = format!("{inputs:?}");
            let error = clip_of(inputs).unwrap_err();
            assert!(matches!(error, GraphError::InvalidArgument(_)), "{told}");
        }
        let long = clip_of(vec![sound(&[MAX_SAMPLES + 1])]).unwrap_err();
        assert!(matches!(long, GraphError::TooLarge(_)));
    }

    #[test]
    fn windows_cover_a_sound_and_fit_the_model() {
        for length in [1, MAX_CHUNK_SAMPLES, MAX_CHUNK_SAMPLES + 1, MAX_SAMPLES] {
            let mut end = 0;
            for span in spans(length) {
                assert_eq!(span.start, end);
                assert!((1..=MAX_CHUNK_SAMPLES).contains(&span.len_samples()));
                end = span.end;
            }
            assert_eq!(end, length);
        }
    }
}
