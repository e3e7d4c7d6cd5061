//! Names of repositories.

use std::{fmt, str::FromStr};

use crate::{Error, Result, hub::HubError};

/// What the names of models on the hub begin with.
pub const SCHEME: &str = "hf://";

/// The revision that a name without one stands for.
const MAIN: &str = "main";

/// A repository on the hub at a revision: `hf://timm/resnet18.a1_in1k`, or with a branch, a tag or a
/// commit `hf://timm/resnet18.a1_in1k@main`.
///
/// Owner and name are as the hub has them: letters, digits, `-`, `_` and `.`, at most 96 each, neither
/// first nor last a `-` or `.`, and no `--` or `..`. So a name never leads out of the cache's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubName {
    owner: String,
    name: String,
    revision: String,
}

impl HubName {
    /// `owner/name`.
    pub(super) fn repository(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    /// Name of the repository's folder in the cache.
    pub(super) fn folder(&self) -> String {
        format!("models--{}--{}", self.owner, self.name)
    }

    /// A branch, a tag or a commit.
    pub(super) fn revision(&self) -> &str {
        &self.revision
    }

    /// The same repository at a commit.
    pub(super) fn at(&self, commit: String) -> Self {
        Self {
            revision: commit,
            ..self.clone()
        }
    }
}

impl FromStr for HubName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |reason| {
            let name = text.to_owned();
            Error::from(HubError::Name { name, reason })
        };
        let path = text.strip_prefix(SCHEME);
        let path = path.ok_or_else(|| wrong("it does not begin with hf://"))?;
        let (repository, revision) = path.split_once('@').unwrap_or((path, MAIN));
        let (owner, name) = repository
            .split_once('/')
            .ok_or_else(|| wrong("there is no owner before a '/'"))?;
        if ![owner, name].into_iter().all(is_part) {
            return Err(wrong(
                "owner and name are of letters, digits, '-', '_' and '.', with a letter or digit at either end",
            ));
        }
        if revision.len() > 200 || !revision.split('/').all(is_part) {
            return Err(wrong(
                "its revision is no name of a branch, a tag or a commit",
            ));
        }
        Ok(Self {
            owner: owner.to_owned(),
            name: name.to_owned(),
            revision: revision.to_owned(),
        })
    }
}

/// Whether this may be a part of a path in an address and in the cache.
fn is_part(text: &str) -> bool {
    let letters = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (1..=96).contains(&text.len())
        && text.chars().all(letters)
        && !text.starts_with(['-', '.'])
        && !text.ends_with(['-', '.'])
        && !text.contains("--")
        && !text.contains("..")
}

impl fmt::Display for HubName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", self.repository())?;
        match self.revision.as_str() {
            MAIN => Ok(()),
            other => write!(f, "@{other}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_repositories_with_a_revision() {
        let name: HubName = "hf://timm/resnet18.a1_in1k".parse().unwrap();
        assert_eq!(name.repository(), "timm/resnet18.a1_in1k");
        assert_eq!(name.folder(), "models--timm--resnet18.a1_in1k");
        assert_eq!(
            (name.revision(), name.to_string().as_str()),
            ("main", "hf://timm/resnet18.a1_in1k")
        );
        let name: HubName = "hf://a/b@refs/pr/1".parse().unwrap();
        assert_eq!(
            (name.revision(), name.to_string().as_str()),
            ("refs/pr/1", "hf://a/b@refs/pr/1")
        );
    }

    #[test]
    fn what_would_lead_elsewhere_is_no_name() {
        for text in [
            "timm/resnet18",
            "hf://resnet18",
            "hf://a/../b",
            "hf://../b",
            "hf://a/b/c",
            "hf://a//b",
            "hf:///b",
            "hf://a/",
            "hf://a--b/c",
            "hf://a/.b",
            "hf://a/b?x",
            "hf://a/b%2e%2e",
            "hf://a/b@",
            "hf://a/b@../../c",
            "hf://a/b@main/",
            "hf://a/b@x y",
            "hf://a/b\u{0}",
            "hf://a:b@c/d",
        ] {
            let error = text.parse::<HubName>().unwrap_err().to_string();
            assert!(error.contains("expected hf://OWNER/NAME"), "{error}");
        }
        assert!(
            format!("hf://a/{}", "b".repeat(97))
                .parse::<HubName>()
                .is_err()
        );
    }
}
