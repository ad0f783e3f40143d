//! The verbs of authors of components that work on files alone, as typed.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Options of `component new`.
#[derive(Debug, Args)]
pub struct NewArgs {
    /// Its name, and the directory that is written: a letter, then at most 63 of a-z, 0-9 and '-'.
    #[arg(value_parser = name)]
    pub name: String,
    /// The language that it is written in.
    #[arg(long, value_enum)]
    pub lang: LangArg,
    /// The role that it is for.
    #[arg(long, value_enum, default_value_t = NewRoleArg::SpeakerAssigner)]
    pub role: NewRoleArg,
}

/// The language of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LangArg {
    /// Rust: the smallest and fastest component.
    Rust,
    /// JavaScript, with SpiderMonkey in the component.
    Js,
    /// Python, with CPython in the component.
    Python,
}

/// The role of a component that is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NewRoleArg {
    /// Answers HTTP requests.
    Handler,
    /// Cuts a clip into the pieces that the model sees.
    Chunker,
    /// Gives the recognised segments their speakers, and may change their text.
    SpeakerAssigner,
}

/// Options of `component encode`.
#[derive(Debug, Args)]
pub struct EncodeArgs {
    /// A core module for wasm32-unknown-unknown, with the bindings that its build has put in.
    #[arg(value_name = "MODULE")]
    pub module: PathBuf,
    /// Where the component is written.
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
}

fn name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fits = text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && !text.contains("--")
        && text.chars().all(plain);
    if fits {
        Ok(text.to_owned())
    } else {
        Err("write a letter, then at most 63 of a-z, 0-9 and single '-', as in my-component".into())
    }
}
