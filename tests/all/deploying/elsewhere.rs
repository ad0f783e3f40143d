use std::time::{Duration, Instant};

use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{Tenant, eventually};
use crate::guests::wasm;
use crate::support::Server;
use crate::tenancy::desk::{Desk, created, data_dir};

/// In how many segments a server gives the first 4 s.
async fn segments(tenant: &Tenant<'_>, server: &Server) -> usize {
    let answer = tenant.transcribe_on(server, "any", 4).await.ok();
    answer["segments"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_second_server_on_the_data_directory_serves_what_the_first_deploys() {
    let desk = Desk::start(data_dir(), |server| server);
    let second = Server::builder()
        .data_dir(desk.dir.path())
        .arg("--admin-listen")
        .arg("127.0.0.1:0")
        .start();
    let tenant = Tenant::new(&desk, "twice").await;
    eventually("the key is known there", async || {
        let answer = tenant.transcribe_on(&second, "any", 4).await;
        (answer.status == 200).then_some(())
    })
    .await;
    assert_eq!(segments(&tenant, &second).await, 1);
    let component = tenant.push(wasm::AURICLE_FIXED_CHUNKER).await;
    let body =
        |secs: &str| json!({ "component": component, "configuration": { "fixed-secs": secs } });
    created(&tenant.set(body("1")).await);
    let fine = tenant.segments().await;
    assert!(fine > 1, "{fine}");
    eventually("served there", async || {
        (segments(&tenant, &second).await == fine).then_some(())
    })
    .await;

    // One that is cut off for a while, and misses two revisions.
    second.signal(Signal::STOP);
    created(&tenant.set(body("2")).await);
    created(&tenant.set(body("30")).await);
    assert_eq!(tenant.segments().await, 1);
    second.signal(Signal::CONT);
    let since = Instant::now();
    eventually("caught up", async || {
        let found = segments(&tenant, &second).await;
        assert!([fine, 1].contains(&found), "{found} are of no revision");
        (found == 1).then_some(())
    })
    .await;
    println!("caught up after {:?}", since.elapsed());

    // Taken back.
    let back = tenant.ask(
        Method::POST,
        "deployments/chunker/rollback",
        json!({ "revision": 1 }),
    );
    back.await.ok();
    eventually("taken back there", async || {
        (segments(&tenant, &second).await == fine).then_some(())
    })
    .await;

    // A tenant of the same name that is another.
    desk.ask(Method::DELETE, "tenants/twice", Value::Null)
        .await
        .ok();
    let other = Tenant::new(&desk, "twice").await;
    eventually("nothing of the old one", async || {
        let answer = other.transcribe_on(&second, "any", 4).await;
        if answer.status != 200 {
            return None;
        }
        let answer = answer.ok();
        (answer["segments"].as_array().unwrap().len() == 1).then_some(())
    })
    .await;
    assert!(since.elapsed() < Duration::from_secs(60));
}
