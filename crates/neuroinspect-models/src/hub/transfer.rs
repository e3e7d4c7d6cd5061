//! Requests to the hub, and how much of its answers is believed.
//!
//! Redirects are followed here and not by the client: to `http` and `https` alone, never from the latter to
//! the former, and without the token where they lead to another host.

use std::{
    fs::File,
    io::{Read, Write},
    path::Path,
};

use neuroinspect_core::{Observer, Progress};
use ureq::{
    Agent, Body,
    http::{HeaderMap, Method, Request, Response, Uri, header},
};

use super::{
    Hub, HubConfig, HubError, HubName,
    cache::{Cache, is_commit, is_hash, written},
};
use crate::{Error, Result};

/// Most redirects of one request; the hub has two.
const MOST_REDIRECTS: usize = 5;
/// So often a download is resumed without a byte more than ever before.
const MAX_ATTEMPTS: u32 = 3;
/// Bytes between two looks at whether to stop.
const CHUNK: usize = 1 << 18;

/// A file to be downloaded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) file: &'static str,
    /// Most bytes it may have.
    pub(super) limit: u64,
}

/// What the hub says of a file.
#[derive(Debug)]
pub(super) struct Announced {
    /// The commit that the revision stands for.
    pub(super) commit: String,
    /// Hash that names the content: its SHA-256 for a large file, git's for a small one.
    pub(super) etag: String,
    /// Its bytes.
    pub(super) size: u64,
}

/// Where a file is downloaded from, and what it is called in errors.
#[derive(Debug)]
struct Source {
    address: String,
    /// Its bytes.
    size: u64,
    file: String,
    repository: String,
}

/// How an attempt to go on with a download ended before its end.
enum Ended {
    /// So that it may be tried again.
    Early(String),
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Ended {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// A client that follows no redirects and takes every status for an answer.
pub(super) fn agent(config: &HubConfig) -> Agent {
    let timeout = Some(config.timeout);
    let agent = concat!("neuroinspect/", env!("CARGO_PKG_VERSION"));
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(agent)
        // Lengths are those of the files.
        .accept_encoding("identity")
        .timeout_resolve(timeout)
        .timeout_connect(timeout)
        .timeout_per_read(timeout)
        .timeout_per_write(timeout)
        .timeout_recv_response(timeout)
        .build()
        .into()
}

impl Hub {
    fn address(&self, name: &HubName, file: &str) -> String {
        let endpoint = self.config.endpoint.trim_end_matches('/');
        let revision = name.revision().replace('/', "%2F");
        let repository = name.repository();
        format!("{endpoint}/{repository}/resolve/{revision}/{file}")
    }

    /// What the hub says of a file; none where the repository has no such file.
    pub(super) fn announced(&self, name: &HubName, wanted: Wanted) -> Result<Option<Announced>> {
        let (uri, response) = self.ask(&Method::HEAD, &self.address(name, wanted.file), 0)?;
        let headers = response.headers();
        let status = response.status();
        if !status.is_success() && !status.is_redirection() {
            let code = text(headers, "x-error-code").unwrap_or_default();
            let named = ["RepoNotFound", "RevisionNotFound"].contains(&code);
            if status.as_u16() != 404 || named {
                return Err(self.refusal(name, &uri, status.as_u16(), code).into());
            }
            let commit = text(headers, "x-repo-commit").unwrap_or(name.revision());
            Cache::of(&self.config.cache, name).note_missing(commit, wanted.file)?;
            return Ok(None);
        }
        let wrong = |reason: String| answer(&uri, reason);
        let etag = text(headers, "x-linked-etag").or_else(|| text(headers, "etag"));
        let etag = etag.unwrap_or_default();
        let etag = etag.trim_start_matches("W/").trim_matches('"').to_owned();
        if !is_hash(&etag, 40) && !is_hash(&etag, 64) {
            return Err(wrong(format!(
                "expected a hash as its etag, found {etag:?}"
            )));
        }
        let commit = text(headers, "x-repo-commit")
            .unwrap_or_default()
            .to_owned();
        if !is_commit(&commit) {
            let reason =
                format!("expected the hash of a commit as x-repo-commit, found {commit:?}");
            return Err(wrong(reason));
        }
        let size = text(headers, "x-linked-size").or_else(|| text(headers, "content-length"));
        let size = size.and_then(|size| size.parse().ok());
        let size: u64 = size.ok_or_else(|| wrong("it does not say how long it is".to_owned()))?;
        if size > wanted.limit {
            let (file, limit) = (wanted.file, wanted.limit);
            let reason =
                format!("'{file}' is said to be of {size} bytes; at most {limit} are taken");
            return Err(wrong(reason));
        }
        Ok(Some(Announced { commit, etag, size }))
    }

    /// Downloads a file into `part`, from where that ends.
    pub(super) fn download(
        &self,
        name: &HubName,
        wanted: Wanted,
        announced: &Announced,
        part: &Path,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let source = Source {
            address: self.address(&name.at(announced.commit.clone()), wanted.file),
            size: announced.size,
            file: wanted.file.to_owned(),
            repository: name.to_string(),
        };
        self.fill(source, part, observer)
    }

    /// Downloads what is at an address into `part`, from where that ends.
    fn fill(&self, source: Source, part: &Path, observer: &mut dyn Observer) -> Result<()> {
        let file = File::options().append(true).create(true).open(part);
        let mut file = file.map_err(|error| written(part, error))?;
        let (address, size) = (&source.address, source.size);
        let length = |file: &File| file.metadata().map(|it| it.len());
        let (mut longest, mut attempts) = (0, 0);
        loop {
            let before = length(&file).map_err(|error| written(part, error))?;
            if before > size {
                file.set_len(0).map_err(|error| written(part, error))?;
                continue;
            }
            longest = longest.max(before);
            if before == size {
                return file.sync_all().map_err(|error| written(part, error));
            }
            let reason = match self.append(address, size, (&mut file, part), observer) {
                Ok(()) => "its end is missing".to_owned(),
                Err(Ended::Early(reason)) => reason,
                Err(Ended::Failed(error)) => return Err(error),
            };
            let received = length(&file).map_err(|error| written(part, error))?;
            attempts = if received > longest { 0 } else { attempts + 1 };
            if attempts == MAX_ATTEMPTS {
                return Err(HubError::Incomplete {
                    file: source.file,
                    repository: source.repository,
                    received,
                    expected: size,
                    reason,
                }
                .into());
            }
            // A second, then two, unless the timeout is another.
            std::thread::sleep(self.config.timeout / 30 * attempts);
        }
    }

    /// One request for what is missing in the file.
    fn append(
        &self,
        address: &str,
        size: u64,
        (file, path): (&mut File, &Path),
        observer: &mut dyn Observer,
    ) -> Result<(), Ended> {
        let unwritten = |error| written(path, error);
        let mut done = file.metadata().map_err(unwritten)?.len();
        let (uri, response) = match self.ask(&Method::GET, address, done) {
            Err(Error::Hub(HubError::Unreachable { reason, .. })) => {
                return Err(Ended::Early(reason));
            }
            answered => answered?,
        };
        let headers = response.headers();
        let whole = response.status().as_u16() == 200;
        match response.status().as_u16() {
            206 if done > 0 => {
                let range = text(headers, "content-range").unwrap_or_default();
                let expected = format!("bytes {done}-{}/{size}", size - 1);
                if range != expected {
                    let reason = format!("expected the range '{expected}', found {range:?}");
                    return Err(answer(&uri, reason).into());
                }
            }
            200 => {}
            // What is here is not a beginning of what is there.
            416 => {
                file.set_len(0).map_err(unwritten)?;
                return Err(Ended::Early("the server has not so many bytes".to_owned()));
            }
            status @ (429 | 500..600) => {
                return Err(Ended::Early(format!(
                    "the server answers with the status {status}"
                )));
            }
            status => {
                let reason = format!("its status is {status}");
                return Err(answer(&uri, reason).into());
            }
        }
        let missing = if whole { size } else { size - done };
        let announced = text(headers, "content-length").and_then(|it| it.parse().ok());
        if announced.is_some_and(|length: u64| length != missing) {
            let announced = announced.unwrap_or_default();
            let reason = format!("expected {missing} bytes, it announces {announced}");
            return Err(answer(&uri, reason).into());
        }
        if whole && done > 0 {
            // The server knows no ranges.
            file.set_len(0).map_err(unwritten)?;
            done = 0;
        }
        let mut body = response.into_body().into_reader();
        let mut chunk = vec![0; CHUNK];
        while done < size {
            // The body's own end is not waited for, and what is sent beyond it is not read.
            let most = chunk
                .len()
                .min(usize::try_from(size - done).unwrap_or(CHUNK));
            let read = body.read(&mut chunk[..most]);
            let read = read.map_err(|error| Ended::Early(error.to_string()))?;
            if read == 0 {
                return Err(Ended::Early("the server ended it".to_owned()));
            }
            file.write_all(&chunk[..read]).map_err(unwritten)?;
            done += read as u64;
            let (stage, unit) = match size < 1_000_000 {
                true => ("downloading kilobytes", 1000),
                false => ("downloading megabytes", 1_000_000),
            };
            let units = |bytes: u64| usize::try_from(bytes.div_ceil(unit)).unwrap_or(usize::MAX);
            observer.proceed(Progress {
                stage,
                done: units(done),
                total: units(size),
            })?;
        }
        Ok(())
    }

    /// Asks for all of what is at the address but the first `from` bytes, and follows redirects: of a file's
    /// head only within the hub, as the headers wanted are those before the redirect to the store of files.
    fn ask(&self, method: &Method, address: &str, from: u64) -> Result<(Uri, Response<Body>)> {
        let mut uri: Uri = address.parse().map_err(|_| HubError::Config {
            option: "HF_ENDPOINT",
            reason: format!("'{address}' is no address"),
        })?;
        let hub = uri.clone();
        for _ in 0..=MOST_REDIRECTS {
            let mut request = Request::builder().method(method).uri(&uri);
            if let Some(token) = &self.config.token
                && same_host(&uri, &hub)
            {
                request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
            }
            if from > 0 {
                request = request.header(header::RANGE, format!("bytes={from}-"));
            }
            let request = request.body(()).map_err(ureq::Error::from);
            let response = request.and_then(|request| self.agent.run(request));
            let response = response.map_err(|error| unreachable(&uri, error.to_string()))?;
            if !response.status().is_redirection() {
                return Ok((uri, response));
            }
            let next = redirected(&uri, text(response.headers(), "location"))?;
            if method == Method::HEAD && !same_host(&next, &uri) {
                return Ok((uri, response));
            }
            uri = next;
        }
        let reason = format!("it redirects more than {MOST_REDIRECTS} times");
        Err(answer(&hub, reason))
    }

    /// Why the hub does not give a file.
    fn refusal(&self, name: &HubName, uri: &Uri, status: u16, code: &str) -> HubError {
        let repository = name.to_string();
        let endpoint = self.config.endpoint.trim_end_matches('/');
        let token = "HF_TOKEN, or `hf auth login`";
        let advice = match (status, &self.config.token) {
            (404, _) if code == "RevisionNotFound" => {
                let revision = name.revision();
                let reason = format!("it has no branch, tag or commit '{revision}'");
                return HubError::NotFound { repository, reason };
            }
            (404, _) => {
                let reason = format!("there is no such repository at {endpoint}; check the name");
                return HubError::NotFound { repository, reason };
            }
            (401, None) => format!(
                "check the name; for a private or gated repository give a token of an account that may read it ({token}; tokens are made at {endpoint}/settings/tokens)"
            ),
            (401, Some(_)) => format!(
                "the token is not taken, or there is no such repository: check the name, and that the token has not expired ({token})"
            ),
            (403, None) => format!(
                "accept its licence at {endpoint}/{}, and give a token of that account ({token})",
                name.repository()
            ),
            (403, Some(_)) => format!(
                "accept its licence at {endpoint}/{} with the account of the token, and check that the token may read gated repositories",
                name.repository()
            ),
            _ => {
                let reason = format!("it answers with the status {status}");
                return HubError::Unreachable {
                    address: shown(uri),
                    reason,
                };
            }
        };
        HubError::NoAccess {
            repository,
            status,
            advice,
        }
    }
}

/// Downloads what is at any address into `part`, from where that ends; no token is sent.
///
/// # Errors
///
/// [`HubError::Download`] when the address cannot be reached, answers with no file or does not say how long it
/// is; [`HubError::Incomplete`] when it ends too early, again and again; when `part` cannot be written, and
/// when the observer asks to stop. What came by then is in `part`.
pub fn download(address: &str, part: &Path, observer: &mut dyn Observer) -> Result<()> {
    let plainly = |error| match error {
        Error::Hub(
            HubError::Unreachable { address, reason } | HubError::Answer { address, reason },
        ) => HubError::Download { address, reason }.into(),
        other => other,
    };
    let wrong = |reason: String| -> Error {
        let address = address.to_owned();
        HubError::Download { address, reason }.into()
    };
    if address.parse::<Uri>().is_err() {
        return Err(wrong("it is no address".to_owned()));
    }
    let hub = Hub::new(HubConfig::new(""))?;
    // Of the answer only the head is read.
    let (_, response) = hub.ask(&Method::GET, address, 0).map_err(plainly)?;
    let size = text(response.headers(), "content-length").and_then(|size| size.parse().ok());
    let size = match (response.status().as_u16(), size) {
        (200, Some(size)) => size,
        (200, None) => return Err(wrong("it does not say how long it is".to_owned())),
        (status, _) => return Err(wrong(format!("it answers with the status {status}"))),
    };
    drop(response);
    let source = Source {
        address: address.to_owned(),
        size,
        file: address.rsplit('/').next().unwrap_or_default().to_owned(),
        repository: address.to_owned(),
    };
    hub.fill(source, part, observer).map_err(plainly)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Where a redirect leads.
fn redirected(from: &Uri, location: Option<&str>) -> Result<Uri> {
    let location = location.unwrap_or_default();
    let refuse = || answer(from, format!("it redirects to {location:?}"));
    let within = location.starts_with('/') && !location.starts_with("//");
    let scheme = from.scheme_str().unwrap_or_default();
    let to: Uri = match (within, from.authority()) {
        (true, Some(host)) => format!("{scheme}://{host}{location}").parse(),
        _ => location.parse(),
    }
    .map_err(|_| refuse())?;
    match (scheme, to.scheme_str(), to.host()) {
        (_, Some("https"), Some(_)) | ("http", Some("http"), Some(_)) => Ok(to),
        _ => Err(refuse()),
    }
}

fn same_host(one: &Uri, other: &Uri) -> bool {
    one.scheme() == other.scheme() && one.authority() == other.authority()
}

/// An address for messages: queries may hold signatures that give access.
fn shown(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or_default();
    let host = uri.authority().map(|it| it.as_str()).unwrap_or_default();
    format!("{scheme}://{host}{}", uri.path())
}

fn answer(uri: &Uri, reason: String) -> Error {
    let address = shown(uri);
    HubError::Answer { address, reason }.into()
}

fn unreachable(uri: &Uri, reason: String) -> Error {
    let address = shown(uri);
    HubError::Unreachable { address, reason }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_to_the_web_alone_and_not_to_less_safety() {
        let from: Uri = "https://hub/a".parse().unwrap();
        for (location, expected) in [
            ("/b?c=d", Some("https://hub/b?c=d")),
            ("https://cdn/b", Some("https://cdn/b")),
            ("http://hub/b", None),
            ("//cdn/b", None),
            ("file:///etc/passwd", None),
            ("b", None),
            ("", None),
        ] {
            let to = redirected(&from, Some(location)).ok();
            let to = to.map(|uri| uri.to_string());
            assert_eq!(to.as_deref(), expected, "{location}");
        }
        let plain: Uri = "http://hub/a".parse().unwrap();
        assert!(redirected(&plain, Some("http://cdn/b")).is_ok());
        assert!(redirected(&plain, None).is_err());
    }

    #[test]
    fn addresses_are_shown_without_their_queries() {
        let uri = "https://cdn:8/a/b?signature=secret".parse().unwrap();
        assert_eq!(shown(&uri), "https://cdn:8/a/b");
    }
}
