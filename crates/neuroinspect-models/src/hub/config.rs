//! Where the hub is, and where its files are kept.

use std::{env, ffi::OsString, fmt, fs, path::PathBuf, time::Duration};

use derive_setters::Setters;

use crate::{Result, hub::HubError};

/// Where the hub is, who asks, and where its files are kept.
///
/// [`from_env`](Self::from_env) is what Python's `huggingface_hub` goes by, so that both share one
/// cache and one token.
#[derive(Clone, PartialEq, Eq, Setters)]
#[setters(prefix = "with_")]
pub struct HubConfig {
    /// Address of the hub, `http://` or `https://`; `https://huggingface.co` unless set.
    #[setters(into)]
    pub endpoint: String,
    /// The folder of the cache, which is made when something is downloaded.
    #[setters(into)]
    pub cache: PathBuf,
    /// Token of a user, sent to the [endpoint](Self::endpoint) alone; none unless set.
    #[setters(strip_option, into)]
    pub token: Option<String>,
    /// Whether nothing is asked of the hub, and all comes from the cache; false unless set.
    pub offline: bool,
    /// How long to wait for the hub to answer or to send more; 30 seconds unless set.
    pub timeout: Duration,
}

/// The token is not for logs.
impl fmt::Debug for HubConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubConfig")
            .field("endpoint", &self.endpoint)
            .field("cache", &self.cache)
            .field("token", &self.token.as_ref().map(|_| "..."))
            .field("offline", &self.offline)
            .field("timeout", &self.timeout)
            .finish()
    }
}

impl HubConfig {
    /// The hub of Hugging Face, asked without a token, with a cache in this folder.
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        Self {
            endpoint: "https://huggingface.co".to_owned(),
            cache: cache.into(),
            token: None,
            offline: false,
            timeout: Duration::from_secs(30),
        }
    }

    /// What the environment says, by the variables of Python's `huggingface_hub`:
    ///
    /// - `HF_ENDPOINT`: address of the hub;
    /// - `HF_HUB_CACHE`: the cache; else `hub` in `HF_HOME`; else in `huggingface` in `XDG_CACHE_HOME`,
    ///   or in `.cache` in the user's home folder;
    /// - `HF_TOKEN`: the token; else what is in the file `HF_TOKEN_PATH`, or `token` in `HF_HOME` as
    ///   above, where `hf auth login` writes it;
    /// - `HF_HUB_OFFLINE`: offline where it is `1`, `ON`, `YES` or `TRUE`.
    ///
    /// # Errors
    ///
    /// [`HubError::Config`] where there is neither a variable nor a home folder to say where the cache
    /// is.
    pub fn from_env() -> Result<Self> {
        Self::of(|name| env::var_os(name), env::home_dir())
    }

    fn of(variable: impl Fn(&str) -> Option<OsString>, home: Option<PathBuf>) -> Result<Self> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let path = |name: &str| set(name).map(PathBuf::from);
        let text = |name: &str| Some(set(name)?.to_string_lossy().trim().to_owned());
        let folder = path("HF_HOME").or_else(|| {
            let caches = path("XDG_CACHE_HOME").or_else(|| Some(home?.join(".cache")))?;
            Some(caches.join("huggingface"))
        });
        let cache = path("HF_HUB_CACHE").or_else(|| Some(folder.as_ref()?.join("hub")));
        let mut config = Self::new(cache.ok_or_else(|| HubError::Config {
            option: "HF_HUB_CACHE",
            reason: "there is no home folder for the cache; set it to a folder".to_owned(),
        })?);
        if let Some(endpoint) = text("HF_ENDPOINT") {
            config.endpoint = endpoint;
        }
        let file = path("HF_TOKEN_PATH").or_else(|| Some(folder?.join("token")));
        let in_file = || Some(fs::read_to_string(file?).ok()?.trim().to_owned());
        let token = text("HF_TOKEN").or_else(in_file);
        config.token = token.filter(|token| !token.is_empty());
        config.offline = text("HF_HUB_OFFLINE").is_some_and(|value| {
            ["1", "ON", "YES", "TRUE"].contains(&value.to_ascii_uppercase().as_str())
        });
        Ok(config)
    }

    /// Checks the options.
    ///
    /// # Errors
    ///
    /// [`HubError::Config`] for an endpoint that is no address, a token that cannot be sent, and a
    /// timeout of 0.
    pub fn validate(&self) -> Result<()> {
        let refuse = |option, reason: String| Err(HubError::Config { option, reason }.into());
        let endpoint = &self.endpoint;
        let host = ["http://", "https://"].map(|scheme| endpoint.strip_prefix(scheme));
        let host = host.into_iter().flatten().next().unwrap_or_default();
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || "@?#".contains(c)) {
            let reason =
                format!("'{endpoint}' is no address; expected http:// or https:// and a host");
            return refuse("HF_ENDPOINT", reason);
        }
        if let Some(token) = &self.token
            && (token.is_empty() || !token.chars().all(|c| c.is_ascii_graphic()))
        {
            let reason = "the token is empty or has characters that no token has";
            return refuse("HF_TOKEN", reason.to_owned());
        }
        if self.timeout.is_zero() {
            return refuse("timeout", "0 seconds; expected more".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)], home: Option<&str>) -> Result<HubConfig> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.into())
        };
        HubConfig::of(variable, home.map(PathBuf::from))
    }

    #[test]
    fn the_environment_is_read_as_python_reads_it() {
        let plain = of(&[("HF_TOKEN", "")], Some("/home/ada")).unwrap();
        assert_eq!(plain, HubConfig::new("/home/ada/.cache/huggingface/hub"));
        for (variables, cache) in [
            (&[("XDG_CACHE_HOME", "/c")][..], "/c/huggingface/hub"),
            (&[("XDG_CACHE_HOME", "/c"), ("HF_HOME", "/h")], "/h/hub"),
            (&[("HF_HOME", "/h"), ("HF_HUB_CACHE", "/k")], "/k"),
        ] {
            assert_eq!(of(variables, None).unwrap().cache, PathBuf::from(cache));
        }
        let error = of(&[], None).unwrap_err().to_string();
        assert!(
            error.starts_with("HF_HUB_CACHE: there is no home"),
            "{error}"
        );

        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("token"), "hf_file\n").unwrap();
        let home = folder.path().to_str().unwrap();
        let token = |variables: &[_]| of(&[&[("HF_HOME", home)], variables].concat(), None);
        let token = |variables: &[_]| token(variables).unwrap().token;
        assert_eq!(token(&[]).as_deref(), Some("hf_file"));
        assert_eq!(token(&[("HF_TOKEN", "hf_x ")]).as_deref(), Some("hf_x"));
        assert_eq!(token(&[("HF_TOKEN_PATH", "/nowhere")]), None);

        for (value, offline) in [("1", true), ("true", true), ("0", false), ("", false)] {
            let config = of(&[("HF_HUB_OFFLINE", value)], Some("/h")).unwrap();
            assert_eq!(config.offline, offline, "{value}");
        }
        let other = of(&[("HF_ENDPOINT", "http://mirror")], Some("/h")).unwrap();
        assert_eq!(other.endpoint, "http://mirror");
    }

    #[test]
    fn what_cannot_be_asked_is_refused_and_the_token_is_not_shown() {
        let config = HubConfig::new("/cache").with_token("hf_secret");
        assert!(config.validate().is_ok());
        assert!(!format!("{config:?}").contains("secret"));
        for (config, part) in [
            (
                config.clone().with_endpoint("file:///etc"),
                "'file:///etc' is no address",
            ),
            (config.clone().with_endpoint("https://"), "is no address"),
            (config.clone().with_endpoint("https://a@b"), "is no address"),
            (
                config.clone().with_token("a\r\nHost: b"),
                "HF_TOKEN: the token",
            ),
            (config.with_timeout(Duration::ZERO), "timeout: 0 seconds"),
        ] {
            let error = config.validate().unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains("secret"), "{error}");
        }
    }
}
