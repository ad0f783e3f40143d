//! Components in OCI registries, in the layout that tools of the wasm ecosystem share: one layer of
//! `application/wasm`, and a configuration of `application/vnd.wasm.config.v0+json`.
//!
//! The command line talks to registries, the server to none: what it serves was pushed to it. A tag is
//! resolved once, and what it led to is named by digest from then on. Registries on loopback are
//! spoken to without TLS. Name and password come from AURICLE_REGISTRY_USER and
//! AURICLE_REGISTRY_PASSWORD, if they are set, and go to the registry that AURICLE_REGISTRY names and to no
//! other one: a reference may come from an untrusted source.

mod bounded;

use std::net::IpAddr;

use anyhow::{Context, Result, bail, ensure};
use auricle_tenancy::ComponentDigest;
use oci_client::client::{ClientConfig, ClientProtocol, Config, ImageLayer};
use oci_client::manifest::OciImageManifest;
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use serde_json::json;

use bounded::BoundedBytes;

/// What a reference begins with.
const SCHEME: &str = "oci://";

const LAYER: &str = "application/wasm";
const CONFIG: &str = "application/vnd.wasm.config.v0+json";

/// Largest component that is fetched: what a server takes by default.
const MAX_BYTES: i64 = 64 << 20;

/// A component in a registry.
pub(in crate::commands) struct Registry {
    client: Client,
    reference: Reference,
    auth: RegistryAuth,
    runtime: tokio::runtime::Runtime,
}

impl Registry {
    /// The registry that `named` names, as `oci://HOST/NAME:TAG`; nothing where it names none.
    pub(in crate::commands) fn named(named: &str) -> Result<Option<Self>> {
        let Some(reference) = named.strip_prefix(SCHEME) else {
            return Ok(None);
        };
        let reference: Reference = reference
            .parse()
            .with_context(|| format!("{named} is no reference such as oci://HOST/NAME:TAG"))?;
        // Of two providers that are compiled in nobody would know which is meant; here is one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let registry = reference.resolve_registry().to_owned();
        let auth = Login::from_environment().auth_for(reference.registry())?;
        let protocol = match is_loopback(&registry) {
            true => ClientProtocol::HttpsExcept(vec![registry]),
            false => ClientProtocol::Https,
        };
        let client = Client::new(ClientConfig {
            protocol,
            ..ClientConfig::default()
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok(Some(Self {
            client,
            reference,
            auth,
            runtime,
        }))
    }

    /// Puts a component there; the manifest's digest.
    pub(in crate::commands) fn push(&self, component: Vec<u8>) -> Result<String> {
        let layer = ImageLayer::new(component, LAYER.to_owned(), None);
        let about = json!({
            "created": "1970-01-01T00:00:00Z",
            "architecture": "wasm",
            "os": "wasip2",
            "layerDigests": [layer.sha256_digest()],
            "component": shape(&layer.data)?,
        });
        let config = Config::new(about.to_string(), CONFIG.to_owned(), None);
        let layers = [layer];
        let manifest = OciImageManifest::build(&layers, &config, None);
        self.runtime.block_on(async {
            let (image, auth) = (&self.reference, &self.auth);
            let pushed = self
                .client
                .push(image, &layers, config, auth, Some(manifest));
            pushed.await.with_context(|| self.failed())?;
            let digest = self.client.fetch_manifest_digest(image, auth).await;
            digest.with_context(|| self.failed())
        })
    }

    /// Fetches the component.
    pub(in crate::commands) fn pull(&self) -> Result<Vec<u8>> {
        self.runtime.block_on(async {
            let (image, auth) = (&self.reference, &self.auth);
            let manifest = self.client.pull_image_manifest(image, auth);
            let (manifest, _) = manifest.await.with_context(|| self.failed())?;
            let mut layers = manifest.layers.iter();
            let layer = layers.find(|layer| layer.media_type == LAYER);
            let Some(layer) = layer else {
                bail!("{image} has no layer of {LAYER}: it is no component");
            };
            ensure!(
                (0..=MAX_BYTES).contains(&layer.size),
                "{image} has {} bytes, more than a component may ({MAX_BYTES})",
                layer.size
            );
            let mut received = BoundedBytes::of(u64::try_from(layer.size)?);
            let pulled = self.client.pull_blob(image, layer, &mut received);
            pulled.await.with_context(|| self.failed())?;
            let bytes = received.into_bytes();
            let digest = auricle_deployment::blobs::digest(&bytes);
            ensure!(
                ComponentDigest::parse(&layer.digest).as_ref() == Some(&digest),
                "{image} gave other bytes than those of its digest: try again"
            );
            Ok(bytes)
        })
    }

    fn failed(&self) -> String {
        format!("the registry did not do it for {}", self.reference)
    }
}

/// Name and password, and the registry that they are for.
#[derive(Default)]
struct Login {
    registry: Option<String>,
    user: Option<String>,
    password: Option<String>,
}

impl Login {
    fn from_environment() -> Self {
        let variable = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
        Self {
            registry: variable("AURICLE_REGISTRY"),
            user: variable("AURICLE_REGISTRY_USER"),
            password: variable("AURICLE_REGISTRY_PASSWORD"),
        }
    }

    /// What `registry` is shown.
    fn auth_for(self, registry: &str) -> Result<RegistryAuth> {
        let (Some(user), Some(password)) = (self.user, self.password) else {
            return Ok(RegistryAuth::Anonymous);
        };
        let Some(own) = self.registry else {
            bail!(
                "AURICLE_REGISTRY_USER and AURICLE_REGISTRY_PASSWORD are set, and not which registry they are for: \
                 set AURICLE_REGISTRY to its HOST or HOST:PORT, or unset them"
            );
        };
        Ok(match own.eq_ignore_ascii_case(registry) {
            true => RegistryAuth::Basic(user, password),
            false => RegistryAuth::Anonymous,
        })
    }
}

/// What a component imports and exports, for whoever looks at the registry.
fn shape(component: &[u8]) -> Result<serde_json::Value> {
    let decoded = wit_component::decode(component).context("this is no component")?;
    let resolve = decoded.resolve();
    let wit_component::DecodedWasm::Component(_, world) = &decoded else {
        bail!("this is no component but a package of interfaces");
    };
    let world = resolve
        .worlds
        .get(*world)
        .context("this component has no world")?;
    let names = |items: &mut dyn Iterator<Item = &wit_parser::WorldKey>| -> Vec<String> {
        items.map(|key| resolve.name_world_key(key)).collect()
    };
    Ok(json!({
        "imports": names(&mut world.imports.keys()),
        "exports": names(&mut world.exports.keys()),
        "target": null,
    }))
}

fn is_loopback(registry: &str) -> bool {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn only_loopback_goes_without_tls() {
        for registry in [
            "localhost",
            "localhost:5000",
            "127.0.0.1:5000",
            "[::1]:5000",
        ] {
            assert!(is_loopback(registry), "{registry}");
        }
        for registry in [
            "registry.example",
            "127.0.0.1.example:5000",
            "10.0.0.1:5000",
        ] {
            assert!(!is_loopback(registry), "{registry}");
        }
    }

    #[test]
    fn what_is_no_reference_is_a_file_or_an_error() {
        assert!(Registry::named("chunker.wasm").unwrap().is_none());
        assert!(
            Registry::named("oci://127.0.0.1:1/name:1")
                .unwrap()
                .is_some()
        );
        assert!(Registry::named("oci://").is_err());
    }

    #[test]
    fn a_password_goes_to_the_registry_that_it_is_for_and_to_no_other() {
        let login = |registry: Option<&str>| Login {
            registry: registry.map(str::to_owned),
            user: Some("user".to_owned()),
            password: Some("secret".to_owned()),
        };
        let is_shown = |own, asked| match login(own).auth_for(asked).unwrap() {
            RegistryAuth::Basic(user, password) => user == "user" && password == "secret",
            _ => false,
        };
        let own = Some("registry.example:5000");
        assert!(is_shown(own, "registry.example:5000"));
        assert!(is_shown(own, "Registry.Example:5000"));
        for other in [
            "registry.example",
            "registry.example:5001",
            "evil.example",
            "registry.example.evil.example:5000",
        ] {
            assert!(!is_shown(own, other), "{other}");
        }
        let error = login(None).auth_for("registry.example").unwrap_err();
        assert!(error.to_string().contains("AURICLE_REGISTRY "), "{error}");
        let none = Login::default().auth_for("registry.example").unwrap();
        assert!(matches!(none, RegistryAuth::Anonymous));
    }
}
