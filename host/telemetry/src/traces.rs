//! Traces: what a request spent its time on, sent to a collector where one is configured.
//!
//! Owns the exporter (OTLP over HTTP) and the names of the spans; `docs/metrics.md` is held against
//! them. Steps are spans of `tracing` with the target [`TARGET`], which nothing looks at unless a
//! collector is configured: without one a step costs a comparison. A request that carries a W3C
//! `traceparent` continues that trace, and its sampling.
//!
//! Spans wait in a queue of 2,048 and leave every few seconds from a thread of the exporter's own;
//! a collector that is slow or gone costs spans and never a request. [`Traces::stop`] sends the
//! rest.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{Status, TraceContextExt, TracerProvider};
use opentelemetry_http::{HeaderExtractor, HttpClient, HttpError};
use opentelemetry_otlp::{ExporterBuildError, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::{Level, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;

use crate::names;

/// Target of the spans of a request's steps.
pub const TARGET: &str = "auricle::trace";

/// How long one delivery may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long the last delivery may take.
const LAST_TIMEOUT: Duration = Duration::from_secs(5);

/// The names of the spans of a request's steps. The request's own is named by method and route.
pub const STEPS: [&str; 8] = [
    "guest",
    "decode",
    "transcribe",
    "chunk",
    "detect_language",
    "recognise",
    "diarize",
    "assign",
];

/// The span of a step (one of [`STEPS`]) with its fields: `step!("recognise", start_secs = 1.5)`.
#[macro_export]
macro_rules! step {
    ($name:literal $(, $($fields:tt)*)?) => {
        $crate::tracing::debug_span!(target: $crate::traces::TARGET, $name $(, $($fields)*)?)
    };
}

/// Where traces go.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceConfig {
    /// The collector's base URL, `http://127.0.0.1:4318`; `/v1/traces` is put behind it.
    pub endpoint: String,
    /// The share of requests that is traced, 0.0..=1.0, of those that do not say it themselves.
    pub sample_ratio: f64,
}

/// Why there are no traces.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The share is no share.
    #[error("the share of requests to trace must be from 0 to 1, not {0}")]
    Ratio(f64),
    /// The exporter does not take the address.
    #[error("the trace collector '{endpoint}' cannot be used: give a URL as http://127.0.0.1:4318")]
    Endpoint {
        /// As configured.
        endpoint: String,
        /// What the exporter says.
        source: ExporterBuildError,
    },
}

/// The exporter; lives as long as the process traces.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Makes the exporter ready. Connects to nothing yet.
    ///
    /// # Errors
    /// [`TraceError`].
    pub fn start(config: &TraceConfig) -> Result<Self, TraceError> {
        let ratio = config.sample_ratio;
        if !(0.0..=1.0).contains(&ratio) {
            return Err(TraceError::Ratio(ratio));
        }
        let base = config.endpoint.trim_end_matches('/');
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(Client::new())
            .with_endpoint(format!("{base}/v1/traces"))
            .with_timeout(TIMEOUT)
            .build()
            .map_err(|source| TraceError::Endpoint {
                endpoint: config.endpoint.clone(),
                source,
            })?;
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio)));
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(sampler)
            .with_resource(Resource::builder().with_service_name("auricle").build())
            .build();
        Ok(Self { provider })
    }

    /// The layer that makes traces of spans; to be put beside the log's.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: tracing::Subscriber + for<'span> LookupSpan<'span>,
    {
        let ours = Targets::new().with_target(TARGET, Level::DEBUG);
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("auricle"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_filter(ours)
    }

    /// Sends what waits, for at most 5 s, and stops.
    pub fn stop(&self) {
        if let Err(error) = self.provider.shutdown_with_timeout(LAST_TIMEOUT) {
            tracing::warn!(%error, "the last traces were not delivered");
        }
    }
}

/// The span of a request, the root of its steps. It is apart from the log's, whose lines would carry
/// its fields.
#[must_use]
pub fn request(method: &Method, path: &str, headers: &HeaderMap, id: &str) -> Span {
    let route = names::route(path);
    let span = tracing::debug_span!(
        target: TARGET,
        "request",
        otel.name = %format_args!("{method} {route}"),
        otel.kind = "server",
        http.request.method = %method,
        http.route = route,
        auricle.request_id = id,
    );
    if headers.contains_key("traceparent") {
        let parent = TraceContextPropagator::new().extract(&HeaderExtractor(headers));
        if parent.span().span_context().is_valid() {
            // It fails where nothing traces.
            let _ = span.set_parent(parent);
        }
    }
    span
}

/// Tells a request's span how it ended. 5xx are failures of the server's.
pub fn ended(span: &Span, status: u16) {
    span.set_attribute("http.response.status_code", i64::from(status));
    if status >= 500 {
        span.set_status(Status::error(format!("HTTP {status}")));
    }
}

/// Delivers to the collector. The exporter calls it from a thread of its own, which may block.
#[derive(Debug)]
struct Client(ureq::Agent);

impl Client {
    fn new() -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .max_redirects(0)
            // A refusal is an answer: the exporter looks at the status.
            .http_status_as_error(false)
            .build();
        Self(config.into())
    }
}

#[async_trait::async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.0.run(request.map(|body| body.to_vec()))?;
        let (head, mut body) = answer.into_parts();
        Ok(Response::from_parts(head, body.read_to_vec()?.into()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn config(endpoint: &str, sample_ratio: f64) -> TraceConfig {
        TraceConfig {
            endpoint: endpoint.into(),
            sample_ratio,
        }
    }

    #[test]
    fn a_share_outside_its_range_and_an_address_that_is_none_are_refused() {
        for ratio in [-0.1, 1.1, f64::NAN] {
            let error = Traces::start(&config("http://127.0.0.1:1", ratio)).unwrap_err();
            assert!(matches!(error, TraceError::Ratio(_)), "{error}");
        }
        let error = Traces::start(&config("http://[::", 1.0)).unwrap_err();
        assert!(error.to_string().contains("http://[::"), "{error}");
    }
}
