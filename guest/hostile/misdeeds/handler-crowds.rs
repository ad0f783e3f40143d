//! A handler that starts transcription after transcription of the form's file; each of them has
//! components of its own at work. After a while it answers with how many it has started, and how many
//! of them were refused because the tenant has as much at work as it may.

use auricle_guest::audio::{Clip, Hint, decode};
use auricle_guest::handler::{Handler, IncomingRequest, ResponseOutparam};
use auricle_guest::http::{Request, Response};
use auricle_guest::monotonic_clock;
use auricle_guest::speech::SpeechError;
use auricle_guest::transcriber::{Options, start};

/// As many as the host holds for one component, but for what else it holds.
const CROWD: usize = 200;

const PAUSE_NANOS: u64 = 1_500_000_000;

struct Hostile;

impl Handler for Hostile {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let Some(clip) = clip(&Request::new(request)) else {
            return Response::text(400, "no clip").send(out);
        };
        let started: Vec<_> = (0..CROWD)
            .map_while(|_| start(&clip, Options::default()).ok())
            .collect();
        monotonic_clock::subscribe_duration(PAUSE_NANOS).block();
        let has_news = started.iter().filter(|one| one.subscribe().ready());
        let refused = has_news.filter(|one| matches!(one.next(), Err(SpeechError::OverLimit(_))));
        let text = format!("{} {}", started.len(), refused.count());
        Response::text(200, text).send(out);
    }
}

auricle_guest::handler::export!(Hostile);

fn clip(request: &Request) -> Option<Clip> {
    let form = request.form().ok()?;
    let part = form.next_part().ok()??;
    let hint = Hint {
        file_name: part.file_name(),
        content_type: part.content_type(),
    };
    decode(part.content()?, &hint).ok()
}
