//! Query strings.

/// The decoded pairs of a query string, in the client's order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Splits a request target such as `/transcribe?language=en` into its path and its query.
    #[must_use]
    pub fn split_target(target: &str) -> (String, Self) {
        match target.split_once('?') {
            Some((path, query)) => (path.to_owned(), Self::parse(query)),
            None => (target.to_owned(), Self::default()),
        }
    }

    /// Decodes a query string without its `?`. Percent signs and plus signs are decoded; bytes that
    /// are not UTF-8 become U+FFFD.
    #[must_use]
    pub fn parse(query: &str) -> Self {
        Self(
            form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
        )
    }

    /// Decodes the percent signs of a part of a path; bytes that are not UTF-8 become U+FFFD.
    #[must_use]
    pub fn decoded(part: &str) -> String {
        // In a path plus signs are themselves, and nothing parts pairs.
        let escaped = ["=", "&", "+"].iter().fold(part.to_owned(), |text, mark| {
            text.replace(
                mark,
                &format!("%{:02X}", mark.as_bytes().first().unwrap_or(&0)),
            )
        });
        Self::parse(&escaped)
            .0
            .into_iter()
            .map(|(name, _)| name)
            .collect()
    }

    /// The first value of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| *n == name).map(|(_, v)| v)
    }

    /// All pairs.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_the_first_wins() {
        let (path, query) = Query::split_target("/ws?prompt=a%20b+c&x=1&x=2&flag");
        assert_eq!(path, "/ws");
        assert_eq!(query.get("prompt"), Some("a b c"));
        assert_eq!(query.get("x"), Some("1"));
        assert_eq!(query.get("flag"), Some(""));
        assert_eq!(query.get("y"), None);
    }

    #[test]
    fn a_part_of_a_path_keeps_its_plus_signs() {
        for (part, decoded) in [("a+b%20c", "a+b c"), ("a%2Fb=c&d", "a/b=c&d"), ("", "")] {
            assert_eq!(Query::decoded(part), decoded);
        }
    }
}
