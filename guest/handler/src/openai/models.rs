//! `GET /v1/models`: what a request may name as `model`.

use auricle_guest::http::Response;
use auricle_guest::speech::{Model, find_model, list_models};
use serde_json::{Value, json};

use crate::failure::{Failure, MODEL_NOT_FOUND};
use crate::options::shortened;

/// All models and their other names.
pub fn list() -> Response {
    let models: Vec<Value> = list_models().iter().map(body).collect();
    Response::json(200, &json!({ "object": "list", "data": models }))
}

/// One model.
pub fn one(name: &str) -> Result<Response, Failure> {
    find(name).map(|model| Response::json(200, &body(&model)))
}

/// The model of a name.
pub fn find(name: &str) -> Result<Model, Failure> {
    find_model(name).ok_or_else(|| {
        let text = format!(
            "The model '{}' does not exist or is not installed: name one of GET /v1/models",
            shortened(name)
        );
        Failure::new(404, text)
            .about("model")
            .coded(MODEL_NOT_FOUND)
    })
}

fn body(model: &Model) -> Value {
    json!({
        "id": model.name,
        "object": "model",
        "created": model.installed,
        "owned_by": "auricle",
    })
}
