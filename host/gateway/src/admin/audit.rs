//! The audit log: `GET /audit`.

use auricle_tenancy::{AuditEntry, Store};
use http::Method;
use serde::Serialize;
use serde_json::{Value, json};

use super::AdminError;
use super::api::{Call, Reply};
use crate::rescue::Refusal;

pub(super) fn reply(call: &Call<'_>, store: &dyn Store) -> Result<Reply, Refusal> {
    if call.method != Method::GET {
        return Err(Refusal::Method { allow: "GET" });
    }
    let listing = call.listing()?;
    let is_number = |text: &String| text.parse::<u32>().is_ok();
    if !listing.page.after.as_ref().is_none_or(is_number) {
        let advice = "'after' must be the id of an entry";
        return Err(AdminError::invalid(Some("after"), advice).into());
    }
    let entries = store.audit(listing.tenant.as_ref(), &listing.page);
    Ok(Reply::list(entries.map_err(AdminError::from)?, view))
}

fn view(entry: AuditEntry) -> Value {
    json!(View {
        object: "audit.entry",
        entry,
    })
}

#[derive(Serialize)]
struct View {
    object: &'static str,
    #[serde(flatten)]
    entry: AuditEntry,
}
