//! The components that the configuration names, and ours for every other role.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use auricle_capability::{AssignerComponent, ChunkerComponent, DecoderComponent, HandlerComponent};
use auricle_deployment::{Deployments, FirstParty, Part, Plan, Preparer, TenantDeployments};
use auricle_runtime::{Deployment, Serving};
use auricle_speech::TenantId;

use crate::config::{ComponentConfig, Config, TenantConfig};

/// The components in this program.
pub(super) const FIRST_PARTY: FirstParty = FirstParty {
    handler: auricle_first_party::HANDLER,
    decoder: auricle_first_party::DECODER,
    chunker: auricle_first_party::CHUNKER,
    speaker_assigner: auricle_first_party::SPEAKER_ASSIGNER,
};

/// What serves tenants that deploy nothing.
pub(super) fn fleet(preparer: &Preparer, config: &Config) -> Result<Deployments> {
    let first_party = tenant(preparer, &TenantConfig::default(), None)?;
    let mut tenants = HashMap::new();
    for (name, own) in &config.file.tenants {
        let id = TenantId::new(name)?;
        let deployments = tenant(preparer, own, Some(&first_party))
            .with_context(|| format!("tenant '{name}'"))?;
        tenants.insert(id, deployments);
    }
    Ok(Deployments::new(first_party, tenants))
}

/// A tenant's deployments; roles that it does not set are shared with `base`.
fn tenant(
    preparer: &Preparer,
    tenant: &TenantConfig,
    base: Option<&TenantDeployments>,
) -> Result<TenantDeployments> {
    Ok(TenantDeployments {
        handler: role::<HandlerComponent>(preparer, tenant.handler.as_ref(), base)?,
        decoder: role::<DecoderComponent>(preparer, tenant.decoder.as_ref(), base)?,
        chunker: role::<ChunkerComponent>(preparer, tenant.chunker.as_ref(), base)?,
        assigner: role::<AssignerComponent>(preparer, tenant.speaker_assigner.as_ref(), base)?,
    })
}

fn role<P: Part>(
    preparer: &Preparer,
    component: Option<&ComponentConfig>,
    base: Option<&TenantDeployments>,
) -> Result<Arc<Deployment<P>>> {
    if let (None, Some(base)) = (component, base) {
        return Ok(Arc::clone(P::of(base)));
    }
    let path = component.and_then(|component| component.path.as_deref());
    let bytes = path.map(std::fs::read).transpose();
    let bytes = bytes.with_context(|| {
        let path = path.unwrap_or_else(|| "".as_ref());
        format!("the component {} cannot be read", path.display())
    })?;
    let plan = Plan {
        component: bytes.as_deref(),
        // Named by who runs the server.
        of_tenant: None,
        configuration: component
            .map(|own| own.configuration.clone())
            .unwrap_or_default(),
        graphs: component.map(|own| own.nn.clone()).unwrap_or_default(),
        limits: component.and_then(|own| own.limits.clone()),
    };
    let parts = preparer.parts::<P>(plan).with_context(|| match path {
        Some(path) => format!("the component {} cannot be used", path.display()),
        None => "a first-party component cannot be used".to_owned(),
    })?;
    let revision = parts.numbered(0, Arc::default());
    Ok(Arc::new(Deployment::new(Serving::only(revision))))
}
