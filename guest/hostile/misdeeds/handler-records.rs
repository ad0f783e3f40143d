//! A handler that records silence without end: the host holds it, not the component.

use auricle_guest::audio::Recorder;
use auricle_guest::handler::{Handler, IncomingRequest, ResponseOutparam};

struct Hostile;

impl Handler for Hostile {
    fn handle(_: IncomingRequest, _: ResponseOutparam) {
        let silence = vec![0; 1 << 20];
        let mut held = Vec::new();
        loop {
            let recorder = Recorder::new();
            while recorder.append(&silence).is_ok() {}
            held.push(recorder);
        }
    }
}

auricle_guest::handler::export!(Hostile);
