//! One test for every defect that got out of its crate.

use crate::support::audio::{silence, wav};
use crate::support::raw::{Raw, form};
use crate::support::upload::get;
use crate::support::{Upload, shared};

/// hyper stops reading a body at its `content-length` and never sees its end: all such requests
/// were logged as if their clients had gone.
#[tokio::test]
async fn a_request_that_succeeded_is_logged_with_its_status() {
    let answer = Upload::wav(&wav(&silence(0.5))).transcribe(shared()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        shared().request_line(answer.request_id())["fields"]["status"],
        200
    );
    let answer = get(shared(), "/nowhere").await;
    assert_eq!(
        shared().request_line(answer.request_id())["fields"]["status"],
        404
    );
}

/// A form whose first bytes came in one piece of more than 8 KiB was refused with 413: the limit on
/// the headers of a part counted the file that came with them. It took a client that sends the
/// request's head alone and its body at once.
#[tokio::test]
async fn a_form_may_begin_with_a_large_piece() {
    let body = form("text/plain", &[b' '; 60_000]);
    for number in 0..30 {
        let mut raw = Raw::connect(shared()).await;
        raw.begin_form("/transcribe", &format!("large-piece-{number}"), body.len())
            .await;
        assert!(raw.send(&body).await);
        let answer = raw.answer().await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.contains("File must be an audio file"), "{answer}");
    }
}
