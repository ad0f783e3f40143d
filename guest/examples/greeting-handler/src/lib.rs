//! Example of a handler: the smallest there is. It answers every request with a greeting.
//!
//! It imports nothing but `wasi:http` and what that rests on, so it runs on any server for
//! `wasi:http` components. The benchmark of requests has it run by several.

use auricle_guest::handler::{Handler, IncomingRequest, ResponseOutparam};
use auricle_guest::http::Response;

struct Greeting;

impl Handler for Greeting {
    fn handle(_: IncomingRequest, out: ResponseOutparam) {
        Response::text(200, "hello\n").send(out);
    }
}

auricle_guest::handler::export!(Greeting);
