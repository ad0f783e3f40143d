//! The verbs of whoever brings components, as typed.

use std::path::PathBuf;

use auricle_tenancy::Role;
use clap::{Args, Subcommand, ValueEnum};

use super::component::{EncodeArgs, NewArgs};

/// Which server, and whose deployments.
#[derive(Clone, Debug, Args)]
pub struct DeployClientArgs {
    /// Admin API of the server, as http://127.0.0.1:8001, for whoever runs it; a key with scope
    /// `admin` is read from the variable AURICLE_ADMIN_KEY.
    #[arg(long, global = true, env = "AURICLE_ADMIN_URL", value_name = "URL")]
    pub admin_url: Option<String>,
    /// The server, as http://127.0.0.1:8000, for a tenant; its key with scope `deploy` is read from
    /// the variable AURICLE_KEY.
    #[arg(
        long,
        global = true,
        env = "AURICLE_SERVER",
        value_name = "URL",
        conflicts_with = "admin_url"
    )]
    pub server: Option<String>,
    /// Whose deployments, with --admin-url. Default: `default`.
    #[arg(long, global = true, value_name = "TENANT", conflicts_with = "server")]
    pub tenant: Option<String>,
    /// Print JSON.
    #[arg(long, global = true)]
    pub json: bool,
}

/// `auricle component`.
#[derive(Debug, Args)]
pub struct ComponentArgs {
    /// Where it works.
    #[command(flatten)]
    pub client: DeployClientArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: ComponentCommand,
}

/// What to do with components.
#[derive(Debug, Subcommand)]
pub enum ComponentCommand {
    /// Write a small project of a component, ready to be built.
    New(NewArgs),
    /// Make a component of a core module, such as a Rust project's build yields.
    Encode(EncodeArgs),
    /// Send a component to the server and print its digest; it does not serve yet. With --to, to a
    /// registry instead.
    Push {
        /// The `.wasm` file.
        file: PathBuf,
        /// A registry, as oci://HOST/NAME:TAG; its name and password are read from the variables
        /// AURICLE_REGISTRY_USER and AURICLE_REGISTRY_PASSWORD, and go to the registry that
        /// AURICLE_REGISTRY names alone. Prints the manifest's digest.
        #[arg(long, value_name = "REFERENCE", conflicts_with = "signature")]
        to: Option<String>,
        /// What `auricle component sign` wrote about it.
        #[arg(long, value_name = "FILE")]
        signature: Option<PathBuf>,
    },
    /// Fetch a component from the server, or from a registry.
    Pull {
        /// Its digest, or oci://HOST/NAME:TAG.
        #[arg(value_name = "DIGEST|REFERENCE")]
        component: String,
        /// Where to write it.
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
    },
    /// List components.
    List,
    /// Remove a component that is not in use.
    Remove {
        /// Its digest.
        digest: String,
    },
    /// Make a key for signing: the secret one into a file that only you can read, the public one on
    /// standard output.
    Keygen {
        /// The file.
        file: PathBuf,
    },
    /// Sign a component.
    Sign {
        /// The `.wasm` file.
        file: PathBuf,
        /// The file that `keygen` made.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// What it may be deployed as.
        #[arg(long, value_enum)]
        role: RoleArg,
        /// A number that rises with every release.
        #[arg(long, value_name = "N")]
        generation: u64,
        /// Unix time, in seconds, after which it is not deployed any more. Default: never.
        #[arg(long, value_name = "SECONDS")]
        not_after: Option<u64>,
        /// Where to write the signature. Default: beside the component, with `.sig` behind its name.
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Say who may sign a tenant's components; with --admin-url.
    Signer {
        /// What to do.
        #[command(subcommand)]
        command: SignerCommand,
    },
}

/// Who may sign.
#[derive(Debug, Subcommand)]
pub enum SignerCommand {
    /// Have components need a signature by this key, or by another one that was added.
    Add {
        /// What `keygen` printed.
        public_key: String,
    },
    /// List keys.
    List,
    /// Remove a key; without any, components need no signature.
    Remove {
        /// Its id.
        id: String,
    },
}

/// A role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RoleArg {
    /// Answers requests.
    Handler,
    /// Turns files into clips.
    Decoder,
    /// Cuts clips.
    Chunker,
    /// Gives segments their speakers.
    SpeakerAssigner,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Handler => Self::Handler,
            RoleArg::Decoder => Self::Decoder,
            RoleArg::Chunker => Self::Chunker,
            RoleArg::SpeakerAssigner => Self::SpeakerAssigner,
        }
    }
}

/// `auricle deploy`.
#[derive(Debug, Args)]
pub struct DeployArgs {
    /// Where it works.
    #[command(flatten)]
    pub client: DeployClientArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: DeployCommand,
}

/// What to do with deployments.
#[derive(Debug, Subcommand)]
pub enum DeployCommand {
    /// Make a revision and have it serve, or try it out.
    Set(SetArgs),
    /// Show what serves and how it does.
    Status {
        /// Of one role. Default: of all.
        #[arg(long, value_enum)]
        role: Option<RoleArg>,
    },
    /// Show what was done, newest first.
    History {
        /// The role.
        #[arg(long, value_enum)]
        role: RoleArg,
    },
    /// Have the candidate serve all requests.
    Promote(StepArgs),
    /// Stop trying the candidate out.
    Abandon(StepArgs),
    /// Go back to an earlier revision.
    Rollback(StepArgs),
}

/// A revision and its place.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// The role.
    #[arg(long, value_enum)]
    pub role: RoleArg,
    /// Digest of a component that was pushed; or a `.wasm` file, or oci://HOST/NAME:TAG in a registry,
    /// which is pushed first. Default: the component that comes with the server.
    #[arg(long, value_name = "DIGEST|FILE|REFERENCE")]
    pub component: Option<String>,
    /// What `auricle component sign` wrote about the file.
    #[arg(long, value_name = "FILE")]
    pub signature: Option<PathBuf>,
    /// A setting of the component's, KEY=VALUE; may be given several times. These verbs read no
    /// configuration file.
    // Of the type of the option that has this name elsewhere, in whose place it stands.
    #[arg(long, value_name = "KEY=VALUE", action = clap::ArgAction::Append)]
    pub config: Vec<PathBuf>,
    /// What it may use: `wasi:nn=GRAPH,…`.
    #[arg(long = "grant", value_name = "GRANT", value_parser = grant)]
    pub grants: Vec<Vec<String>>,
    /// Have it answer only this share of requests, as 10%.
    #[arg(long, value_name = "SHARE", value_parser = percent, conflicts_with = "shadow")]
    pub canary: Option<u8>,
    /// Have it work on copies of requests (of this share of them) and compare the answers.
    #[arg(long, value_name = "SHARE", value_parser = percent, num_args = 0..=1, default_missing_value = "100%")]
    pub shadow: Option<u8>,
    /// Have the candidate serve all requests after so many seconds, if it did well.
    #[arg(long, value_name = "SECONDS")]
    pub promote_after: Option<u64>,
    /// Do it again whenever the file changes, until the program is stopped.
    #[arg(long, requires = "component")]
    pub watch: bool,
}

/// A step from one revision to another.
#[derive(Debug, Args)]
pub struct StepArgs {
    /// The role.
    #[arg(long, value_enum)]
    pub role: RoleArg,
    /// Number of the revision. Default: the candidate; of a rollback, what served before.
    #[arg(long, value_name = "N")]
    pub revision: Option<u64>,
    /// Why, for the history.
    #[arg(long, default_value = "")]
    pub reason: String,
}

impl SetArgs {
    /// The component's settings.
    ///
    /// # Errors
    /// What is no KEY=VALUE.
    pub fn settings(&self) -> Result<Vec<(&str, &str)>, String> {
        let settings = self.config.iter().map(|typed| {
            let pair = typed.to_str().and_then(|text| text.split_once('='));
            let advice = || format!("--config {}: must be KEY=VALUE", typed.display());
            pair.filter(|(key, _)| !key.is_empty()).ok_or_else(advice)
        });
        settings.collect()
    }
}

fn grant(text: &str) -> Result<Vec<String>, String> {
    let names = text
        .strip_prefix("wasi:nn=")
        .ok_or("must be wasi:nn=GRAPH,…")?;
    let names = names.split(',').map(str::trim);
    Ok(names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect())
}

fn percent(text: &str) -> Result<u8, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse();
    let valid = number.ok().filter(|percent| (1..=100).contains(percent));
    valid.ok_or_else(|| "must be from 1% to 100%".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::Command;

    #[test]
    fn shares_settings_and_grants_are_read_as_they_are_written() {
        assert_eq!(percent("10%"), Ok(10));
        assert_eq!(percent("100"), Ok(100));
        for text in ["", "0%", "101%", "-1", "ten"] {
            assert!(percent(text).is_err(), "{text}");
        }
        let set = |config: &str| {
            let typed = [
                "auricle", "deploy", "set", "--role", "chunker", "--config", config,
            ];
            let cli = crate::args::Cli::try_parse_from(typed);
            let command = cli.map(|cli| cli.command);
            let Ok(Command::Deploy(DeployArgs {
                command: DeployCommand::Set(set),
                ..
            })) = command
            else {
                return Err(String::new());
            };
            let settings = set.settings()?;
            Ok(format!("{settings:?}"))
        };
        assert_eq!(set("a=b=c").as_deref(), Ok("[(\"a\", \"b=c\")]"));
        assert!(set("=b").is_err() && set("a").is_err());
        let names = vec!["silero-vad".to_owned(), "mine".to_owned()];
        assert_eq!(grant("wasi:nn=silero-vad, mine"), Ok(names));
        assert!(grant("wasi:http=x").is_err());
    }
}
