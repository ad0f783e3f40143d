//! `auricle tenant`.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use http::Method;
use serde_json::{Map, Value, json};

use crate::args::{QuotaArgs, TenantArgs, TenantCommand};
use crate::commands::admin::{Client, Refused, field, name_of, print_json, time};
use crate::config::Config;

/// The word for what the server's configuration says.
const DEFAULT: &str = "default";

/// Creates, lists, shows, changes or removes tenants.
pub(super) fn run(config: &Config, args: &TenantArgs) -> Result<ExitCode> {
    let client = Client::new(config, &args.client)?;
    let json = args.client.json;
    let answered = match &args.command {
        TenantCommand::List => {
            return match client.list("tenants?")? {
                Ok(tenants) if json => print_json(&json!(tenants)),
                Ok(tenants) => Ok(list(&tenants)),
                Err(refused) => Ok(refused.exit_code()),
            };
        }
        TenantCommand::Create { tenant, quotas } => {
            let body = json!({ "id": tenant, "quotas": values(quotas)? });
            client.ask(Method::POST, "tenants", Some(&body))?
        }
        TenantCommand::Show { tenant } => about(&client, Method::GET, tenant, None)?,
        TenantCommand::Set { tenant, quotas } => {
            let quotas = values(quotas)?;
            if quotas.is_empty() {
                bail!("name a quota to set; `auricle tenant set --help` lists them");
            }
            let body = json!({ "quotas": quotas });
            about(&client, Method::PATCH, tenant, Some(&body))?
        }
        TenantCommand::Remove { tenant } => about(&client, Method::DELETE, tenant, None)?,
    };
    match answered {
        Ok(answer) if json => print_json(&answer),
        Ok(answer) if field(&answer, "deleted").as_bool() == Some(true) => {
            println!("removed {}", text(field(&answer, "id")));
            Ok(ExitCode::SUCCESS)
        }
        Ok(answer) => Ok(show(&answer)),
        Err(refused) => Ok(refused.exit_code()),
    }
}

/// Asks about one tenant.
fn about(
    client: &Client,
    method: Method,
    tenant: &str,
    body: Option<&Value>,
) -> Result<Result<Value, Refused>> {
    match name_of(tenant) {
        Ok(tenant) => client.ask(method, &format!("tenants/{tenant}"), body),
        Err(refused) => Ok(Err(refused)),
    }
}

/// The quotas that were named, as the API takes them.
fn values(quotas: &QuotaArgs) -> Result<Map<String, Value>> {
    let numbers = [
        ("requests_per_minute", &quotas.requests_per_minute),
        ("audio_secs_per_minute", &quotas.audio_secs_per_minute),
        ("device_secs_per_minute", &quotas.device_secs_per_minute),
        ("max_requests", &quotas.max_requests),
        ("max_sessions", &quotas.max_sessions),
        ("max_queued_audio_secs", &quotas.max_queued_audio_secs),
        ("max_host_bytes", &quotas.max_host_bytes),
        (
            "guest_cpu_secs_per_minute",
            &quotas.guest_cpu_secs_per_minute,
        ),
        ("max_guest_memory_bytes", &quotas.max_guest_memory_bytes),
        (
            "max_stored_component_bytes",
            &quotas.max_stored_component_bytes,
        ),
        ("max_revisions", &quotas.max_revisions),
        ("deploy_acts_per_minute", &quotas.deploy_acts_per_minute),
        ("compile_secs_per_minute", &quotas.compile_secs_per_minute),
    ];
    let mut values = Map::new();
    for (name, typed) in numbers {
        let value = match typed.as_deref() {
            None => continue,
            Some(DEFAULT) => Value::Null,
            Some(digits) => {
                let number: u64 = digits
                    .parse()
                    .with_context(|| format!("{name} must be a number, or `{DEFAULT}`"))?;
                json!(number)
            }
        };
        values.insert(name.to_owned(), value);
    }
    for (name, typed) in [("models", &quotas.models), ("graphs", &quotas.graphs)] {
        let value = match typed.as_deref() {
            None => continue,
            Some(DEFAULT) => Value::Null,
            Some(names) => {
                let names = names.split(',').map(str::trim);
                let names: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
                json!(names)
            }
        };
        values.insert(name.to_owned(), value);
    }
    Ok(values)
}

fn list(tenants: &[Value]) -> ExitCode {
    println!("{:<30} {:<16} QUOTAS", "TENANT", "CREATED");
    for tenant in tenants {
        let created = time(field(tenant, "created_at"), "-");
        let quotas: Vec<String> = own_quotas(tenant)
            .map(|(name, value)| format!("{name}={}", text(value)))
            .collect();
        println!(
            "{:<30} {created:<16} {}",
            text(field(tenant, "id")),
            quotas.join(" ")
        );
    }
    ExitCode::SUCCESS
}

fn show(tenant: &Value) -> ExitCode {
    println!("{:<26} {}", "tenant", text(field(tenant, "id")));
    println!(
        "{:<26} {}",
        "created",
        time(field(tenant, "created_at"), "-")
    );
    for (name, value) in own_quotas(tenant) {
        println!("{name:<26} {}", text(value));
    }
    ExitCode::SUCCESS
}

/// Quotas that are the tenant's own.
fn own_quotas(tenant: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let quotas = field(tenant, "quotas").as_object().into_iter().flatten();
    quotas.filter(|(_, value)| !value.is_null())
}

/// A value for people.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(names) if names.is_empty() => "none".to_owned(),
        Value::Array(names) => names.iter().map(text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}
