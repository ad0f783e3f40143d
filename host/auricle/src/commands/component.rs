//! `auricle component`.

mod new;
mod project;
mod registry;
mod template;

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use auricle_deployment::signature::{SignedStatement, Statement, public_key, secret_key};
use auricle_tenancy::ComponentDigest;
use http::Method;
use serde_json::{Value, json};

use super::admin::{Refused, field, print_json, time};
use super::deploy::Client;
use crate::args::{ComponentArgs, ComponentCommand, SignerCommand};
pub(super) use registry::Registry;

pub(super) fn run(args: &ComponentArgs) -> Result<ExitCode> {
    match &args.command {
        ComponentCommand::New(args) => new::begin(args),
        ComponentCommand::Encode(args) => new::encode(args),
        ComponentCommand::Keygen { file } => keygen(file),
        ComponentCommand::Sign {
            file,
            key,
            role,
            generation,
            not_after,
            output,
        } => {
            let bytes = read(file)?;
            let statement = Statement {
                component: auricle_deployment::blobs::digest(&bytes),
                role: (*role).into(),
                generation: *generation,
                not_after: *not_after,
            };
            sign(statement, key, &signature_file(file, output.as_deref()))
        }
        ComponentCommand::Push {
            file,
            to: Some(reference),
            ..
        } => {
            let registry = Registry::named(reference)?
                .context("--to must be a registry, as oci://HOST/NAME:TAG")?;
            println!("{}", registry.push(read(file)?)?);
            Ok(ExitCode::SUCCESS)
        }
        ComponentCommand::Pull { component, output } if component.contains("://") => {
            let registry = Registry::named(component)?
                .context("a registry is named as oci://HOST/NAME:TAG")?;
            write(output, &registry.pull()?)?;
            Ok(ExitCode::SUCCESS)
        }
        command => {
            let client = match Client::new(&args.client)? {
                Ok(client) => client,
                Err(refused) => return Ok(refused.exit_code()),
            };
            match remote(&client, command, args.client.json)? {
                Ok(code) => Ok(code),
                Err(refused) => Ok(refused.exit_code()),
            }
        }
    }
}

fn remote(
    client: &Client,
    command: &ComponentCommand,
    as_json: bool,
) -> Result<Result<ExitCode, Refused>> {
    let answer = match command {
        ComponentCommand::Push {
            file, signature, ..
        } => {
            let bytes = read(file)?;
            let signature = signature.as_deref().map(read_text).transpose()?;
            client.push(&bytes, signature.as_deref())?
        }
        ComponentCommand::Pull { component, output } => {
            let Some(digest) = ComponentDigest::parse(component) else {
                return Ok(Err(Refused::wrong("a digest has 64 hexadecimal digits")));
            };
            return pull(client, &digest, output);
        }
        ComponentCommand::List => {
            return Ok(match client.list("components?")? {
                Ok(all) if as_json => Ok(print_json(&Value::Array(all))?),
                Ok(all) => Ok(list(&all)),
                Err(refused) => Err(refused),
            });
        }
        ComponentCommand::Remove { digest } => {
            client.ask(Method::DELETE, &format!("components/{digest}"), None)?
        }
        ComponentCommand::Signer { command } => match command {
            SignerCommand::Add { public_key } => {
                let body = json!({ "public_key": public_key });
                client.ask(Method::POST, "signers", Some(&body))?
            }
            SignerCommand::List => client.ask(Method::GET, "signers", None)?,
            SignerCommand::Remove { id } => {
                client.ask(Method::DELETE, &format!("signers/{id}"), None)?
            }
        },
        ComponentCommand::New(_)
        | ComponentCommand::Encode(_)
        | ComponentCommand::Keygen { .. }
        | ComponentCommand::Sign { .. } => {
            return Ok(Err(Refused::wrong("that needs no server")));
        }
    };
    Ok(answer.map(|answer| {
        match (as_json, command) {
            (false, ComponentCommand::Push { .. }) => {
                println!("{}", field(&answer, "id").as_str().unwrap_or_default());
            }
            _ => println!("{answer:#}"),
        }
        ExitCode::SUCCESS
    }))
}

fn pull(
    client: &Client,
    digest: &ComponentDigest,
    output: &Path,
) -> Result<Result<ExitCode, Refused>> {
    let bytes = match client.fetch(&format!("components/{digest}/content"))? {
        Ok(bytes) => bytes,
        Err(refused) => return Ok(Err(refused)),
    };
    anyhow::ensure!(
        auricle_deployment::blobs::digest(&bytes) == *digest,
        "the server sent other bytes than those of this digest: try again"
    );
    write(output, &bytes)?;
    Ok(Ok(ExitCode::SUCCESS))
}

fn list(components: &[Value]) -> ExitCode {
    println!(
        "{:<64}  {:>10}  {:<16}  SIGNED BY",
        "COMPONENT", "BYTES", "CREATED"
    );
    for component in components {
        let id = field(component, "id").as_str().unwrap_or_default();
        let created = time(field(component, "created_at"), "-");
        let signer = component.pointer("/signature/key").and_then(Value::as_str);
        println!(
            "{id:<64}  {:>10}  {created:<16}  {}",
            field(component, "bytes"),
            signer.unwrap_or("-")
        );
    }
    ExitCode::SUCCESS
}

fn keygen(file: &Path) -> Result<ExitCode> {
    let mut secret = [0; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut secret)?;
    let mut written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .with_context(|| format!("{}: name a file that is not there", file.display()))?;
    writeln!(written, "{}", hex::encode(secret))?;
    written.sync_all()?;
    println!("{}", public_key(&secret));
    Ok(ExitCode::SUCCESS)
}

fn sign(statement: Statement, key: &Path, output: &Path) -> Result<ExitCode> {
    let secret = secret_key(&read_text(key)?)
        .with_context(|| format!("{} is no file of `auricle component keygen`", key.display()))?;
    let signed = SignedStatement::sign(statement, &secret);
    std::fs::write(output, format!("{}\n", json!(signed)))
        .with_context(|| format!("{}", output.display()))?;
    println!("{}", output.display());
    Ok(ExitCode::SUCCESS)
}

fn signature_file(component: &Path, output: Option<&Path>) -> PathBuf {
    output.map_or_else(
        || {
            let mut name = component.as_os_str().to_owned();
            name.push(".sig");
            name.into()
        },
        Path::to_owned,
    )
}

fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(file, bytes).with_context(|| format!("{} cannot be written", file.display()))
}

pub(super) fn read(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))
}

pub(super) fn read_text(file: &Path) -> Result<String> {
    let text = std::fs::read_to_string(file);
    let text = text.with_context(|| format!("{} cannot be read", file.display()))?;
    Ok(text.trim().to_owned())
}
