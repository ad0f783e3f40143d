//! Deployments for people.

use std::process::ExitCode;

use serde_json::Value;

use crate::commands::admin::{field, time};

/// Digits of a digest that are shown.
const DIGITS: usize = 12;

/// What serves one role and how it does.
pub(super) fn status(status: &Value) {
    let role = field(status, "role").as_str().unwrap_or_default();
    let since = time(field(status, "since"), "the start");
    print!("{role:<17} ");
    revision(field(status, "serving"));
    println!("  since {since}");
    let candidate = field(status, "candidate");
    if candidate.is_object() {
        let kind = field(candidate, "kind").as_str().unwrap_or_default();
        print!(
            "{:<17} ",
            format!("  {kind} {}%", field(candidate, "percent"))
        );
        revision(field(candidate, "status"));
        println!();
        report(field(candidate, "report"));
    }
    for old in field(status, "draining").as_array().into_iter().flatten() {
        print!("{:<17} ", "  draining");
        revision(old);
        println!();
    }
}

fn revision(status: &Value) {
    let component = status
        .pointer("/revision/component")
        .and_then(Value::as_str);
    let component = match (field(status, "number").as_u64(), component) {
        (Some(0) | None, _) => "as configured",
        (_, Some(digest)) => digest.get(..DIGITS).unwrap_or(digest),
        (_, None) => "first-party",
    };
    let calls = field(status, "calls");
    print!(
        "revision {} ({component}): {} calls, {} running, {} failed",
        field(status, "number"),
        field(calls, "begun"),
        field(calls, "running"),
        field(calls, "failed")
    );
    if let Some(millis) = field(calls, "p95_ms").as_u64() {
        print!(", p95 {millis} ms");
    }
}

fn report(report: &Value) {
    if !report.is_object() {
        return;
    }
    println!(
        "    {} compared: {} the same; status differs in {}, text in {} ({} of {} words), times in {}, speakers in {}, audio in {}; failed {}",
        field(report, "compared"),
        field(report, "same"),
        field(report, "status_differs"),
        field(report, "text_differs"),
        field(report, "word_edits"),
        field(report, "words"),
        field(report, "times_differ"),
        field(report, "speakers_differ"),
        field(report, "audio_differs"),
        field(report, "failed")
    );
}

/// What was done with a role.
pub(super) fn history(entries: &[Value]) -> ExitCode {
    println!(
        "{:<16}  {:<20}  {:<8}  {:<14}  REASON",
        "WHEN", "WHAT", "REVISION", "WHO"
    );
    for entry in entries {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let detail = field(entry, "detail");
        println!(
            "{:<16}  {:<20}  {:<8}  {:<14}  {}",
            time(field(entry, "at"), "-"),
            text(field(entry, "action")),
            field(detail, "revision").to_string(),
            text(field(entry, "actor")),
            text(field(detail, "reason"))
        );
    }
    ExitCode::SUCCESS
}
