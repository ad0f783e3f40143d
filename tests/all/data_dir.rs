//! A data directory whose database is lost.

use crate::support::Server;
use crate::tenancy::desk::{auricle, data_dir};

#[test]
fn components_without_their_database_keep_the_server_from_starting() {
    let dir = data_dir();
    let components = dir.path().join("wasm");
    std::fs::create_dir(&components).unwrap();
    std::fs::write(components.join("0a.wasm"), "a component").unwrap();
    let refused = Server::builder().data_dir(dir.path()).try_start();
    let said = refused.err().expect("no start").stderr;
    assert!(said.contains("auricle.db is missing or empty"), "{said}");
    assert!(
        said.contains("backup") && said.contains("--data-dir"),
        "{said}"
    );
    // Nor does a verb make an empty one in its place.
    let created = auricle(dir.path(), &["key", "create"]);
    assert_eq!(created.status.code(), Some(1), "{created:?}");
    assert!(!dir.path().join("auricle.db").exists());
}
