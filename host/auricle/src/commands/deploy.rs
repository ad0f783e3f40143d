//! `auricle deploy`, and the client of a server's deployments.

mod client;
mod print;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;
use auricle_tenancy::{ComponentDigest, Role};
use http::Method;
use serde_json::{Map, Value, json};

use super::admin::{Refused, field, print_json};
use super::component;
use crate::args::{DeployArgs, DeployCommand, SetArgs, StepArgs};

pub(super) use client::Client;

/// How often a watched file is looked at.
const WATCH: Duration = Duration::from_millis(100);

pub(super) fn run(args: &DeployArgs) -> Result<ExitCode> {
    let client = match Client::new(&args.client)? {
        Ok(client) => client,
        Err(refused) => return Ok(refused.exit_code()),
    };
    if let DeployCommand::Set(set) = &args.command
        && set.watch
    {
        return watch(&client, set);
    }
    let as_json = args.client.json;
    Ok(match ask(&client, &args.command, as_json)? {
        Ok(code) => code,
        Err(refused) => refused.exit_code(),
    })
}

fn ask(
    client: &Client,
    command: &DeployCommand,
    as_json: bool,
) -> Result<Result<ExitCode, Refused>> {
    if let DeployCommand::History { role } = command {
        let path = format!("deployments/{}/history?", name(*role));
        return Ok(match client.list(&path)? {
            Ok(all) if as_json => Ok(print_json(&Value::Array(all))?),
            Ok(all) => Ok(print::history(&all)),
            Err(refused) => Err(refused),
        });
    }
    let answer = match command {
        DeployCommand::Set(set) => deploy(client, set)?,
        DeployCommand::Status { role: Some(role) } => {
            client.ask(Method::GET, &format!("deployments/{}", name(*role)), None)?
        }
        DeployCommand::Status { role: None } => client.ask(Method::GET, "deployments", None)?,
        DeployCommand::Promote(act) => step(client, act, "promote")?,
        DeployCommand::Abandon(act) => step(client, act, "abandon")?,
        DeployCommand::Rollback(act) => step(client, act, "rollback")?,
        DeployCommand::History { .. } => return Ok(Err(Refused::wrong("no such verb"))),
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(refused) => return Ok(Err(refused)),
    };
    if as_json {
        return Ok(Ok(print_json(&answer)?));
    }
    match field(&answer, "data") {
        Value::Array(all) => all.iter().for_each(print::status),
        _ => print::status(&answer),
    }
    Ok(Ok(ExitCode::SUCCESS))
}

/// Makes a revision; of a file, which is pushed first.
fn deploy(client: &Client, set: &SetArgs) -> Result<Result<Value, Refused>> {
    let settings = match set.settings() {
        Ok(settings) => settings,
        Err(advice) => return Ok(Err(Refused::wrong(advice))),
    };
    let component = match &set.component {
        None => None,
        Some(named) if ComponentDigest::parse(named).is_some() && !Path::new(named).exists() => {
            Some(named.clone())
        }
        Some(file) => {
            let bytes = component::read(Path::new(file))?;
            let signature = set.signature.as_deref().map(component::read_text);
            match client.push(&bytes, signature.transpose()?.as_deref())? {
                Ok(pushed) => field(&pushed, "id").as_str().map(str::to_owned),
                Err(refused) => return Ok(Err(refused)),
            }
        }
    };
    let settings = settings.into_iter();
    let configuration: Map<String, Value> = settings
        .map(|(key, value)| (key.to_owned(), json!(value)))
        .collect();
    let graphs: Vec<&String> = set.grants.iter().flatten().collect();
    let mut body = json!({
        "component": component,
        "configuration": configuration,
        "graphs": graphs,
    });
    let trial = set.canary.map(|percent| ("canary", percent));
    let trial = trial.or(set.shadow.map(|percent| ("shadow", percent)));
    if let (Some((kind, percent)), Some(fields)) = (trial, body.as_object_mut()) {
        let trial = json!({
            "kind": kind, "percent": percent, "promote_after_secs": set.promote_after,
        });
        fields.insert("trial".to_owned(), trial);
    }
    let path = format!("deployments/{}/revisions", name(set.role));
    client.ask(Method::POST, &path, Some(&body))
}

fn step(client: &Client, act: &StepArgs, verb: &str) -> Result<Result<Value, Refused>> {
    let path = format!("deployments/{}/{verb}", name(act.role));
    let body = json!({ "revision": act.revision, "reason": act.reason });
    client.ask(Method::POST, &path, Some(&body))
}

/// Deploys a file now and whenever it has changed. A refusal is printed, and the next change waited
/// for: it is what a half-written or wrong file gets.
fn watch(client: &Client, set: &SetArgs) -> Result<ExitCode> {
    let file = set.component.as_deref().unwrap_or_default();
    let changed_at = |path: &str| -> Option<(SystemTime, u64)> {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    let mut seen = None;
    loop {
        let now = changed_at(file);
        if now.is_some() && now != seen {
            seen = now;
            let since = Instant::now();
            match deploy(client, set)? {
                Ok(status) => {
                    let number = field(&status, "deployed");
                    println!(
                        "revision {number} serves after {} ms",
                        since.elapsed().as_millis()
                    );
                }
                Err(refused) => {
                    refused.exit_code();
                }
            }
        }
        std::thread::sleep(WATCH);
    }
}

fn name(role: impl Into<Role>) -> &'static str {
    role.into().as_str()
}
