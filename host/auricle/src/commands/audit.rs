//! `auricle audit`.

use std::process::ExitCode;

use anyhow::Result;
use http::Method;
use serde_json::{Value, json};

use crate::args::AuditArgs;
use crate::commands::admin::{Client, PAGE, Refused, field, name_of, print_json, time};
use crate::config::Config;

/// Prints who changed what, newest first.
pub(super) fn run(config: &Config, args: &AuditArgs) -> Result<ExitCode> {
    let client = Client::new(config, &args.client)?;
    let acts = match read(&client, args)? {
        Ok(acts) => acts,
        Err(refused) => return Ok(refused.exit_code()),
    };
    if args.client.json {
        return print_json(&json!(acts));
    }
    println!(
        "{:<6} {:<16} {:<12} {:<16} {:<24} {:<24} DETAIL",
        "ID", "AT (UTC)", "ACTOR", "ACTION", "TENANT", "SUBJECT"
    );
    for act in &acts {
        println!(
            "{:<6} {:<16} {:<12} {:<16} {:<24} {:<24} {}",
            field(act, "id"),
            time(field(act, "at"), "-"),
            text(act, "actor"),
            text(act, "action"),
            text(act, "tenant"),
            text(act, "subject"),
            field(act, "detail")
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// The newest acts, page by page.
fn read(client: &Client, args: &AuditArgs) -> Result<Result<Vec<Value>, Refused>> {
    let tenant = match args.tenant.as_deref().map(name_of).transpose() {
        Ok(tenant) => tenant.map_or_else(String::new, |tenant| format!("&tenant={tenant}")),
        Err(refused) => return Ok(Err(refused)),
    };
    let most = args.limit as usize;
    let mut acts: Vec<Value> = Vec::new();
    loop {
        let limit = (most - acts.len()).min(PAGE);
        let after = acts.last().map(|act| field(act, "id").to_string());
        let after = after.map_or_else(String::new, |id| format!("&after={id}"));
        let path = format!("audit?limit={limit}{tenant}{after}");
        let mut answer = match client.ask(Method::GET, &path, None)? {
            Ok(answer) => answer,
            Err(refused) => return Ok(Err(refused)),
        };
        let before = acts.len();
        if let Some(Value::Array(page)) = answer.get_mut("data") {
            acts.append(page);
        }
        let has_more = field(&answer, "has_more").as_bool() == Some(true);
        if !has_more || acts.len() >= most || acts.len() == before {
            return Ok(Ok(acts));
        }
    }
}

fn text<'a>(act: &'a Value, name: &str) -> &'a str {
    field(act, name).as_str().unwrap_or("-")
}
