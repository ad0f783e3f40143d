//! The models store as clients see it: which Whisper models are installed, under which names.

use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use auricle_models::manifest::Kind;
use auricle_models::{InstalledModel, Store};
use auricle_pipeline::{Catalog, CatalogModel};

/// See the module.
pub(super) struct StoreCatalog {
    store: Arc<Store>,
}

impl StoreCatalog {
    pub(super) fn of(store: &Arc<Store>) -> Self {
        Self {
            store: Arc::clone(store),
        }
    }

    fn installed(&self, name: &str) -> Option<InstalledModel> {
        let model = self.store.resolve(name).ok()?;
        (model.kind == Kind::Whisper).then_some(model)
    }
}

impl Catalog for StoreCatalog {
    /// A model's bare name where what that means is installed, then its other quantizations.
    fn list(&self) -> Vec<CatalogModel> {
        let mut found = Vec::new();
        let listed = self.store.list().into_iter();
        for model in listed.filter(|model| model.kind == Kind::Whisper) {
            let usual = self.installed(&model.name).map(|usual| usual.quantization);
            if usual.is_some() {
                found.extend(self.find(&model.name));
            }
            for variant in &model.installed {
                if usual.as_deref() != Some(&variant.quantization) {
                    found.extend(self.find(&format!("{}:{}", model.name, variant.quantization)));
                }
            }
        }
        found
    }

    fn find(&self, name: &str) -> Option<CatalogModel> {
        let model = self.installed(name)?;
        Some(CatalogModel {
            name: name.to_owned(),
            installed_unix_secs: written_unix_secs(&model.path),
        })
    }
}

/// When a file was written.
fn written_unix_secs(path: &Path) -> u64 {
    let written = std::fs::metadata(path).and_then(|file| file.modified());
    let since = written
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |since| since.as_secs())
}
