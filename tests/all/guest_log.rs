//! What components write to the operator's log: in lines of their own, within bounds.

use std::time::Duration;

use crate::guests::{Tenants, get, send, wasm};

/// A line as the server writes it.
const FORGED: &str = "2026-01-01T00:00:00.000000Z  INFO auricle_gateway::admin::api: an admin act";

#[tokio::test]
async fn a_component_cannot_forge_a_line_of_the_log_or_control_a_terminal() {
    let rest = format!(r#"configuration = {{ name = "a\r\n{FORGED}\u001b[2J\u0007" }}"#);
    let tenants = Tenants::new("").with("forges", "handler", wasm::HANDLER_ECHOES, &rest);
    let server = tenants.server().text_log().start();
    let answer = send(get(&server, "forges", "/forged-line")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let line = |line: &str| line.contains("saw ").then(|| line.to_owned());
    let line = server
        .log
        .find_within(Duration::from_secs(60), line)
        .unwrap();
    assert!(
        line.contains("auricle::guest") && line.contains("forges"),
        "{line}"
    );
    let escaped = format!(r"a\r\n{FORGED}\u{{1b}}[2J\u{{7}} saw ");
    assert!(line.contains(&escaped), "{line}");
    for line in server.log.all() {
        assert!(!line.starts_with(FORGED), "{line}");
        assert!(!line.contains(char::is_control), "{line:?}");
    }
}

#[tokio::test]
async fn a_tenant_that_floods_the_log_is_cut_off_for_a_minute_and_counted() {
    let settings = "[log]\nguest_bytes_per_minute = 20000";
    let rest = "configuration = { name = 'flood', lines = '1000' }";
    let tenants = Tenants::new(settings)
        .with("floods", "handler", wasm::HANDLER_ECHOES, rest)
        .with(
            "quiet",
            "handler",
            wasm::HANDLER_ECHOES,
            "configuration = { name = 'quiet' }",
        );
    let server = tenants.server().start();
    for _ in 0..3 {
        let answer = send(get(&server, "floods", "/flood")).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let answer = send(get(&server, "quiet", "/quiet")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let quiet = |line: &str| line.contains("quiet saw ").then_some(());
    let within = Duration::from_secs(60);
    server
        .log
        .find_within(within, quiet)
        .expect("another tenant's line");
    let lines = server.log.all();
    let written: Vec<_> = lines
        .iter()
        .filter(|line| line.contains("flood saw "))
        .collect();
    let bytes: usize = written.iter().map(|line| line.len()).sum();
    assert!((10..=125).contains(&written.len()), "{}", written.len());
    assert!(bytes < 100_000, "{bytes} bytes");
    // At the end of the minute one line tells how many are missing.
    let told = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        let fields = &line["fields"];
        let lines = fields["suppressed_lines"].as_u64()?;
        (fields["tenant"] == "floods").then_some(lines)
    };
    let told = server.log.find_within(Duration::from_secs(180), told);
    assert_eq!(told, Some(3_000 - written.len() as u64));
}
