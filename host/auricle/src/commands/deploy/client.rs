//! The deployments of one tenant over the network: as its operator or as itself.

use std::time::Duration;

use anyhow::{Context, Result};
use auricle_gateway::admin::api::{PREFIX, SIGNATURE_HEADER};
use auricle_speech::TenantId;
use http::Method;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::Value;

use crate::args::DeployClientArgs;
use crate::commands::admin::{KEY_VARIABLE, Refused, all_pages, name_of};

/// Longest wait: compiling a large component takes minutes.
const TIMEOUT: Duration = Duration::from_secs(330);

/// Holds a tenant's key. A flag would be seen by everybody on the machine.
const TENANT_KEY_VARIABLE: &str = "AURICLE_KEY";

/// Largest answer: a component.
const MAX_ANSWER_BYTES: u64 = 128 << 20;

/// Entries of one page.
const PAGE: usize = 100;

/// What every path of a tenant's own begins with.
const TENANT_PREFIX: &str = "/deploy/v1/";

/// Asks a server about one tenant's deployments.
pub(in crate::commands) struct Client {
    agent: ureq::Agent,
    /// With everything before the path of a request.
    base: String,
    key: Option<String>,
}

impl Client {
    /// A client of the server that was named.
    pub(in crate::commands) fn new(args: &DeployClientArgs) -> Result<Result<Self, Refused>> {
        let key = |variable| std::env::var(variable).ok();
        let (base, key) = match (&args.admin_url, &args.server) {
            (Some(url), _) => {
                let default = TenantId::default_tenant();
                let tenant = args.tenant.as_deref().unwrap_or(default.as_str());
                let tenant = match name_of(tenant) {
                    Ok(tenant) => tenant,
                    Err(refused) => return Ok(Err(refused)),
                };
                let base = format!("{}{PREFIX}tenants/{tenant}/", url.trim_end_matches('/'));
                (base, key(KEY_VARIABLE))
            }
            (None, Some(url)) => {
                let base = format!("{}{TENANT_PREFIX}", url.trim_end_matches('/'));
                (base, key(TENANT_KEY_VARIABLE))
            }
            (None, None) => {
                return Ok(Err(Refused::wrong(
                    "deployments are changed by a running server: give --admin-url (of its admin \
                     listener), or --server and a key with scope deploy in AURICLE_KEY",
                )));
            }
        };
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            .build()
            .new_agent();
        Ok(Ok(Self { agent, base, key }))
    }

    /// Asks for something; `body` is JSON.
    pub(in crate::commands) fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Result<Value, Refused>> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let headers = [(CONTENT_TYPE.as_str(), "application/json")];
        let answer = self.send(method, path, &headers, body.as_bytes())?;
        answer.map(|bytes| parse(&bytes)).transpose_ok()
    }

    /// Sends a component.
    pub(in crate::commands) fn push(
        &self,
        component: &[u8],
        signature: Option<&str>,
    ) -> Result<Result<Value, Refused>> {
        let mut headers = vec![(CONTENT_TYPE.as_str(), "application/wasm")];
        headers.extend(signature.map(|signature| (SIGNATURE_HEADER, signature)));
        let answer = self.send(Method::POST, "components", &headers, component)?;
        answer.map(|bytes| parse(&bytes)).transpose_ok()
    }

    /// Fetches bytes.
    pub(in crate::commands) fn fetch(&self, path: &str) -> Result<Result<Vec<u8>, Refused>> {
        self.send(Method::GET, path, &[], b"")
    }

    /// All entries of a list, page by page. `path` ends with `?`.
    pub(in crate::commands) fn list(&self, path: &str) -> Result<Result<Vec<Value>, Refused>> {
        all_pages(path, PAGE, |page| self.ask(Method::GET, page, None))
    }

    fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Result<Vec<u8>, Refused>> {
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(key) = &self.key {
            request = request.header(AUTHORIZATION, format!("Bearer {key}"));
        }
        let request = request
            .body(body)
            .context("the address must be such as http://127.0.0.1:8001")?;
        let mut answer = self
            .agent
            .run(request)
            .with_context(|| format!("no answer from {}: is a server running there?", self.base))?;
        let status = answer.status();
        let bytes = answer
            .body_mut()
            .with_config()
            .limit(MAX_ANSWER_BYTES)
            .read_to_vec()
            .context("the answer broke off")?;
        if status.is_success() {
            return Ok(Ok(bytes));
        }
        let answer: Value = serde_json::from_slice(&bytes)
            .context("the answer is not this API's: check the address")?;
        let message = answer.pointer("/error/message").and_then(Value::as_str);
        let message = message.unwrap_or("the server refused");
        Ok(Err(Refused::of(status.as_u16(), message)))
    }
}

fn parse(bytes: &[u8]) -> Result<Value> {
    serde_json::from_slice(bytes).context("the answer is not this API's: check the address")
}

/// A refusal stays a refusal, and a failure becomes one of the whole.
trait TransposeOk<T, R> {
    fn transpose_ok(self) -> Result<Result<T, R>>;
}

impl<T, R> TransposeOk<T, R> for Result<Result<T>, R> {
    fn transpose_ok(self) -> Result<Result<T, R>> {
        match self {
            Ok(Ok(value)) => Ok(Ok(value)),
            Ok(Err(error)) => Err(error),
            Err(refused) => Ok(Err(refused)),
        }
    }
}
