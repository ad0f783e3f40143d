use std::process::Command;

use reqwest::Method;
use serde_json::{Value, json};

use super::Tenant;
use crate::guests::send;
use crate::support::upload::client;
use crate::tenancy::desk::{Desk, created, data_dir, error, secret};

/// A file system of the test's own on the data directory, unmounted on drop.
struct Mounted(std::path::PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

/// Mounts so many bytes on the directory, with what is in it.
fn mount(dir: &std::path::Path, bytes: u64) -> Option<Mounted> {
    let components = tempfile::tempdir().unwrap();
    let from = dir.join("components");
    for file in from.read_dir().unwrap().flatten() {
        std::fs::copy(file.path(), components.path().join(file.file_name())).unwrap();
    }
    let mut mount = Command::new("mount");
    mount.args([
        "-t",
        "tmpfs",
        "-o",
        &format!("size={bytes},mode=700"),
        "tmpfs",
    ]);
    if !mount
        .arg(dir)
        .output()
        .is_ok_and(|output| output.status.success())
    {
        eprintln!("skipped: no file system can be mounted here");
        return None;
    }
    std::fs::create_dir(&from).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&from, private).unwrap();
    for file in components.path().read_dir().unwrap().flatten() {
        std::fs::copy(file.path(), from.join(file.file_name())).unwrap();
    }
    Some(Mounted(dir.to_owned()))
}

/// Fills the directory's disk.
fn fill(dir: &std::path::Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(dir.join("filled")).unwrap();
    for size in [1 << 20, 4 << 10, 1] {
        while file.write_all(&vec![1; size]).is_ok() {}
    }
}

#[tokio::test]
async fn a_tenant_that_has_filled_the_disk_is_shut_out_and_removed() {
    let dir = data_dir();
    let used: u64 = dir
        .path()
        .join("components")
        .read_dir()
        .unwrap()
        .flatten()
        .map(|file| file.metadata().unwrap().len())
        .sum();
    let Some(_mounted) = mount(dir.path(), used + (16 << 20)) else {
        return;
    };
    let desk = Desk::start(dir, |server| server);
    let evil = Tenant::new(&desk, "evil").await;
    let deploys = json!({ "tenant": "evil", "scopes": ["deploy"] });
    let key = created(&desk.post("keys", deploys).await);
    let (id, text) = (key["id"].as_str().unwrap().to_owned(), secret(&key));
    fill(desk.dir.path());
    // Settings go into the store, until it takes no more.
    let mut full = None;
    for number in 0..2_000 {
        let settings = json!({ "text": format!("{number}{}", "x".repeat(30_000)) });
        let answer = evil.set(json!({ "configuration": settings })).await;
        if answer.status != 201 {
            full = Some(answer);
            break;
        }
    }
    let full = full.expect("a full disk");
    assert_eq!(error(&full, 503)["code"], "store_full");

    let revoked = desk
        .post(&format!("keys/{id}/revoke"), json!({}))
        .await
        .ok();
    assert_eq!(revoked["status"], "revoked");
    let list = client().get(desk.server.url("/deploy/v1/components"));
    assert_eq!(send(list.bearer_auth(&text)).await.status, 401);
    desk.ask(Method::DELETE, "tenants/evil", Value::Null)
        .await
        .ok();
    assert_eq!(desk.knock(&evil.key).await.status, 401);
    // Both are written down.
    let opens = evil.key.clone();
    let Desk { server, dir, .. } = desk;
    drop(server);
    let desk = Desk::start(dir, |server| server);
    assert_eq!(desk.knock(&opens).await.status, 401);
    let gone = desk.get("tenants/evil").await;
    assert_eq!(error(&gone, 404)["code"], "tenant_not_found");
}
