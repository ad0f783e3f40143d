use std::collections::BTreeSet;

use wit_parser::decoding::{DecodedWasm, decode};
use wit_parser::{Resolve, WorldId, WorldKey};

use super::project::{Project, can_build, component_new};
use crate::support::program::{command, repository};

/// Packages of the contracts, each after those that it depends on.
const PACKAGES: [&str; 12] = [
    "deps/io.wit",
    "deps/random.wit",
    "deps/clocks.wit",
    "deps/filesystem.wit",
    "deps/sockets.wit",
    "deps/cli.wit",
    "deps/http.wit",
    "auricle-runtime",
    "auricle-audio",
    "auricle-speech",
    "auricle-http",
    "auricle-pipeline",
];

/// Interfaces by their names: what a world imports, and what it exports.
type Names = (BTreeSet<String>, BTreeSet<String>);

fn names(resolve: &Resolve, world: WorldId) -> Names {
    let world = &resolve.worlds[world];
    let named = |key: &WorldKey| resolve.name_world_key(key);
    (
        world.imports.keys().map(named).collect(),
        world.exports.keys().map(named).collect(),
    )
}

/// The contract of a role.
fn contract(role: &str) -> Names {
    let mut resolve = Resolve::default();
    let mut ids = Vec::new();
    for package in PACKAGES {
        let path = repository().join("wit").join(package);
        ids.push(resolve.push_path(&path).unwrap().0);
    }
    let world = match role {
        "handler" => "auricle:pipeline/handler".to_owned(),
        role => format!("auricle:pipeline/{role}-role"),
    };
    let world = resolve.select_world(&ids, Some(&world)).unwrap();
    names(&resolve, world)
}

/// Fails unless the component imports nothing but what its role is given, and exports all that the role
/// demands.
pub fn must_fit(role: &str, component: &[u8]) {
    let DecodedWasm::Component(resolve, world) = decode(component).unwrap() else {
        panic!("{role}: no component");
    };
    let (imports, exports) = names(&resolve, world);
    let (mut allowed, demanded) = contract(role);
    if role == "handler" {
        // What comes with `wasi:http` (capability/roles).
        let proxy = [
            "clocks/wall-clock",
            "random/random",
            "cli/stdin",
            "cli/stdout",
            "cli/stderr",
        ];
        allowed.extend(proxy.map(|interface| format!("wasi:{interface}@0.2.12")));
    }
    let allowed: BTreeSet<&str> = allowed.iter().map(|name| unpatched(name)).collect();
    for import in &imports {
        assert!(allowed.contains(unpatched(import)), "{role}: {import}");
    }
    // A tool may add exports of its own, which nobody calls.
    assert!(exports.is_superset(&demanded), "{role}: {exports:?}");
}

/// Another patch of the same minor version is the same to the linker.
fn unpatched(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(name, _)| name)
}

/// Builds new projects in a language and holds them against their roles. What the guide builds, a
/// speaker-assigner in each language, it holds against its role itself.
fn new_projects_fit(lang: &str, roles: &[&str]) {
    if can_build(lang) {
        for role in roles {
            must_fit(role, &Project::new(lang, role).build());
        }
    }
}

#[test]
fn projects_in_rust_build_and_fit_their_roles() {
    new_projects_fit("rust", &["chunker", "handler"]);
}

#[test]
fn projects_in_javascript_build_and_fit_their_roles() {
    new_projects_fit("js", &["chunker", "handler"]);
}

#[test]
fn a_project_in_python_builds_and_fits_its_role() {
    new_projects_fit("python", &["chunker"]);
}

#[test]
fn a_file_that_is_no_module_of_ours_does_not_become_a_component() {
    let dir = tempfile::tempdir().unwrap();
    component_new(dir.path(), &["--lang", "rust", "mine"]);
    let encode = |module: &str| {
        let mut program = command();
        program.current_dir(dir.path());
        let program = program.args(["component", "encode", module, "-o", "out.wasm"]);
        let output = program.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(encode("gone.wasm").contains("cannot be read"));
    assert!(encode("mine/README.md").contains("does not make a component"));
    assert!(!dir.path().join("out.wasm").exists());
}
