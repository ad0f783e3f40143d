//! The command line as typed.

mod admin;
mod component;
mod deploy;

use std::net::SocketAddr;
use std::path::PathBuf;

use auricle_formats::{SubtitleOptionError, SubtitleOptions};
use clap::{Args, Parser, Subcommand, ValueEnum};

pub use admin::{
    AuditArgs, ClientArgs, KeyArgs, KeyCommand, QuotaArgs, ScopeArg, TenantArgs, TenantCommand,
};
pub use component::{EncodeArgs, LangArg, NewArgs, NewRoleArg};
pub use deploy::{
    ComponentArgs, ComponentCommand, DeployArgs, DeployClientArgs, DeployCommand, RoleArg, SetArgs,
    SignerCommand, StepArgs,
};

/// A self-hosted speech-to-text server.
#[derive(Debug, Parser)]
#[command(name = "auricle", version, about, after_help = EXIT_CODES)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub common: Common,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done; 1 failed; 2 wrong arguments; \
3 some of the files could not be transcribed; 4 no such tenant or key; 5 refused.";

/// Options of every command.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// Configuration file (TOML). Flags and variables win over it.
    #[arg(long, global = true, env = "AURICLE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where the server keeps its state. Default: the user's data directory.
    #[arg(long, global = true, env = "AURICLE_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where installed models lie. Default: `models` in the user's data directory.
    #[arg(long, global = true, env = "AURICLE_MODELS_DIR", value_name = "DIR")]
    pub models_dir: Option<PathBuf>,
    /// What to log, as `info` or `auricle=debug,warn`. Default: `info`; `warn` for `transcribe`.
    #[arg(long, global = true, env = "AURICLE_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// Form of the log: `json` is one object per line.
    #[arg(
        long,
        global = true,
        env = "AURICLE_LOG_FORMAT",
        value_enum,
        default_value_t
    )]
    pub log_format: LogFormat,
    /// The same as `--log-format json`.
    #[arg(long, global = true, env = "AURICLE_LOG_JSON")]
    pub log_json: bool,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One object per line.
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the API.
    Serve(ServeArgs),
    /// Transcribe files and print or write the transcripts.
    Transcribe(TranscribeArgs),
    /// Find out who speaks when in files, and print it as RTTM.
    Diarize(DiarizeArgs),
    /// Manage models.
    #[command(subcommand)]
    Models(ModelsCommand),
    /// Manage tenants and what they may use.
    Tenant(TenantArgs),
    /// Manage keys.
    Key(KeyArgs),
    /// Show who changed what, newest first.
    Audit(AuditArgs),
    /// Write components and bring them to a server.
    Component(ComponentArgs),
    /// Change what serves a role.
    Deploy(DeployArgs),
}

/// Options of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Address to listen on; may be given several times. Port 0 takes a free one. Default:
    /// 127.0.0.1:8000.
    #[arg(
        long,
        env = "AURICLE_LISTEN",
        value_name = "ADDRESS",
        value_delimiter = ','
    )]
    pub listen: Vec<SocketAddr>,
    /// Address of /metrics, /livez and /readyz for operators, as 127.0.0.1:8001. Port 0 takes a free
    /// one. Default: none.
    #[arg(long, env = "AURICLE_ADMIN_LISTEN", value_name = "ADDRESS")]
    pub admin_listen: Option<SocketAddr>,
    /// Model of requests that name none (WHISPER_MODEL is accepted too). Default: base.
    #[arg(long, env = "AURICLE_MODEL", value_name = "NAME")]
    pub model: Option<String>,
    /// Serve other machines without keys.
    #[arg(long, env = "AURICLE_INSECURE")]
    pub insecure: bool,
    /// Have ffmpeg, within limits, convert files that no decoder knows, such as AC-3, WMA or AVI.
    #[arg(long, env = "AURICLE_FFMPEG")]
    pub ffmpeg: bool,
    /// Collector that traces of requests are sent to (OTLP over HTTP), as http://127.0.0.1:4318.
    /// OTEL_EXPORTER_OTLP_ENDPOINT is accepted too. Default: none.
    #[arg(long, env = "AURICLE_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,
    /// Threads that compute, each with a state of its own. Default: one per core.
    #[arg(long, env = "AURICLE_WORKERS", value_name = "N")]
    pub workers: Option<usize>,
}

/// Options of `transcribe`.
#[derive(Debug, Args)]
pub struct TranscribeArgs {
    /// Audio files; `-` reads one from standard input.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Model (WHISPER_MODEL is accepted too). Default: base.
    #[arg(long, env = "AURICLE_MODEL", value_name = "NAME")]
    pub model: Option<String>,
    /// Spoken language, as `en`, `pt-BR`, `deu` or `english`; `auto` detects it. Default: `auto`.
    #[arg(long, env = "AURICLE_LANGUAGE", value_name = "LANGUAGE")]
    pub language: Option<String>,
    /// What to make of the speech: `transcribe`, or `translate` to English.
    #[arg(long, default_value = "transcribe", value_name = "TASK")]
    pub task: String,
    /// Form of the transcript.
    #[arg(long, short, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// What subtitles look like.
    #[command(flatten)]
    pub subtitles: SubtitleArgs,
    /// Give every word a time.
    #[arg(long)]
    pub word_timestamps: bool,
    /// Tell the speakers apart.
    #[arg(long)]
    pub diarize: bool,
    /// Who may be speaking.
    #[command(flatten)]
    pub speakers: SpeakerArgs,
    /// Transcribe each channel for itself: for calls with one party on each.
    #[arg(long, conflicts_with = "diarize")]
    pub multichannel: bool,
    /// Have ffmpeg, within limits, convert files that no decoder knows, such as AC-3, WMA or AVI.
    #[arg(long, env = "AURICLE_FFMPEG")]
    pub ffmpeg: bool,
    /// Text that the model takes as if it had come before: names, spelling.
    #[arg(long)]
    pub prompt: Option<String>,
    /// Width of the beam search, 1 to 8; 1 is greedy. A wider one is slower, and with whisper.cpp mostly
    /// worse.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=8))]
    pub beam_size: u8,
    /// First sampling temperature, 0 to 1.
    #[arg(long, default_value_t = 0.0, value_parser = temperature)]
    pub temperature: f32,
    /// Write one file per input here, named after it, instead of printing. Inputs whose names differ only
    /// in directory or extension are refused.
    #[arg(long, short, value_name = "DIR")]
    pub output_dir: Option<PathBuf>,
    /// Threads that compute. Default: one per core.
    #[arg(long, env = "AURICLE_WORKERS", value_name = "N")]
    pub workers: Option<usize>,
    /// Show no progress.
    #[arg(long, short)]
    pub quiet: bool,
}

/// What subtitles (`srt`, `vtt`) look like.
#[derive(Clone, Debug, Args)]
pub struct SubtitleArgs {
    /// Columns of a line of subtitles, 10 to 200. Default: 42.
    #[arg(long, value_name = "N")]
    pub max_line_width: Option<usize>,
    /// Lines of a subtitle, 1 to 10. Default: 2.
    #[arg(long, value_name = "N")]
    pub max_line_count: Option<usize>,
    /// Words of a line of subtitles, 1 to 200. Default: no limit.
    #[arg(long, value_name = "N")]
    pub max_words_per_line: Option<usize>,
}

impl SubtitleArgs {
    /// The options, when each is within its range.
    ///
    /// # Errors
    /// Names the first that is not.
    pub fn options(&self) -> Result<SubtitleOptions, SubtitleOptionError> {
        let usual = SubtitleOptions::default();
        SubtitleOptions {
            max_line_width: self.max_line_width.unwrap_or(usual.max_line_width),
            max_line_count: self.max_line_count.unwrap_or(usual.max_line_count),
            max_words_per_line: self.max_words_per_line,
            ..usual
        }
        .checked()
    }
}

/// Options of `diarize`.
#[derive(Debug, Args)]
pub struct DiarizeArgs {
    /// Audio files; `-` reads one from standard input.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Who may be speaking.
    #[command(flatten)]
    pub speakers: SpeakerArgs,
    /// Have ffmpeg, within limits, convert files that no decoder knows, such as AC-3, WMA or AVI.
    #[arg(long, env = "AURICLE_FFMPEG")]
    pub ffmpeg: bool,
}

/// Who may be speaking.
#[derive(Clone, Debug, Args)]
pub struct SpeakerArgs {
    /// Exactly so many speakers.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub num_speakers: Option<u32>,
    /// At least so many speakers.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub min_speakers: Option<u32>,
    /// At most so many speakers.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub max_speakers: Option<u32>,
    /// A speaker's name and some seconds of their speech; may be given several times.
    #[arg(long = "known-speaker", value_name = "NAME=FILE", value_parser = known_speaker)]
    pub known: Vec<(String, PathBuf)>,
}

fn known_speaker(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => {
            Ok((name.to_owned(), file.into()))
        }
        _ => Err("write a name, '=' and an audio file".into()),
    }
}

fn temperature(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(value) if (0.0..=1.0).contains(&value) => Ok(value),
        _ => Err("must be a number from 0 to 1".into()),
    }
}

/// Form of a transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Format {
    /// The text alone.
    Text,
    /// An object with the text.
    Json,
    /// Everything that is known, in OpenAI's form.
    VerboseJson,
    /// SubRip subtitles.
    Srt,
    /// WebVTT subtitles.
    Vtt,
}

impl Format {
    /// Whether words must have times for it.
    #[must_use]
    pub fn is_subtitle(self) -> bool {
        matches!(self, Self::Srt | Self::Vtt)
    }

    /// Extension of a file of this form.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Text => "txt",
            Self::Json | Self::VerboseJson => "json",
            Self::Srt => "srt",
            Self::Vtt => "vtt",
        }
    }
}

/// What to do with models.
#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// List known models and what is installed of them.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Fetch, verify, convert and install models.
    Pull {
        /// Models, as NAME or NAME:QUANTIZATION.
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        /// SHA-256 of a file from the hub that the manifest has no digest of.
        #[arg(long, value_name = "HEX")]
        sha256: Option<String>,
        /// Base URL of the hub, instead of the manifest's.
        #[arg(long, env = "AURICLE_HUB_URL", value_name = "URL")]
        hub_url: Option<String>,
    },
    /// Install a fine-tuned Whisper from a CTranslate2 or safetensors directory, an OpenAI `.pt` or a
    /// ggml file.
    Import {
        /// The directory or file.
        path: PathBuf,
        /// Name to install it under.
        #[arg(long)]
        name: String,
        /// Quantise the weights: q4_0, q4_1, q5_0, q5_1 or q8_0.
        #[arg(long, value_name = "TYPE")]
        quantize: Option<String>,
        /// Vocabulary for a source that has none of its own (`.pt`): a vocabulary file, or a ggml
        /// file of a model with the same vocabulary.
        #[arg(long, value_name = "FILE")]
        vocabulary: Option<PathBuf>,
    },
    /// Remove an installed model.
    Remove {
        /// The model, as NAME or NAME:QUANTIZATION.
        name: String,
    },
}
