//! Answers that are not taken (29).

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};

use super::clients::CLIENT;
use crate::guests::key;
use crate::support::Server;
use crate::support::frames::NoWindow;

/// 29: HTTP/2 clients without a window, alive otherwise, with many requests each.
pub fn no_window(server: &'static Server) -> BoxFuture<'static, ()> {
    async move {
        let all = (0..20).map(|_| async {
            let mut client = NoWindow::connect(&server.address).await;
            for number in 0..4 {
                let key = key(CLIENT);
                client.get(1 + 2 * number, "/v1/models", Some(&key)).await;
            }
            client.until_hung_up().await
        });
        // What was over the tenant's limit was refused, and the refusal not taken either.
        for reset in join_all(all).await {
            assert_eq!(reset.len(), 4, "{reset:?}");
        }
    }
    .boxed()
}
