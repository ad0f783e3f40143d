use super::fails_in_line;

#[tokio::test]
async fn a_speaker_assigner_that_panics_fails_its_request_alone() {
    fails_in_line("assigner-panics", &["trapped"]).await;
}

#[tokio::test]
async fn a_speaker_assigner_whose_times_are_not_numbers_fails_its_request_alone() {
    fails_in_line("assigner-lies", &["contract_broken"]).await;
}
