//! The pages that the server shows in a browser, and the document of its API: all of it in the
//! program, so that it works without a network.
//!
//! | path | what |
//! |---|---|
//! | `/` | drop a file, read its transcript (`pages/index.html`) |
//! | `/docs` | the API to try out: Swagger UI, shown `/openapi.json` |
//! | `/openapi.json` | the API as OpenAPI 3.1 |
//!
//! The document is written by hand, because the fields of forms are read one by one as they stream in
//! and no Rust type stands for a form. It is held against the code instead: the handler's tests
//! compare each form with the fields that are read, their bounds and defaults; the suites of client
//! libraries (`tests/clients`) hold every answer of a real server against its schema, closed; the
//! tests here compare its paths with `docs/api.md`.
//!
//! # Limits
//! Pages are the same for everybody and know nothing of a request. No page holds a script or a style
//! of its own: what a page may load is the server's own files, and its policy says so to the browser.

use std::io::{Cursor, Read};
use std::sync::LazyLock;

use sha2::{Digest, Sha256};
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

/// The document of the API, OpenAPI 3.1 as JSON.
pub const OPENAPI: &str = include_str!("../openapi.json");

/// The document of the admin API and of tenants' deployments, OpenAPI 3.1 as JSON. Not a page: the
/// admin listener answers with it. An end-to-end test holds its paths and methods against the server.
pub const ADMIN_OPENAPI: &str = include_str!("../admin.json");

/// What a page of ours may load and do.
const OWN: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                   img-src 'self'; media-src blob:; base-uri 'none'; form-action 'none'; \
                   frame-ancestors 'none'";

/// Swagger UI sets styles from its script, and its pictures are written into its styles.
const SWAGGER: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                       connect-src 'self'; img-src 'self' data:; base-uri 'none'; \
                       form-action 'none'; frame-ancestors 'none'";

/// A file as a browser gets it.
#[derive(Debug)]
pub struct Page {
    path: &'static str,
    /// Its media type.
    pub content_type: &'static str,
    /// Its `Content-Security-Policy`.
    pub policy: &'static str,
    /// Its content.
    pub body: &'static [u8],
    /// Its `ETag`: the same content has the same one.
    pub tag: String,
}

/// What answers `GET path`, if a page does.
#[must_use]
pub fn page(path: &str) -> Option<&'static Page> {
    PAGES.iter().find(|page| page.path == path)
}

static PAGES: LazyLock<Vec<Page>> = LazyLock::new(|| {
    const HTML: &str = "text/html; charset=utf-8";
    const SCRIPT: &str = "text/javascript; charset=utf-8";
    const STYLE: &str = "text/css; charset=utf-8";
    let ours = |path, content_type, body: &'static str| Page {
        path,
        content_type,
        policy: OWN,
        body: body.as_bytes(),
        tag: tag(body.as_bytes()),
    };
    let mut pages = vec![
        ours("/", HTML, include_str!("../pages/index.html")),
        ours("/web/app.js", SCRIPT, include_str!("../pages/app.js")),
        ours("/web/show.js", SCRIPT, include_str!("../pages/show.js")),
        ours("/web/style.css", STYLE, include_str!("../pages/style.css")),
        ours(
            "/web/icon.svg",
            "image/svg+xml",
            include_str!("../pages/icon.svg"),
        ),
        ours("/openapi.json", "application/json", OPENAPI),
        Page {
            policy: SWAGGER,
            ..ours("/docs", HTML, include_str!("../pages/docs.html"))
        },
        ours("/docs/docs.js", SCRIPT, include_str!("../pages/docs.js")),
    ];
    for (path, content_type, file) in [
        ("/docs/swagger-ui-bundle.js", SCRIPT, "swagger-ui-bundle.js"),
        ("/docs/swagger-ui.css", STYLE, "swagger-ui.css"),
    ] {
        if let Some(body) = swagger(file) {
            pages.push(Page {
                path,
                content_type,
                policy: OWN,
                tag: tag(&body),
                body: body.leak(),
            });
        }
    }
    pages
});

/// A file of Swagger UI, out of the archive that a Rust package carries whole. It is taken out once,
/// when somebody first asks for a page, in some 30 ms; nothing of it is in this repository.
fn swagger(file: &str) -> Option<Vec<u8>> {
    let within = format!("/dist/{file}");
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED)).ok()?;
    let names = archive.file_names().filter_map(Result::ok);
    let name = names
        .map(|name| name.into_owned())
        .find(|name| name.ends_with(&within))?;
    let mut bytes = Vec::new();
    archive.by_name(&name).ok()?.read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn tag(body: &[u8]) -> String {
    let mut digits = hex::encode(Sha256::digest(body));
    digits.truncate(16);
    format!("\"{digits}\"")
}

#[cfg(test)]
mod tests;
