use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::Tenant;
use crate::guests::{file, wasm};
use crate::support::program::{Kept, command, repository};
use crate::support::upload::client;
use crate::tenancy::desk::{desk, stdout};

/// Debian's `docker-registry` on a directory of its own.
struct Registry {
    address: String,
    _process: Kept,
    _dir: TempDir,
}

impl Registry {
    /// A registry that answers; nothing, and a line, where Debian's package is not to be had.
    fn start() -> Option<Self> {
        let script = Command::new(repository().join("scripts/registry.sh"))
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        let program = String::from_utf8(script.stdout).unwrap();
        let Some(program) = program.trim().strip_prefix("AURICLE_REGISTRY_PROGRAM=") else {
            eprintln!("skipped: no docker-registry on this machine");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        // The registry does not say which port it took.
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let address = format!("127.0.0.1:{port}");
        let config = dir.path().join("config.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '{address}'}}\n",
            dir.path().join("data").display()
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new(program);
        command.arg("serve").arg(&config);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let process = Kept::spawn(&mut command);
        let since = Instant::now();
        while std::net::TcpStream::connect(&address).is_err() {
            assert!(since.elapsed() < Duration::from_secs(20), "no registry");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Self {
            address,
            _process: process,
            _dir: dir,
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_goes_to_a_registry_and_comes_from_it_into_service() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let chunker = file(wasm::AURICLE_FIXED_CHUNKER);
    let chunker = chunker.to_str().unwrap();
    let image = format!("oci://{}/acme/chunker:1.0.0", registry.address);
    let run = |args: &[&str]| command().args(args).output().unwrap();
    let pushed = stdout(&run(&["component", "push", chunker, "--to", &image]));
    assert!(pushed.starts_with("sha256:"), "{pushed}");

    // The standard layout, as another tool would read it.
    let url = format!("http://{}/v2/acme/chunker", registry.address);
    let manifest = client()
        .get(format!("{url}/manifests/1.0.0"))
        .header("accept", "application/vnd.oci.image.manifest.v1+json");
    let manifest: serde_json::Value = manifest.send().await.unwrap().json().await.unwrap();
    assert_eq!(
        manifest["config"]["mediaType"],
        "application/vnd.wasm.config.v0+json"
    );
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
    assert_eq!(manifest["layers"][0]["mediaType"], "application/wasm");
    let config = manifest["config"]["digest"].as_str().unwrap();
    let config = client()
        .get(format!("{url}/blobs/{config}"))
        .send()
        .await
        .unwrap();
    let config: serde_json::Value = config.json().await.unwrap();
    assert_eq!(
        (&config["architecture"], &config["os"]),
        (&"wasm".into(), &"wasip2".into())
    );
    let exports = config["component"]["exports"].to_string();
    assert!(exports.contains("auricle:pipeline/chunker"), "{config}");

    let dir = tempfile::tempdir().unwrap();
    let pulled = dir.path().join("pulled.wasm");
    stdout(&run(&[
        "component",
        "pull",
        &image,
        "--output",
        pulled.to_str().unwrap(),
    ]));
    assert!(std::fs::read(&pulled).unwrap() == wasm::AURICLE_FIXED_CHUNKER);

    let tenant = Tenant::new(desk(), "from-a-registry").await;
    let set = [
        "deploy",
        "set",
        "--role",
        "chunker",
        "--component",
        &image,
        "--config",
        "fixed-secs=1",
    ];
    stdout(&super::cli::operator(&tenant, &set));
    assert!(tenant.segments().await > 1);

    let missing = format!("oci://{}/acme/nothing:1", registry.address);
    let missing = run(&["component", "pull", &missing, "--output", "/dev/null"]);
    assert_eq!(missing.status.code(), Some(1));
    let said = String::from_utf8_lossy(&missing.stderr);
    assert!(said.contains("acme/nothing"), "{said}");
    let junk = dir.path().join("junk.wasm");
    std::fs::write(&junk, "not WebAssembly").unwrap();
    let junk = run(&["component", "push", junk.to_str().unwrap(), "--to", &image]);
    assert_eq!(junk.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&junk.stderr).contains("no component"));
}
