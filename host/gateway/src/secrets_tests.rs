//! Requests with credentials in every place, and what is left of them.

#![allow(clippy::unwrap_used, reason = "tests")]

use http::Request;

use super::*;

const KEY: &str = "sk-k3v9x2ab-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const PLAIN: &str = "key-of-acme-42";
const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";

/// What a guest gets of a request to this target with these headers.
fn left(target: &str, headers: &[(&str, &str)]) -> request::Parts {
    let mut request = Request::builder().uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (mut head, ()) = request.body(()).unwrap().into_parts();
    Secrets::of(&head.headers).remove_from(&mut head);
    head
}

fn header<'h>(head: &'h request::Parts, name: &str) -> Option<&'h str> {
    head.headers.get(name).map(|value| value.to_str().unwrap())
}

#[test]
fn headers_that_carry_credentials_are_removed() {
    for name in [
        "authorization",
        "proxy-authorization",
        "cookie",
        "cookie2",
        "x-api-key",
        "api-key",
        "xi-api-key",
        "x-goog-api-key",
        "ocp-apim-subscription-key",
        "x-auth-token",
        "x-amz-security-token",
        "x-forwarded-access-token",
        "cf-access-jwt-assertion",
    ] {
        let value = format!("Bearer {KEY}");
        let head = left(
            "/",
            &[(name, &value), (name, "session=1"), ("accept", "*/*")],
        );
        assert_eq!(head.headers.len(), 1, "{name}: {head:?}");
    }
}

#[test]
fn other_headers_stay_as_they_are() {
    let headers = [
        ("host", "auricle.example:8000"),
        ("forwarded", "for=192.0.2.60;proto=https;by=203.0.113.43"),
        ("x-forwarded-for", "192.0.2.60, 198.51.100.17"),
        ("x-forwarded-host", "api.example"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-uri", "/transcribe?language=sk-SK"),
        ("referer", "https://app.example/notes?id=4711&tokens=5"),
        ("accept-language", "sk-SK,sk;q=0.9,en-US;q=0.8"),
        ("idempotency-key", "5f0c8f1e-0c5c-4a3e-9c37-5a2d4a1b9a11"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        (
            "sec-websocket-protocol",
            "realtime, openai-beta.realtime-v1",
        ),
        (
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
        ("x-task", "task-0123456789"),
    ];
    let target = "/transcribe?language=en&max_tokens=5&keywords=a%20b&task-01234567890=1";
    let head = left(target, &headers);
    for (name, value) in headers {
        assert_eq!(header(&head, name), Some(value), "{name}");
    }
    assert_eq!(head.uri.to_string(), target);
}

#[test]
fn query_parameters_that_carry_a_key_are_removed() {
    let encoded = KEY.replace('-', "%2D");
    let twice = KEY.replace('-', "%252D");
    for pair in [
        "api_key=abc".to_owned(),
        "apiKey=abc".to_owned(),
        "x-api-key=abc".to_owned(),
        "api%5Fkey=abc".to_owned(),
        "key=abc".to_owned(),
        "KEY=abc".to_owned(),
        "token=abc".to_owned(),
        "access_token=abc".to_owned(),
        "Authorization=Bearer+abc".to_owned(),
        "client_secret=abc".to_owned(),
        format!("anything={KEY}"),
        format!("anything=Bearer%20{KEY}"),
        format!("anything={encoded}"),
        format!("anything={twice}"),
        format!("anything={TOKEN}"),
        format!("anything={PLAIN}"),
        KEY.to_owned(),
        format!("{KEY}=1"),
    ] {
        for separator in ["&", ";"] {
            let target = format!("/ws?language=en{separator}{pair}{separator}task=x");
            let head = left(&target, &[("authorization", &format!("Bearer {PLAIN}"))]);
            let left = format!("/ws?language=en{separator}task=x");
            assert_eq!(head.uri.to_string(), left, "{pair}");
        }
        let head = left(&format!("/ws?{pair}"), &[("x-api-key", PLAIN)]);
        assert_eq!(head.uri.to_string(), "/ws", "{pair}");
    }
}

#[test]
fn subprotocols_that_carry_a_key_are_removed() {
    let kept = |value: &str| {
        let head = left("/ws", &[("sec-websocket-protocol", value)]);
        header(&head, "sec-websocket-protocol").map(str::to_owned)
    };
    let openai = format!("realtime, openai-insecure-api-key.{KEY}, openai-beta.realtime-v1");
    assert_eq!(kept(&openai).unwrap(), "realtime, openai-beta.realtime-v1");
    for entries in [
        format!("token, {KEY}"),
        "token, abc".to_owned(),
        "Token,abc".to_owned(),
        "bearer, abc".to_owned(),
        "Authorization, abc".to_owned(),
        "bearer.abc".to_owned(),
        "base64url.bearer.authorization.k8s.io.YWJj".to_owned(),
        "openai-insecure-api-key.ek_68af296e8e408191a1120ab6383263c2".to_owned(),
        KEY.to_owned(),
        TOKEN.to_owned(),
        "7f3a9c0be1d24f5ab6c8d9e0f1a2b3c4".to_owned(),
    ] {
        assert_eq!(kept(&entries), None, "{entries}");
        let more = format!("realtime, {entries}, v2.json");
        assert_eq!(kept(&more).unwrap(), "realtime, v2.json", "{entries}");
    }
    // Spread over several header lines.
    let lines = [
        ("sec-websocket-protocol", "realtime, token"),
        ("sec-websocket-protocol", "abc"),
    ];
    let head = left("/ws", &lines);
    assert_eq!(header(&head, "sec-websocket-protocol"), Some("realtime"));
}

#[test]
fn secrets_in_other_places_are_redacted() {
    let bearer = format!("Bearer {PLAIN}");
    let referer = format!("https://app.example/a?api_key=abc&page=2&next={KEY}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("host", "user:password@auricle.example"),
        ("referer", &referer),
        ("x-forwarded-uri", "/ws?token=abc"),
        ("x-note", KEY),
        ("user-agent", &format!("curl ({PLAIN}) {TOKEN}")),
        ("x-encoded", "%73k-k3v9x2ab-0123456789"),
    ];
    let head = left(
        &format!("http://user:pw@auricle.example/v1/{KEY}/x"),
        &headers,
    );
    assert_eq!(head.uri, "http://auricle.example/v1/redacted/x");
    for (name, value) in [
        ("host", "auricle.example"),
        ("referer", "https://app.example/a?page=2"),
        ("x-forwarded-uri", "/ws"),
        ("x-note", "redacted"),
        ("user-agent", "curl (redacted) redacted"),
        ("x-encoded", "redacted"),
    ] {
        assert_eq!(header(&head, name), Some(value), "{name}");
    }
}

#[test]
fn a_value_that_is_not_text_is_passed_on_without_the_key_in_it() {
    let mut request = Request::new(());
    let value = [b"\xff\xfe ".as_slice(), KEY.as_bytes()].concat();
    let value = HeaderValue::from_bytes(&value).unwrap();
    request.headers_mut().insert("x-note", value);
    let other = HeaderValue::from_bytes(b"\xff\xfe").unwrap();
    request.headers_mut().insert("x-other", other.clone());
    let (mut head, ()) = request.into_parts();
    Secrets::of(&head.headers).remove_from(&mut head);
    let note = head.headers.get("x-note").unwrap().as_bytes();
    assert!(
        !String::from_utf8_lossy(note).contains("k3v9x2ab"),
        "{note:?}"
    );
    assert_eq!(head.headers.get("x-other"), Some(&other));
}

#[test]
fn a_short_presented_key_does_not_mangle_other_texts() {
    let headers = [
        ("authorization", "Bearer a"),
        ("accept", "a/a"),
        ("x-note", "a"),
    ];
    let head = left("/a/transcribe", &headers);
    assert_eq!(header(&head, "accept"), Some("a/a"));
    assert_eq!(header(&head, "x-note"), Some("redacted"));
}
