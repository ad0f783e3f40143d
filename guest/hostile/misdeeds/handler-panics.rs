//! A handler that panics.

#![allow(clippy::panic, reason = "this is the misdeed")]

use auricle_guest::handler::{Handler, IncomingRequest, ResponseOutparam};

struct Hostile;

impl Handler for Hostile {
    fn handle(_: IncomingRequest, _: ResponseOutparam) {
        panic!("on purpose")
    }
}

auricle_guest::handler::export!(Hostile);
