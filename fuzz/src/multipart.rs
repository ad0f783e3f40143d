//! Forms: any bytes end in parts or an error, and a form that is well made comes out as it went in,
//! however it is cut on its way and whatever is left unread.

use auricle_fuzz_seeds::BOUNDARY;
use auricle_multipart::{Chunks, Form, FormError, MAX_PARTS, Part, SourceFailure};
use bytes::Bytes;
use futures::stream;
use tokio::runtime::{Builder, Runtime};

use crate::input::Input;

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().build().expect("a runtime");
}

/// The first byte says whether the rest is a body as it is, or describes a form; the second how the
/// body is cut.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let (kind, piece) = (input.byte(), input.byte());
    let piece = match piece {
        0 => 64 << 10,
        bytes => usize::from(bytes),
    };
    match kind % 3 {
        0 => content_type(&input.text()),
        1 => any_body(input.rest(), piece),
        _ => well_made(input, piece),
    }
}

/// A content type has a boundary of at most 70 characters or so, or is refused.
fn content_type(text: &str) {
    if let Ok(boundary) = auricle_multipart::boundary(text) {
        assert!(text.contains(&boundary), "{boundary} of {text}");
    }
}

fn body(
    bytes: &[u8],
    piece: usize,
) -> impl futures::Stream<Item = Result<Bytes, SourceFailure>> + use<> {
    let chunks: Vec<_> = bytes
        .chunks(piece)
        .map(Bytes::copy_from_slice)
        .map(Ok)
        .collect();
    stream::iter(chunks)
}

fn any_body(bytes: &[u8], piece: usize) {
    let body = body(bytes, piece);
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            let mut form = Form::read(body, BOUNDARY.to_owned());
            let (mut parts, mut content) = (0, 0);
            let end = loop {
                match form.next_part().await {
                    Ok(Some(mut part)) => {
                        parts += 1;
                        if parts % 3 > 0 {
                            content += read(&mut part, usize::MAX).await.map_or(0, |all| all.len());
                        }
                    }
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                }
            };
            assert!(parts <= MAX_PARTS, "{parts} parts");
            assert!(content <= bytes.len(), "{content} of {} bytes", bytes.len());
            // An end is the end.
            match (end, form.next_part().await) {
                (Ok(()), Ok(None)) => {}
                (Err(first), Err(again)) => assert_eq!(first, again),
                (first, again) => panic!("{first:?}, then {:?}", again.map(|it| it.is_some())),
            }
        });
    });
}

/// A part of a form that is well made.
struct Made {
    name: String,
    file_name: Option<String>,
    content: Vec<u8>,
    /// Whether it is read, or left.
    read: bool,
}

fn well_made(mut input: Input<'_>, piece: usize) {
    let mut parts = Vec::new();
    let marker = format!("\r\n--{BOUNDARY}");
    while !input.is_empty() && parts.len() < MAX_PARTS {
        let read = input.byte() % 4 > 0;
        let (name, file_name) = (plain(&input.text()), input.some_text());
        let content = input.bytes().to_vec();
        if !content
            .windows(marker.len())
            .any(|it| it == marker.as_bytes())
        {
            parts.push(Made {
                name,
                file_name: file_name.map(|name| plain(&name)),
                content,
                read,
            });
        }
    }
    let bytes = written(&parts);
    RUNTIME.with(|runtime| runtime.block_on(same(&parts, &bytes, piece)));
}

/// A name without what its writer would have to escape.
fn plain(name: &str) -> String {
    let kept = |c: &char| !c.is_control() && !matches!(c, '"' | '\\' | '%');
    name.chars().filter(kept).take(64).collect()
}

fn written(parts: &[Made]) -> Vec<u8> {
    let mut body = Vec::new();
    for part in parts {
        let file = part
            .file_name
            .as_ref()
            .map(|name| format!("; filename=\"{name}\""));
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{}\"{}\r\n\r\n",
            part.name,
            file.unwrap_or_default()
        );
        body.extend(head.bytes());
        body.extend(&part.content);
        body.extend(b"\r\n");
    }
    body.extend(format!("--{BOUNDARY}--\r\n").bytes());
    body
}

async fn same(parts: &[Made], bytes: &[u8], piece: usize) {
    let mut form = Form::read(body(bytes, piece), BOUNDARY.to_owned());
    for made in parts {
        let mut part = match form.next_part().await {
            Ok(Some(part)) => part,
            other => panic!("a part is missing: {:?}", other.map(|it| it.is_some())),
        };
        assert_eq!(part.name.as_deref(), Some(made.name.as_str()));
        assert_eq!(part.file_name, made.file_name);
        if made.read {
            let content = read(&mut part, usize::MAX)
                .await
                .expect("the content arrives");
            assert_eq!(content, made.content);
        } else {
            let _ = read(&mut part, 1).await;
        }
    }
    let end = form.next_part().await;
    assert!(matches!(end, Ok(None)), "{:?}", end.map(|it| it.is_some()));
}

/// At least `enough` bytes of a part's content, if there are as many.
async fn read(part: &mut Part, enough: usize) -> Result<Vec<u8>, FormError> {
    let mut content: Chunks = part.content.take().expect("it is taken once");
    let mut all = Vec::new();
    while let Some(chunk) = content.recv().await {
        all.extend(chunk?);
        if all.len() >= enough {
            break;
        }
    }
    Ok(all)
}
