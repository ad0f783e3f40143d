//! `auricle:pipeline/chunking`: what the request whose clip is cut wants of a chunker.

use crate::bindings::chunker::auricle::pipeline::chunking::{Host, VoiceOptions};
use crate::convert::voice_options_to_wit;
use crate::state::GuestState;

impl Host for GuestState {
    fn requested(&mut self) -> wasmtime::Result<Option<VoiceOptions>> {
        Ok(self.chunking.map(voice_options_to_wit))
    }
}
