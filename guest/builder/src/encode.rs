//! Turns core modules into components.

use std::fmt::Display;
use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::BuildError;

/// The first bytes of a component; a core module has version 1 and layer 0 here.
const COMPONENT_PREAMBLE: [u8; 8] = *b"\0asm\x0d\0\x01\0";

/// Wraps a core module as the component that its embedded bindings describe.
///
/// Takes modules that import nothing but their world's interfaces: no WASI adapter is added. A
/// finished component is passed on as it is.
///
/// # Errors
/// [`BuildError::Encode`] when the module has no bindings or does not fit them.
pub fn encode_module(name: &str, module: &[u8]) -> Result<Vec<u8>, BuildError> {
    if module.starts_with(&COMPONENT_PREAMBLE) {
        return Ok(module.to_vec());
    }
    ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(ComponentEncoder::encode)
        .map_err(|error| failure(name, error))
}

/// Wraps hand-written WebAssembly text as a component of `world` (such as
/// `auricle:pipeline/chunker-role`), whose packages are in the files or folders `packages`, each
/// after those that it depends on.
///
/// # Errors
/// [`BuildError::Encode`] when the text, a package or the world is wrong.
pub fn encode_wat(
    name: &str,
    text: &str,
    packages: &[impl AsRef<Path>],
    world: &str,
) -> Result<Vec<u8>, BuildError> {
    let mut module = wat::parse_str(text).map_err(|error| failure(name, error))?;
    let mut resolve = Resolve::default();
    let mut ids = Vec::new();
    for package in packages {
        let (id, _) = resolve
            .push_path(package.as_ref())
            .map_err(|error| failure(name, error))?;
        ids.push(id);
    }
    let world = resolve
        .select_world(&ids, Some(world))
        .map_err(|error| failure(name, error))?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
        .map_err(|error| failure(name, error))?;
    encode_module(name, &module)
}

/// The alternate form writes the whole chain of causes.
fn failure(name: &str, error: impl Display) -> BuildError {
    BuildError::Encode {
        name: name.to_owned(),
        reason: format!("{error:#}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::test_guests::PACKAGES;

    /// A chunker that answers nothing.
    const CHUNKER: &str = r#"(module
        (memory (export "memory") 1)
        (func (export "auricle:pipeline/chunker@0.2.0#split") (param i32 i64) (result i32)
            unreachable))"#;

    fn contracts() -> Vec<std::path::PathBuf> {
        let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
        PACKAGES.iter().map(|package| wit.join(package)).collect()
    }

    #[test]
    fn text_becomes_a_component_and_a_component_stays_as_it_is() {
        let world = "auricle:pipeline/chunker-role";
        let component = encode_wat("c", CHUNKER, &contracts(), world).unwrap();
        assert!(component.starts_with(&COMPONENT_PREAMBLE));
        assert_eq!(encode_module("c", &component).unwrap(), component);
    }

    #[test]
    fn a_module_without_the_worlds_export_is_refused_by_name() {
        let world = "auricle:pipeline/speaker-assigner-role";
        let error = encode_wat("odd", CHUNKER, &contracts(), world).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("odd does not make a component"),
            "{error}"
        );
    }

    #[test]
    fn bytes_that_are_no_module_are_refused() {
        assert!(encode_module("x", b"not wasm").is_err());
        assert!(encode_module("x", b"").is_err());
    }
}
