//! What is read from a request: a body, a query, a part of the path.

use auricle_speech::TenantId;
use auricle_tenancy::store::MAX_PAGE;
use auricle_tenancy::{KeyId, Page, StoreError};
use serde::de::DeserializeOwned;

use super::AdminError;
use super::api::Call;

/// Entries of a page when nobody says how many.
const PAGE: usize = 100;

/// What a list's query says.
pub(super) struct Listing {
    pub(super) page: Page,
    pub(super) tenant: Option<TenantId>,
}

impl Call<'_> {
    /// The body; an empty one is an empty object.
    pub(super) fn input<T: DeserializeOwned>(&self) -> Result<T, AdminError> {
        let body = match self.body.trim_ascii() {
            b"" => b"{}",
            body => body,
        };
        serde_json::from_slice(body)
            .map_err(|error| AdminError::invalid(None, format!("the body cannot be used: {error}")))
    }

    /// `limit`, `after` and `tenant`.
    pub(super) fn listing(&self) -> Result<Listing, AdminError> {
        let mut listing = Listing {
            page: Page::first(PAGE),
            tenant: None,
        };
        let pairs = self.query.unwrap_or_default().split('&');
        for pair in pairs.filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "limit" => {
                    let advice =
                        || AdminError::invalid(Some("limit"), "'limit' must be from 1 to 1000");
                    let limit = value.parse().map_err(|_| advice())?;
                    if !(1..=MAX_PAGE).contains(&limit) {
                        return Err(advice());
                    }
                    listing.page.limit = limit;
                }
                "after" => listing.page.after = Some(value.to_owned()),
                "tenant" => listing.tenant = Some(tenant(value)?),
                _ => {
                    let advice = "a query may have 'limit', 'after' and 'tenant'";
                    return Err(AdminError::invalid(None, advice));
                }
            }
        }
        Ok(listing)
    }
}

/// The tenant that a path or a query names. What cannot be a tenant's name is none's.
pub(super) fn tenant(name: &str) -> Result<TenantId, StoreError> {
    TenantId::new(name).map_err(|_| StoreError::NoTenant(shown(name)))
}

/// The key that a path names.
pub(super) fn key(id: &str) -> Result<KeyId, StoreError> {
    KeyId::parse(id).ok_or_else(|| StoreError::NoKey(shown(id)))
}

/// As much of somebody's text as an answer repeats.
fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}
