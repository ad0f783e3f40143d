//! What the pages and the document promise of themselves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

fn document() -> Value {
    serde_json::from_str(OPENAPI).unwrap()
}

fn text(path: &str) -> &'static str {
    std::str::from_utf8(page(path).unwrap().body).unwrap()
}

/// What follows `mark` up to the next quotation mark, each time it stands in `text`.
fn after<'a>(text: &'a str, mark: &str) -> Vec<&'a str> {
    let parts = text.split(mark).skip(1);
    parts.map(|part| part.split('"').next().unwrap()).collect()
}

#[test]
fn pages_load_nothing_but_each_other() {
    for path in ["/", "/docs"] {
        let html = text(path);
        let files = [after(html, "src=\""), after(html, "href=\"")].concat();
        assert!(files.len() > 2, "{path}: {files:?}");
        for file in files {
            let file = file.split('#').next().unwrap();
            assert!(
                file.is_empty() || page(&format!("/{file}")).is_some(),
                "{path} loads {file}"
            );
        }
        for inline in [
            "<style",
            " style=",
            " onclick=",
            "<script>",
            "http://",
            "https://",
        ] {
            assert!(!html.contains(inline), "{path} has {inline}");
        }
    }
    for path in [
        "/web/app.js",
        "/web/show.js",
        "/web/style.css",
        "/docs/docs.js",
    ] {
        for elsewhere in ["http://", "https://", "innerHTML", "eval("] {
            assert!(!text(path).contains(elsewhere), "{path} has {elsewhere}");
        }
    }
}

#[test]
fn the_document_is_of_this_version_and_every_reference_has_its_end() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let mut used = BTreeSet::new();
    for reference in after(OPENAPI, "\"$ref\": \"#") {
        assert!(document.pointer(reference).is_some(), "{reference}");
        used.insert(reference.to_owned());
    }
    for kind in ["schemas", "responses", "headers"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            let reference = format!("/components/{kind}/{name}");
            assert!(used.contains(&reference), "nothing refers to {reference}");
        }
    }
}

/// `METHOD /path` of every route that `text` names between backticks in a heading; where several share
/// a heading, later ones may leave the method out.
fn headed_routes(text: &str) -> BTreeSet<String> {
    let mut routes = BTreeSet::new();
    for heading in text.lines().filter(|line| line.starts_with('#')) {
        let mut method = String::new();
        for quoted in heading.split('`').skip(1).step_by(2) {
            let path = match quoted.split_once(' ') {
                Some((named, path)) => {
                    method = named.replace("WS", "GET");
                    path
                }
                None => quoted,
            };
            let path = path.split('?').next().unwrap();
            if path.starts_with('/') {
                routes.insert(format!("{method} {path}"));
            }
        }
    }
    routes
}

#[test]
fn the_document_has_the_routes_of_the_manual_and_no_others() {
    let mut documented = BTreeSet::new();
    for (path, methods) in document()["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            documented.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    let manual = headed_routes(include_str!("../../docs/api.md"));
    let pages = |route: &String| {
        route
            .strip_prefix("GET ")
            .is_some_and(|path| page(path).is_some())
    };
    let answered: BTreeSet<_> = manual.iter().filter(|r| !pages(r)).cloned().collect();
    assert_eq!(documented, answered);
    for path in ["/", "/docs", "/openapi.json"] {
        assert!(manual.contains(&format!("GET {path}")), "{path}");
    }
}

#[test]
fn a_tag_is_that_of_the_content() {
    let tags: BTreeSet<_> = PAGES.iter().map(|page| &page.tag).collect();
    assert_eq!(tags.len(), PAGES.len());
    assert!(page("/web/nowhere").is_none() && page("").is_none());
}
