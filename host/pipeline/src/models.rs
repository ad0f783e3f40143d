//! The names that requests give models, and what they stand for.
//!
//! A model's own name is that of the store. Beside it there are aliases: names that clients already
//! use, such as OpenAI's, each of which stands for a model of this server, and may ask who spoke as
//! well. An alias is looked at first and stands for no other alias. Owns no model: what is loaded is
//! the registry's.

use std::collections::BTreeMap;
use std::sync::Arc;

use auricle_capability::ServedModel;

/// What is installed: the store on disk, as a rule. Both calls may block.
pub trait Catalog: Send + Sync {
    /// The installed models, in the order in which clients see them.
    fn list(&self) -> Vec<CatalogModel>;

    /// The installed model of this name.
    fn find(&self, name: &str) -> Option<CatalogModel>;
}

/// An installed model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogModel {
    /// Its name.
    pub name: String,
    /// When it was installed, in seconds since 1970; 0 where that is not known.
    pub installed_unix_secs: u64,
}

/// What another name of a model means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alias {
    /// The model; `None` is the server's default.
    pub model: Option<String>,
    /// Whether who names it wants to know who spoke.
    pub diarizes: bool,
}

/// The names that requests give models.
pub struct ModelNames {
    /// The model of requests that name none.
    pub default: String,
    /// Other names.
    pub aliases: BTreeMap<String, Alias>,
    /// What is installed.
    pub catalog: Arc<dyn Catalog>,
}

impl ModelNames {
    /// The model that a request means.
    pub(crate) fn model<'a>(&'a self, asked: Option<&'a str>) -> &'a str {
        match asked {
            None => &self.default,
            Some(name) => self.alias(name).map_or(name, |alias| self.target(alias)),
        }
    }

    /// The alias of this name. A dated name (`gpt-4o-transcribe-2025-03-20`) is that of its model.
    fn alias(&self, name: &str) -> Option<&Alias> {
        let undated = || self.aliases.get(undated(name)?);
        self.aliases.get(name).or_else(undated)
    }

    fn target<'a>(&'a self, alias: &'a Alias) -> &'a str {
        alias.model.as_deref().unwrap_or(&self.default)
    }

    /// All models, then the aliases of those that are installed. Blocks.
    pub(crate) fn list(&self) -> Vec<ServedModel> {
        let own = self
            .catalog
            .list()
            .into_iter()
            .map(|model| served(model, None));
        let aliases = self.aliases.keys().filter_map(|name| self.find(name));
        own.chain(aliases).collect()
    }

    /// The model of this name or other name, when it is installed. Blocks.
    pub(crate) fn find(&self, name: &str) -> Option<ServedModel> {
        let Some(alias) = self.alias(name) else {
            return Some(served(self.catalog.find(name)?, None));
        };
        let model = self.catalog.find(self.target(alias))?;
        Some(served(model, Some((name, alias))))
    }
}

fn served(model: CatalogModel, alias: Option<(&str, &Alias)>) -> ServedModel {
    let installed_unix_secs = model.installed_unix_secs;
    match alias {
        None => ServedModel {
            name: model.name,
            installed_unix_secs,
            alias_of: None,
            diarizes: false,
        },
        Some((name, alias)) => ServedModel {
            name: name.to_owned(),
            installed_unix_secs,
            alias_of: Some(model.name),
            diarizes: alias.diarizes,
        },
    }
}

/// What stands before `-YYYY-MM-DD`.
fn undated(name: &str) -> Option<&str> {
    const DATE: &str = "-0000-00-00";
    let (model, date) = name.split_at_checked(name.len().checked_sub(DATE.len())?)?;
    let fits = |(byte, pattern): (u8, u8)| match pattern {
        b'0' => byte.is_ascii_digit(),
        dash => byte == dash,
    };
    date.bytes().zip(DATE.bytes()).all(fits).then_some(model)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Installed;

    impl Catalog for Installed {
        fn list(&self) -> Vec<CatalogModel> {
            ["base", "tiny.en"]
                .iter()
                .filter_map(|name| self.find(name))
                .collect()
        }

        fn find(&self, name: &str) -> Option<CatalogModel> {
            ["base", "tiny.en"].contains(&name).then(|| CatalogModel {
                name: name.to_owned(),
                installed_unix_secs: 7,
            })
        }
    }

    fn names() -> ModelNames {
        let alias = |model: Option<&str>, diarizes| Alias {
            model: model.map(str::to_owned),
            diarizes,
        };
        ModelNames {
            default: "base".to_owned(),
            aliases: BTreeMap::from([
                ("whisper-1".to_owned(), alias(None, false)),
                ("small-one".to_owned(), alias(Some("tiny.en"), true)),
                ("not-here".to_owned(), alias(Some("large"), false)),
            ]),
            catalog: Arc::new(Installed),
        }
    }

    #[test]
    fn a_name_is_an_alias_or_itself_and_a_date_does_not_matter() {
        let names = names();
        assert_eq!(names.model(None), "base");
        assert_eq!(names.model(Some("whisper-1")), "base");
        assert_eq!(names.model(Some("whisper-1-2026-01-31")), "base");
        assert_eq!(names.model(Some("small-one")), "tiny.en");
        for own in [
            "tiny.en",
            "whisper-1-2026",
            "tiny.en-2026-01-31",
            "",
            "é-2026-01-31",
        ] {
            assert_eq!(names.model(Some(own)), own);
        }
    }

    #[test]
    fn the_list_has_what_is_installed_and_its_other_names() {
        let names = names();
        let listed: Vec<_> = names.list().into_iter().map(|model| model.name).collect();
        assert_eq!(listed, ["base", "tiny.en", "small-one", "whisper-1"]);
        let found = names.find("small-one-2026-01-31");
        assert_eq!(
            found.map(|model| (model.alias_of, model.diarizes)),
            Some((Some("tiny.en".to_owned()), true))
        );
        assert_eq!(names.find("not-here"), None);
        assert_eq!(names.find("large"), None);
    }
}
