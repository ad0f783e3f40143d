//! What the verbs of operators share: asking the admin API, of a running server or of none.
//!
//! With an address the API is asked over the network. Without one the same API is called in this
//! process, on the store in the data directory: that works before a first start and beside a server
//! that runs, with the same answers.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use auricle_gateway::admin::api::{Call, PREFIX};
use auricle_speech::TenantId;
use auricle_tenancy::{Actor, CredentialConfig, Quotas, SqliteStore, Tenancy};
use http::Method;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::Value;

use crate::args::ClientArgs;
use crate::config::Config;

/// Exit code when there is no such tenant or key.
const NOT_THERE: u8 = 4;

/// Exit code when it may not be done.
const REFUSED: u8 = 5;

/// Longest wait for a server's answer; its store waits 5 s for another process.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Entries of one page.
pub(super) const PAGE: usize = 1_000;

/// Holds the key for a server that asks for one. A flag would be seen by everybody on the machine.
pub(super) const KEY_VARIABLE: &str = "AURICLE_ADMIN_KEY";

/// Asks the admin API.
pub(super) struct Client {
    place: Place,
}

enum Place {
    Server { url: String, agent: ureq::Agent },
    Store { tenancy: Arc<Tenancy> },
}

/// What the API did not do: its status and its words.
pub(super) struct Refused {
    status: u16,
    message: String,
}

impl Refused {
    /// What was typed cannot be meant.
    pub(super) fn wrong(message: impl Into<String>) -> Self {
        Self {
            status: 400,
            message: message.into(),
        }
    }

    /// What the API said.
    pub(super) fn of(status: u16, message: &str) -> Self {
        Self {
            status,
            message: message.to_owned(),
        }
    }

    /// Prints the words and gives the code that stands for them.
    pub(super) fn exit_code(self) -> ExitCode {
        eprintln!("auricle: {}", self.message);
        match self.status {
            404 => ExitCode::from(NOT_THERE),
            401 | 403 | 409 | 421 | 429 => ExitCode::from(REFUSED),
            400..=499 => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}

impl Client {
    /// A client of the server at `args.admin_url`, or of the data directory.
    pub(super) fn new(config: &Config, args: &ClientArgs) -> Result<Self> {
        let place = match &args.admin_url {
            Some(url) => Place::Server {
                url: url.trim_end_matches('/').to_owned(),
                agent: ureq::Agent::config_builder()
                    .http_status_as_error(false)
                    .timeout_global(Some(TIMEOUT))
                    .build()
                    .new_agent(),
            },
            None => {
                let store = Arc::new(SqliteStore::open(&config.data_dir)?);
                let credentials = CredentialConfig::default();
                let tenancy = Tenancy::new(&credentials, Some(store), Quotas::default())?;
                Place::Store { tenancy }
            }
        };
        Ok(Self { place })
    }

    /// Asks for `path` below the API's; `body` is nothing for GET and DELETE.
    pub(super) fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Result<Value, Refused>> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let (status, text) = match &self.place {
            Place::Server { url, agent } => over_network(url, agent, method, path, body)?,
            Place::Store { tenancy } => in_process(tenancy, &method, path, &body),
        };
        let answer: Value = serde_json::from_str(&text)
            .context("the answer is not the admin API's: check --admin-url")?;
        if (200..300).contains(&status) {
            return Ok(Ok(answer));
        }
        let message = answer.pointer("/error/message").and_then(Value::as_str);
        Ok(Err(Refused {
            status,
            message: message.unwrap_or("the server refused").to_owned(),
        }))
    }

    /// All entries of a list, page by page. `path` has a query.
    pub(super) fn list(&self, path: &str) -> Result<Result<Vec<Value>, Refused>> {
        all_pages(path, PAGE, |page| self.ask(Method::GET, page, None))
    }
}

/// All entries of a list, asked for in pages of `size`. `path` has a query.
pub(super) fn all_pages(
    path: &str,
    size: usize,
    ask: impl Fn(&str) -> Result<Result<Value, Refused>>,
) -> Result<Result<Vec<Value>, Refused>> {
    let mut all = Vec::new();
    let mut after = String::new();
    loop {
        let mut answer = match ask(&format!("{path}limit={size}{after}"))? {
            Ok(answer) => answer,
            Err(refused) => return Ok(Err(refused)),
        };
        if let Some(Value::Array(data)) = answer.get_mut("data") {
            all.append(data);
        }
        // Names are text, revisions are numbers.
        let last = all.last().map(|entry| match field(entry, "id") {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        match (field(&answer, "has_more").as_bool(), last) {
            (Some(true), Some(last)) => after = format!("&after={last}"),
            _ => return Ok(Ok(all)),
        }
    }
}

fn over_network(
    url: &str,
    agent: &ureq::Agent,
    method: Method,
    path: &str,
    body: String,
) -> Result<(u16, String)> {
    let mut request = http::Request::builder()
        .method(method)
        .uri(format!("{url}{PREFIX}{path}"));
    if let Ok(key) = std::env::var(KEY_VARIABLE) {
        request = request.header(AUTHORIZATION, format!("Bearer {key}"));
    }
    let request = request
        .header(CONTENT_TYPE, "application/json")
        .body(body)
        .context("--admin-url must be an address such as http://127.0.0.1:8001")?;
    let mut answer = agent.run(request).with_context(|| {
        format!("no answer from {url}: is a server with --admin-listen running there?")
    })?;
    let text = answer
        .body_mut()
        .read_to_string()
        .context("the answer broke off")?;
    Ok((answer.status().as_u16(), text))
}

fn in_process(tenancy: &Tenancy, method: &Method, path: &str, body: &str) -> (u16, String) {
    let path = format!("{PREFIX}{path}");
    let (path, query) = match path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path.as_str(), None),
    };
    let call = Call {
        actor: &Actor::local(),
        method,
        path,
        query,
        body: body.as_bytes(),
        signature: None,
        control_plane: None,
    };
    let answer = call.answer(tenancy);
    let text = String::from_utf8_lossy(answer.body().bytes()).into_owned();
    (answer.status().as_u16(), text)
}

/// A field of an answer; `null` where it is not there.
pub(super) fn field<'a>(answer: &'a Value, name: &str) -> &'a Value {
    answer.get(name).unwrap_or(&Value::Null)
}

/// A name that can be part of a path: what cannot be a tenant's could be another path.
pub(super) fn name_of(tenant: &str) -> Result<TenantId, Refused> {
    TenantId::new(tenant).map_err(|error| Refused::wrong(error.to_string()))
}

/// Prints an answer as JSON.
pub(super) fn print_json(value: &Value) -> Result<ExitCode> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(ExitCode::SUCCESS)
}

/// Unix time as `2026-11-24 23:05` (UTC), or a word for none.
pub(super) fn time(value: &Value, none: &str) -> String {
    let Some(secs) = value.as_u64() else {
        return none.to_owned();
    };
    let (year, month, day) = civil(secs / 86_400);
    let (hour, minute) = (secs / 3600 % 24, secs / 60 % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}")
}

/// The date of a day counted from 1970-01-01. Years begin in March here, so that the leap day is
/// the last one, and go in eras of 400 years, which are all as long as each other.
fn civil(days: u64) -> (u64, u64, u64) {
    const DAYS_PER_ERA: u64 = 146_097;
    // From 0000-03-01.
    let days = days + 719_468;
    let (era, day_of_era) = (days / DAYS_PER_ERA, days % DAYS_PER_ERA);
    let leap_days = day_of_era / 1_460 + day_of_era / 146_096 - day_of_era / 36_524;
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // From March on, five months have 153 days.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let (month, next_year) = match month_from_march {
        0..=9 => (month_from_march + 3, 0),
        _ => (month_from_march - 9, 1),
    };
    (era * 400 + year_of_era + next_year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_dates() {
        for (secs, text) in [
            (0_u64, "1970-01-01 00:00"),
            (951_782_400, "2000-02-29 00:00"),
            (1_709_164_799, "2024-02-28 23:59"),
            (1_795_561_500, "2026-11-24 23:05"),
            (4_107_542_400, "2100-03-01 00:00"),
        ] {
            assert_eq!(time(&secs.into(), "never"), text);
        }
        assert_eq!(time(&Value::Null, "never"), "never");
    }
}
