//! `auricle key`.

use std::process::ExitCode;

use anyhow::Result;
use auricle_tenancy::{KeyId, Scope};
use http::Method;
use serde_json::{Value, json};

use crate::args::{KeyArgs, KeyCommand};
use crate::commands::admin::{Client, Refused, field, name_of, print_json, time};
use crate::config::Config;

/// Creates, lists, revokes or replaces keys.
pub(super) fn run(config: &Config, args: &KeyArgs) -> Result<ExitCode> {
    let client = Client::new(config, &args.client)?;
    let json = args.client.json;
    let answered = match &args.command {
        KeyCommand::List { tenant } => {
            let path = match tenant {
                Some(tenant) => match name_of(tenant) {
                    Ok(tenant) => format!("keys?tenant={tenant}&"),
                    Err(refused) => return Ok(refused.exit_code()),
                },
                None => "keys?".to_owned(),
            };
            return match client.list(&path)? {
                Ok(keys) if json => print_json(&json!(keys)),
                Ok(keys) => Ok(list(&keys)),
                Err(refused) => Ok(refused.exit_code()),
            };
        }
        KeyCommand::Create {
            tenant,
            name,
            scopes,
            expires,
        } => {
            let scopes: Vec<Scope> = scopes.iter().map(|scope| (*scope).into()).collect();
            let body = json!({
                "tenant": tenant,
                "name": name,
                "scopes": scopes,
                "expires_in_secs": expires.map(|time| time.as_secs()),
            });
            client.ask(Method::POST, "keys", Some(&body))?
        }
        KeyCommand::Revoke { id } => change(&client, id, "revoke", &json!({}))?,
        KeyCommand::Rotate {
            id,
            overlap,
            expires,
        } => {
            let body = json!({
                "overlap_secs": overlap.as_secs(),
                "expires_in_secs": expires.map(|time| time.as_secs()),
            });
            change(&client, id, "rotate", &body)?
        }
    };
    match answered {
        Ok(answer) if json => print_json(&answer),
        Ok(answer) => Ok(show(&answer)),
        Err(refused) => Ok(refused.exit_code()),
    }
}

/// Does something to a key. What is no id is not repeated: it may be the whole key.
fn change(client: &Client, id: &str, act: &str, body: &Value) -> Result<Result<Value, Refused>> {
    if KeyId::parse(id).is_none() {
        let advice = "a key's id has 8 characters: what stands between sk- and the next '-'";
        return Ok(Err(Refused::wrong(advice)));
    }
    client.ask(Method::POST, &format!("keys/{id}/{act}"), Some(body))
}

/// A new key goes alone to standard output, for scripts; about it is told beside.
fn show(key: &Value) -> ExitCode {
    let about = format!(
        "key {} of {}: {}, {}, ends {}",
        text(field(key, "id"), "-"),
        text(field(key, "tenant"), "nobody"),
        scopes(key),
        text(field(key, "status"), "-"),
        time(field(key, "expires_at"), "never"),
    );
    match field(key, "secret").as_str() {
        Some(secret) => {
            eprintln!("{about}\nKeep it now, it is not shown again:");
            println!("{secret}");
        }
        None => println!("{about}"),
    }
    ExitCode::SUCCESS
}

fn list(keys: &[Value]) -> ExitCode {
    println!(
        "{:<8} {:<20} {:<18} {:<8} {:<16} {:<16} {:<16} NAME",
        "ID", "TENANT", "SCOPES", "STATUS", "CREATED", "ENDS", "LAST USED"
    );
    for key in keys {
        println!(
            "{:<8} {:<20} {:<18} {:<8} {:<16} {:<16} {:<16} {}",
            text(field(key, "id"), "-"),
            text(field(key, "tenant"), "-"),
            scopes(key),
            text(field(key, "status"), "-"),
            time(field(key, "created_at"), "-"),
            time(field(key, "expires_at"), "never"),
            time(field(key, "last_used_at"), "never"),
            text(field(key, "name"), ""),
        );
    }
    ExitCode::SUCCESS
}

fn scopes(key: &Value) -> String {
    let scopes = field(key, "scopes").as_array().into_iter().flatten();
    let names: Vec<&str> = scopes.filter_map(Value::as_str).collect();
    names.join(",")
}

fn text<'a>(value: &'a Value, none: &'a str) -> &'a str {
    value.as_str().unwrap_or(none)
}
