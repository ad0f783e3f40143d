//! `[models]` of the configuration: models, the device, and what models are called.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use auricle_pipeline::Alias;
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

use super::FairnessConfig;

/// What an alias names to mean the server's default model, whichever that is.
const SERVER_DEFAULT: &str = "default";

/// Names of OpenAI's models, all of which mean the default model, and whether who names one wants to
/// know who spoke. Dated names of theirs mean the same.
const OPENAI: [(&str, bool); 5] = [
    ("whisper-1", false),
    ("gpt-transcribe", false),
    ("gpt-4o-transcribe", false),
    ("gpt-4o-mini-transcribe", false),
    ("gpt-4o-transcribe-diarize", true),
];

/// Models and the device.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelsConfig {
    /// Directory of installed models.
    pub dir: Option<PathBuf>,
    /// Model of requests that name none. Default `base`.
    pub default: Option<String>,
    /// Base URL of the model hub.
    pub hub_url: Option<String>,
    /// Threads that compute. Default: one per core.
    pub workers: Option<usize>,
    /// Threads that compute voice activity and the like. Default: one per core, at most 16.
    pub graph_workers: Option<usize>,
    /// ONNX Runtime's shared library, 1.24 or newer. Default: the one that `make setup` installs.
    pub onnxruntime: Option<PathBuf>,
    /// How long an unused model other than the default stays loaded. Default 5 minutes.
    #[serde(alias = "idle_unload_secs")]
    pub idle_unload: IdleUnload,
    /// Seconds after which an idle worker gives its working memory back. Default 10.
    pub idle_state_secs: u64,
    /// Megabytes of weights that may be loaded at once. Default 8,192.
    pub memory_mb: u64,
    /// Minutes of audio that may wait for the device, over all tenants. Default 240.
    pub max_queued_minutes: u64,
    /// Minutes of audio of one tenant that may wait for the device. Default 120.
    pub max_tenant_queued_minutes: u64,
    /// How the devices' time is shared.
    pub fairness: FairnessConfig,
    /// Other names of models, beside those of OpenAI's models, which mean the default model unless
    /// they are set here.
    pub aliases: BTreeMap<String, AliasConfig>,
    /// Graphs of the operator's own that components may be granted, by name.
    pub graphs: BTreeMap<String, GraphConfig>,
}

/// A graph in a file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphConfig {
    /// The `.onnx` file; its weights are in it and not beside it.
    pub path: PathBuf,
    /// Hexadecimal SHA-256 of the file. Another file is refused when the graph is loaded.
    pub sha256: String,
}

impl Default for ModelsConfig {
    fn default() -> Self {
        Self {
            dir: None,
            default: None,
            hub_url: None,
            workers: None,
            graph_workers: None,
            onnxruntime: None,
            idle_unload: IdleUnload::After(Duration::from_secs(300)),
            idle_state_secs: 10,
            memory_mb: 8_192,
            max_queued_minutes: 240,
            max_tenant_queued_minutes: 120,
            fairness: FairnessConfig::default(),
            aliases: BTreeMap::new(),
            graphs: BTreeMap::new(),
        }
    }
}

impl ModelsConfig {
    /// The other names of models.
    ///
    /// # Errors
    /// When an alias has no name, or stands for another alias.
    pub fn aliases(&self) -> Result<BTreeMap<String, Alias>> {
        let openai = OPENAI.map(|(name, diarizes)| {
            let model = None;
            (name.to_owned(), Alias { model, diarizes })
        });
        let mut aliases = BTreeMap::from(openai);
        for (name, alias) in &self.aliases {
            aliases.insert(name.clone(), alias.resolved());
        }
        for (name, alias) in &aliases {
            if name.trim().is_empty() {
                bail!("[models.aliases] has an empty name");
            }
            let model = alias.model.as_ref();
            if let Some(other) = model.filter(|model| aliases.contains_key(*model)) {
                bail!(
                    "'{name}' in [models.aliases] stands for '{other}', which is an alias too: name \
                     a model, or '{SERVER_DEFAULT}'"
                );
            }
        }
        Ok(aliases)
    }
}

/// What another name of a model stands for.
#[derive(Clone, Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "an alias is a model's name, or a table with `model` and `diarize`"
)]
pub enum AliasConfig {
    /// A model's name; `default` means the server's default model.
    Model(String),
    /// That, and more.
    Table(AliasTable),
}

/// What another name of a model stands for, in full.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AliasTable {
    /// A model's name; `default` means the server's default model.
    pub model: String,
    /// Whether who names it wants to know who spoke.
    #[serde(default)]
    pub diarize: bool,
}

impl AliasConfig {
    fn resolved(&self) -> Alias {
        let (model, diarizes) = match self {
            Self::Model(model) => (model, false),
            Self::Table(table) => (&table.model, table.diarize),
        };
        Alias {
            model: (model != SERVER_DEFAULT).then(|| model.clone()),
            diarizes,
        }
    }
}

/// How long an unused model stays loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdleUnload {
    /// For good.
    Never,
    /// For so long; zero is not at all.
    After(Duration),
}

impl IdleUnload {
    /// As the registry takes it.
    #[must_use]
    pub fn idle(self) -> Option<Duration> {
        match self {
            Self::Never => None,
            Self::After(time) => Some(time),
        }
    }

    /// Whole seconds; every negative number means never.
    fn of_secs(secs: i64) -> Self {
        u64::try_from(secs).map_or(Self::Never, |secs| Self::After(Duration::from_secs(secs)))
    }

    /// A number of seconds, or one with a unit: `ms`, `s`, `m` or `h`.
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(secs) = text.parse() {
            return Some(Self::of_secs(secs));
        }
        let unit = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.split_at(unit);
        let millis = match unit.trim() {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        let millis = number.parse::<u64>().ok()?.checked_mul(millis)?;
        Some(Self::After(Duration::from_millis(millis)))
    }
}

impl<'de> Deserialize<'de> for IdleUnload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;

        impl Visitor<'_> for Written {
            type Value = IdleUnload;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("0 for at once, -1 for never, seconds, or a time such as \"5m\"")
            }

            fn visit_i64<E: Error>(self, secs: i64) -> Result<IdleUnload, E> {
                Ok(IdleUnload::of_secs(secs))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<IdleUnload, E> {
                let wrong = || E::invalid_value(serde::de::Unexpected::Str(text), &self);
                IdleUnload::parse(text).ok_or_else(wrong)
            }
        }

        deserializer.deserialize_any(Written)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn idle(text: &str) -> Option<IdleUnload> {
        let read: Result<ModelsConfig, _> = toml::from_str(&format!("idle_unload = {text}"));
        read.ok().map(|config| config.idle_unload)
    }

    #[test]
    fn idle_times_are_read_in_the_forms_that_users_know() {
        let after = |millis| Some(IdleUnload::After(Duration::from_millis(millis)));
        assert_eq!(idle("0"), after(0));
        assert_eq!(idle("\"0\""), after(0));
        assert_eq!(idle("300"), after(300_000));
        assert_eq!(idle("\"5m\""), after(300_000));
        assert_eq!(idle("\"90s\""), after(90_000));
        assert_eq!(idle("\"250 ms\""), after(250));
        assert_eq!(idle("\"2h\""), after(7_200_000));
        assert_eq!(idle("-1"), Some(IdleUnload::Never));
        assert_eq!(idle("\"-1\""), Some(IdleUnload::Never));
        for wrong in [
            "\"\"",
            "\"5 days\"",
            "\"m\"",
            "1.5",
            "true",
            "\"99999999999999999999s\"",
        ] {
            assert_eq!(idle(wrong), None, "{wrong}");
        }
    }

    fn aliases(text: &str) -> Result<BTreeMap<String, Alias>> {
        let config: ModelsConfig = toml::from_str(text)?;
        config.aliases()
    }

    #[test]
    fn openais_names_mean_the_default_until_they_are_set() {
        let set = "[aliases]\nwhisper-1 = 'large-v3'\nmine = { model = 'default', diarize = true }";
        let aliases = aliases(set).unwrap();
        let alias = |model: Option<&str>, diarizes| {
            let model = model.map(str::to_owned);
            Some(Alias { model, diarizes })
        };
        assert_eq!(
            aliases.get("whisper-1").cloned(),
            alias(Some("large-v3"), false)
        );
        assert_eq!(aliases.get("mine").cloned(), alias(None, true));
        assert_eq!(
            aliases.get("gpt-4o-transcribe").cloned(),
            alias(None, false)
        );
        assert_eq!(
            aliases.get("gpt-4o-transcribe-diarize").cloned(),
            alias(None, true)
        );
    }

    #[test]
    fn an_alias_that_says_nothing_clear_is_an_error_that_says_so() {
        let chain = aliases("[aliases]\na = 'whisper-1'")
            .unwrap_err()
            .to_string();
        assert!(
            chain.contains("'a'") && chain.contains("'whisper-1'"),
            "{chain}"
        );
        assert!(aliases("[aliases]\n'' = 'base'").is_err());
        let unknown = aliases("[aliases]\na = { model = 'base', diarise = true }").unwrap_err();
        assert!(unknown.to_string().contains("`diarize`"), "{unknown}");
    }
}
