//! Credentials in a request's head, and their removal before a guest sees the request.
//!
//! The gateway authenticates a request and then calls [`Secrets::remove_from`] once, before the HTTP
//! and the WebSocket path part. Handlers, canaries and shadow copies all get the head that is left.
//!
//! Removed: headers that carry credentials (`authorization`, `proxy-authorization`, `cookie`,
//! `x-api-key` and others by their names), entries of `sec-websocket-protocol` that are a key or
//! announce one, query parameters whose name or value is one, and the user part of the authority.
//! Redacted wherever else they occur in a header or path: the key that this request was sent with, and
//! texts that have the shape of a key (`sk-…`) or of a JSON Web Token. `forwarded` and
//! `x-forwarded-*` are kept, without such texts.
//!
//! A key of another shape, in a place that does not announce one, is not recognised unless the request
//! also presents it as a credential.

use std::borrow::Cow;
use std::ops::Range;

use http::header::{AUTHORIZATION, HOST, PROXY_AUTHORIZATION, REFERER, SEC_WEBSOCKET_PROTOCOL};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderName, HeaderValue, Uri, request};

/// What stands in the place of a secret.
const REDACTED: &str = "redacted";

/// First characters of an Auricle key, as of OpenAI's.
const KEY_PREFIX: &str = "sk-";

/// Characters behind the prefix from which on a text counts as a key. Language tags (`sk-SK`) have
/// fewer.
const MIN_KEY_LEN: usize = 8;

/// First characters of a JSON Web Token: `{"` in base64.
const TOKEN_PREFIX: &str = "eyJ";

/// Shortest text with two dots behind [`TOKEN_PREFIX`] that counts as a JSON Web Token.
const MIN_TOKEN_LEN: usize = 20;

/// Shortest presented key that is looked for inside other texts; a shorter one has to be all of a text.
const MIN_PRESENTED_LEN: usize = 8;

/// Percent encodings of one text that are undone while looking for secrets.
const MAX_ENCODINGS: usize = 3;

/// Longest subprotocol entry that is a protocol's name.
const MAX_PROTOCOL_LEN: usize = 64;

/// Longest run of letters and digits, some of each, in a protocol's name.
const MAX_PROTOCOL_RUN: usize = 19;

/// Ends of the names, without `-` and `_`, of headers and query parameters that carry credentials.
const SECRET_NAMES: [&str; 16] = [
    "accesskey",
    "apikey",
    "assertion",
    "auth",
    "authkey",
    "authorization",
    "bearer",
    "cookie",
    "credential",
    "credentials",
    "jwt",
    "password",
    "secret",
    "secretkey",
    "subscriptionkey",
    "token",
];

/// The credentials that a request presents.
#[derive(Clone, Debug, Default)]
pub(crate) struct Secrets {
    presented: Vec<String>,
}

impl Secrets {
    /// The credentials in these headers.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let carries = |name: &HeaderName| {
            *name == AUTHORIZATION || *name == PROXY_AUTHORIZATION || normal(name).ends_with("key")
        };
        let values = headers.iter().filter(|(name, _)| is_secret_header(name));
        let presented = values
            .filter(|(name, _)| carries(name))
            .filter_map(|(_, value)| {
                let text = value.to_str().ok()?.trim();
                let secret = text.split_once(' ').map_or(text, |(_, secret)| secret);
                Some(secret.trim().to_owned()).filter(|secret| !secret.is_empty())
            });
        Self {
            presented: presented.collect(),
        }
    }

    /// Whether a secret occurs in this text, percent-encoded or not.
    pub(crate) fn occur_in(&self, text: &str) -> bool {
        let mut text = Cow::Borrowed(text);
        for _ in 0..MAX_ENCODINGS {
            if !self.spans(&text).is_empty() {
                return true;
            }
            match decoded(&text) {
                Some(next) => text = Cow::Owned(next),
                None => return false,
            }
        }
        !self.spans(&text).is_empty()
    }

    /// The path with its secrets redacted.
    pub(crate) fn redact_path<'t>(&self, path: &'t str) -> Cow<'t, str> {
        if !self.occur_in(path) {
            return Cow::Borrowed(path);
        }
        let parts = path.split('/').map(|part| self.redact(part));
        Cow::Owned(parts.collect::<Vec<_>>().join("/"))
    }

    /// Removes every credential from the head of a request.
    pub(crate) fn remove_from(&self, head: &mut request::Parts) {
        let carriers: Vec<_> = head
            .headers
            .keys()
            .filter(|name| is_secret_header(name))
            .cloned()
            .collect();
        for name in carriers {
            head.headers.remove(name);
        }
        self.clean_protocols(&mut head.headers);
        for (name, value) in &mut head.headers {
            if let Some(clean) = self.clean_header(name, value) {
                *value = clean;
            }
        }
        if let Some(uri) = self.clean_uri(&head.uri) {
            head.uri = uri;
        }
    }

    /// The text with its secrets redacted; wholly where they are percent-encoded.
    fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let spans = self.spans(text);
        if spans.is_empty() {
            return match self.occur_in(text) {
                true => Cow::Borrowed(REDACTED),
                false => Cow::Borrowed(text),
            };
        }
        let (mut clean, mut end) = (String::new(), 0);
        for span in spans {
            if span.start >= end {
                clean.push_str(text.get(end..span.start).unwrap_or_default());
                clean.push_str(REDACTED);
            }
            end = end.max(span.end);
        }
        clean.push_str(text.get(end..).unwrap_or_default());
        match self.occur_in(&clean) {
            true => Cow::Borrowed(REDACTED),
            false => Cow::Owned(clean),
        }
    }

    /// Where secrets stand in this text, by their beginning.
    fn spans(&self, text: &str) -> Vec<Range<usize>> {
        let presented = self.presented.iter().flat_map(|secret| {
            let whole = secret.len() >= MIN_PRESENTED_LEN || text == secret;
            let found = text.match_indices(secret.as_str()).filter(move |_| whole);
            found.map(|(at, secret)| at..at + secret.len())
        });
        let keys = words(text, KEY_PREFIX, |c| c == '_' || c == '-')
            .filter(|word| word.len() >= KEY_PREFIX.len() + MIN_KEY_LEN);
        let tokens = words(text, TOKEN_PREFIX, |c| "_-.".contains(c)).filter(|word| {
            let dots = text.get(word.clone()).unwrap_or_default().matches('.');
            word.len() >= MIN_TOKEN_LEN && dots.count() >= 2
        });
        let mut spans: Vec<_> = presented.chain(keys).chain(tokens).collect();
        spans.sort_by_key(|span| span.start);
        spans
    }

    /// The header's value without secrets, where it has one.
    fn clean_header(&self, name: &HeaderName, value: &HeaderValue) -> Option<HeaderValue> {
        let text = String::from_utf8_lossy(value.as_bytes());
        let mut clean = Cow::Borrowed(text.as_ref());
        if is_address(name)
            && let Some((path, query)) = text.split_once('?')
            && let Some(query) = self.clean_query(query)
        {
            clean = Cow::Owned(target(path, &query));
        }
        if *name == HOST
            && let Some((_, host)) = text.rsplit_once('@')
        {
            clean = Cow::Owned(host.to_owned());
        }
        let clean = self.redact(&clean);
        let redacted = || HeaderValue::from_static(REDACTED);
        (clean != text).then(|| HeaderValue::from_str(&clean).unwrap_or_else(|_| redacted()))
    }

    /// The address without secrets, where it has one.
    fn clean_uri(&self, uri: &Uri) -> Option<Uri> {
        let path = self.redact_path(uri.path());
        let query = uri.query().and_then(|query| self.clean_query(query));
        let user = uri.authority().and_then(|it| it.as_str().rsplit_once('@'));
        if matches!(path, Cow::Borrowed(_)) && query.is_none() && user.is_none() {
            return None;
        }
        let query = query.as_deref().or(uri.query()).unwrap_or_default();
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = target(&path, query).parse::<PathAndQuery>().ok();
        if let Some((_, host)) = user {
            parts.authority = host.parse::<Authority>().ok();
        }
        // Parts of a valid address and plain letters make a valid one; if not, nothing of it is passed on.
        Some(Uri::from_parts(parts).unwrap_or_default())
    }

    /// The query without the parameters that are credentials, where there is one.
    fn clean_query(&self, query: &str) -> Option<String> {
        let is_clean = |pair: &&str| {
            let pair = pair.trim_end_matches(['&', ';']);
            let name = pair.split_once('=').map_or(pair, |(name, _)| name);
            let name = decoded(name).unwrap_or_else(|| name.to_owned());
            !is_secret_parameter(&name) && !self.occur_in(pair)
        };
        let pairs = query.split_inclusive(['&', ';']);
        let clean: String = pairs.filter(is_clean).collect();
        let clean = clean.trim_end_matches(['&', ';']);
        (clean.len() < query.trim_end_matches(['&', ';']).len()).then(|| clean.to_owned())
    }

    /// Removes the subprotocols that are credentials.
    fn clean_protocols(&self, headers: &mut HeaderMap) {
        let values = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
        let texts: Vec<_> = values
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect();
        if texts.is_empty() {
            return;
        }
        let mut kept = Vec::new();
        let mut key_follows = false;
        for entry in texts.iter().flat_map(|text| text.split(',')) {
            let entry = entry.trim();
            let announces = is_announcement(entry);
            if !key_follows && !announces && !self.is_secret_protocol(entry) {
                kept.push(entry);
            }
            key_follows = announces;
        }
        headers.remove(SEC_WEBSOCKET_PROTOCOL);
        if let Ok(value) = HeaderValue::from_str(&kept.join(", "))
            && !value.is_empty()
        {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, value);
        }
    }

    /// Whether a subprotocol is or contains a credential.
    fn is_secret_protocol(&self, entry: &str) -> bool {
        let mut parts = entry.split(['.', '/', ':', '=']);
        // `openai-insecure-api-key.KEY`, `bearer.KEY`.
        let names_a_key = parts.any(|part| is_announcement(part) || is_secret_parameter(part));
        names_a_key || entry.len() > MAX_PROTOCOL_LEN || is_opaque(entry) || self.occur_in(entry)
    }
}

/// Where words stand that begin with `prefix`, of letters, digits and what `also` allows.
fn words(
    text: &str,
    prefix: &'static str,
    also: impl Fn(char) -> bool,
) -> impl Iterator<Item = Range<usize>> {
    text.match_indices(prefix).filter_map(move |(start, _)| {
        let before = text.get(..start)?.chars().next_back();
        if before.is_some_and(|c| c.is_ascii_alphanumeric()) {
            return None;
        }
        let rest = text.get(start..)?;
        let len = rest.find(|c: char| !c.is_ascii_alphanumeric() && !also(c));
        Some(start..start + len.unwrap_or(rest.len()))
    })
}

/// Whether this header exists to carry a credential.
fn is_secret_header(name: &HeaderName) -> bool {
    let name = normal(name);
    name == "cookie2" || SECRET_NAMES.iter().any(|end| name.ends_with(end))
}

/// Whether this query parameter exists to carry a credential.
fn is_secret_parameter(name: &str) -> bool {
    let name = normal(name);
    name == "key" || SECRET_NAMES.iter().any(|end| name.ends_with(end))
}

/// Whether the subprotocol behind this one is a key: `token, KEY`.
fn is_announcement(entry: &str) -> bool {
    is_secret_parameter(entry) || normal(entry) == "basic"
}

/// Whether this header has an address with a query.
fn is_address(name: &HeaderName) -> bool {
    let text = name.as_str();
    *name == REFERER || text.ends_with("-uri") || text.ends_with("-url")
}

/// Whether a text has a run of letters and digits as only random texts have.
fn is_opaque(text: &str) -> bool {
    let runs = text.split(|c: char| !c.is_ascii_alphanumeric());
    runs.filter(|run| run.len() > MAX_PROTOCOL_RUN)
        .any(|run| run.bytes().any(|b| b.is_ascii_digit()))
}

fn target(path: &str, query: &str) -> String {
    match query {
        "" => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

/// A name in lower case, without what its words are joined by.
fn normal(name: impl AsRef<str>) -> String {
    let letters = name.as_ref().chars().filter(|c| !"-_ ".contains(*c));
    letters.map(|c| c.to_ascii_lowercase()).collect()
}

/// The text with its percent encoding undone; nothing where it has none.
fn decoded(text: &str) -> Option<String> {
    if !text.contains(['%', '+']) {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| first == b'%');
        let digits = digits.and_then(|pair| std::str::from_utf8(pair).ok());
        match digits.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(if first == b'+' { b' ' } else { first });
                rest = after;
            }
        }
    }
    let decoded = String::from_utf8_lossy(&bytes).into_owned();
    (decoded != text).then_some(decoded)
}

#[cfg(test)]
#[path = "secrets_tests.rs"]
mod tests;
