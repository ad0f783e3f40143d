//! What tenants have deployed, as it is kept: components, revisions and what serves each role.
//!
//! A revision is never changed. What serves is a [`DeploymentState`], which names revisions by
//! number; number 0 is what a role has that nobody deployed: the configuration's component, or the
//! first-party one.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a component does for a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Answers requests.
    Handler,
    /// Turns files into clips.
    Decoder,
    /// Cuts clips.
    Chunker,
    /// Gives segments their speakers.
    SpeakerAssigner,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 4] = [
        Self::Handler,
        Self::Decoder,
        Self::Chunker,
        Self::SpeakerAssigner,
    ];

    /// The role's name, as in `speaker-assigner`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Handler => "handler",
            Self::Decoder => "decoder",
            Self::Chunker => "chunker",
            Self::SpeakerAssigner => "speaker-assigner",
        }
    }

    /// The role of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Lower-case hexadecimal SHA-256 of a component's bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ComponentDigest(String);

impl ComponentDigest {
    /// Takes over 64 hexadecimal digits, with or without `sha256:` before them.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("sha256:").unwrap_or(text);
        let valid = digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        valid.then(|| Self(digits.to_ascii_lowercase()))
    }

    /// The name of bytes that have this SHA-256.
    #[must_use]
    pub fn of_sha256(sha256: [u8; 32]) -> Self {
        Self(hex::encode(sha256))
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for ComponentDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ComponentDigest {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("a component's digest has 64 hexadecimal digits (SHA-256)")
    }
}

impl From<ComponentDigest> for String {
    fn from(digest: ComponentDigest) -> Self {
        digest.0
    }
}

/// A component that a tenant has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredComponent {
    /// Its name.
    pub digest: ComponentDigest,
    /// Its size.
    pub bytes: u64,
    /// Unix time, in seconds.
    pub created_at: u64,
    /// Who answers for it, where somebody does: what was signed, and by which key.
    pub signature: Option<Value>,
}

/// What a revision is to be made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRevision {
    /// The component; the first-party one without it.
    #[serde(default)]
    pub component: Option<ComponentDigest>,
    /// What the component reads through `auricle:runtime/configuration`.
    #[serde(default)]
    pub configuration: BTreeMap<String, String>,
    /// Graphs that it may use through `wasi:nn`.
    #[serde(default)]
    pub graphs: BTreeSet<String>,
    /// What one instance may use, as in the configuration; the role's limits without it.
    #[serde(default)]
    pub limits: Option<Value>,
}

/// A revision as it is kept and shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoredRevision {
    /// Counted from 1 within the tenant's role.
    pub number: u64,
    /// What it is made of.
    #[serde(flatten)]
    pub made_of: NewRevision,
    /// Unix time, in seconds.
    pub created_at: u64,
    /// Who made it, as in the audit log.
    pub actor: String,
}

/// How a candidate is tried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrialKind {
    /// It answers its share of requests.
    Canary,
    /// It works on copies of its share of requests.
    Shadow,
}

/// A trial and how it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrialPlan {
    /// How it is tried out.
    pub kind: TrialKind,
    /// Its share of requests, 1 to 100.
    pub percent: u8,
    /// Promoted by itself when it has lasted so long and done as well as what serves. Nothing:
    /// only when somebody says so.
    #[serde(default)]
    pub promote_after_secs: Option<u64>,
}

/// A revision that is tried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredCandidate {
    /// Its number.
    pub number: u64,
    /// Unix time, in seconds.
    pub since: u64,
    /// How it is tried out.
    #[serde(flatten)]
    pub plan: TrialPlan,
}

/// What serves a role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentState {
    /// Number of the revision that serves.
    pub stable: u64,
    /// Since when, in Unix seconds.
    pub since: u64,
    /// What served before it, where a rollback without a number leads.
    pub previous: Option<u64>,
    /// What is tried out beside it.
    pub candidate: Option<StoredCandidate>,
}

/// Where a new revision is put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// It serves all requests.
    Serve,
    /// It is tried out.
    Try(TrialPlan),
}

/// A change of what serves, without a new revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The candidate of this number serves from now on.
    Promote(u64),
    /// The candidate of this number is no longer tried out.
    Abandon(u64),
    /// The revision of this number serves again, and nothing is tried out; without a number the one
    /// that served before.
    Rollback(Option<u64>),
}

impl Change {
    /// What is done.
    #[must_use]
    pub fn verb(self) -> &'static str {
        match self {
            Self::Promote(_) => "promote",
            Self::Abandon(_) => "abandon",
            Self::Rollback(_) => "rollback",
        }
    }

    /// Its name in the audit log.
    #[must_use]
    pub fn action(self) -> String {
        format!("deployment.{}", self.verb())
    }
}
