use super::{RECURSED, arena, fails_in_line};
use crate::guests::{beside, transcribe};

#[tokio::test]
async fn a_chunker_that_spins_is_stopped_and_fails_its_request_alone() {
    fails_in_line("chunker-spins", &["cpu_exhausted"]).await;
}

#[tokio::test]
async fn a_chunker_that_hoards_memory_fails_its_request_alone() {
    fails_in_line("chunker-hoards", &["out_of_memory"]).await;
}

#[tokio::test]
async fn a_chunker_that_grows_its_table_fails_its_request_alone() {
    fails_in_line("chunker-table", &["limit_exceeded"]).await;
}

#[tokio::test]
async fn a_chunker_that_keeps_clip_after_clip_fails_its_request_alone() {
    fails_in_line("chunker-holds", &["limit_exceeded"]).await;
}

#[tokio::test]
async fn a_chunker_that_listens_without_end_is_refused_and_then_stopped() {
    fails_in_line("chunker-listens", &["cpu_exhausted"]).await;
}

#[tokio::test]
async fn a_chunker_that_keeps_detector_after_detector_fails_its_request_alone() {
    fails_in_line("chunker-detects", &["limit_exceeded"]).await;
}

#[tokio::test]
async fn a_chunker_that_recurses_without_end_fails_its_request_alone() {
    fails_in_line("chunker-recurses", RECURSED).await;
}

#[tokio::test]
async fn a_chunker_that_panics_fails_its_request_alone() {
    fails_in_line("chunker-panics", &["trapped"]).await;
}

#[tokio::test]
async fn of_a_million_log_lines_a_thousand_are_kept_and_the_request_is_served() {
    let server = arena();
    let answer = beside(server, transcribe(server, "chunker-chatters")).await;
    answer.ok();
    let left_out = server.log_line(|line| {
        line["fields"]["left_out"].is_number() && line["fields"]["tenant"] == "chunker-chatters"
    });
    assert_eq!(left_out["fields"]["left_out"], 999_000);
    let lines = server.log.all();
    let chatter: Vec<_> = lines
        .iter()
        .filter(|line| line.contains("chatter chatter"))
        .collect();
    assert_eq!(chatter.len(), 1_000);
    assert!(chatter.iter().all(|line| line.len() < 4_096 + 500));
}
