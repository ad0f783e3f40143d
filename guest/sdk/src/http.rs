//! Reading requests and writing responses.

mod query;
mod request;
mod response;

pub use self::query::Query;
pub use self::request::{BodyError, Request};
pub use self::response::{ClientGone, Response, StreamedResponse};
pub use crate::bindings::auricle::http::multipart::{Form, FormError, Part, base64};
pub use crate::bindings::auricle::http::websocket::{
    Continuation, Message, Position, Socket, SocketError,
};
pub use crate::bindings::wasi::http::types::{IncomingRequest, Method, ResponseOutparam};
pub use crate::bindings::wasi::io::streams::InputStream;

/// The standard's interfaces as they are, for what the helpers do not have.
pub mod raw {
    pub use crate::bindings::wasi::http::types;
    pub use crate::bindings::wasi::io::streams;
}
