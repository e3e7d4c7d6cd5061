//! What can go wrong with models on a hub.

/// What can be wrong with a model on a hub, or with the way to it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// A text that names no repository.
    #[error(
        "'{name}' names no model on the hub: {reason}; expected hf://OWNER/NAME or hf://OWNER/NAME@REVISION"
    )]
    Name {
        /// The text.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Where the hub is, or where its files are kept, cannot be.
    #[error("{option}: {reason}")]
    Config {
        /// The option, or the variable of the environment that gives it.
        option: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// No answer, or the answer of a hub that cannot answer now.
    #[error(
        "{address} cannot be reached: {reason}; try again later, or take what was downloaded before by --offline or HF_HUB_OFFLINE=1; HF_ENDPOINT names another hub"
    )]
    Unreachable {
        /// What was asked for, without its query.
        address: String,
        /// What happened.
        reason: String,
    },
    /// A repository that is not given to this user.
    #[error("{repository} is not given to you (status {status}): {advice}")]
    NoAccess {
        /// The repository.
        repository: String,
        /// The status of HTTP: 401 or 403.
        status: u16,
        /// What to do.
        advice: String,
    },
    /// A repository, a revision or a file that is not there.
    #[error("{repository}: {reason}")]
    NotFound {
        /// The repository.
        repository: String,
        /// What is not there, and what to do.
        reason: String,
    },
    /// A file that was not downloaded before, and is not to be downloaded now.
    #[error(
        "{repository}: {files} is not in the cache '{cache}', and nothing is downloaded offline; leave out --offline and HF_HUB_OFFLINE once"
    )]
    NotInCache {
        /// The repository.
        repository: String,
        /// The file, or those of which one is needed.
        files: String,
        /// The cache.
        cache: String,
    },
    /// An answer that is none of a hub's, or that is not followed.
    #[error("the answer of {address} is not followed: {reason}")]
    Answer {
        /// What was asked for, without its query.
        address: String,
        /// What was expected and found.
        reason: String,
    },
    /// A download that ended too early, and ended so again when it was taken up.
    #[error(
        "'{file}' of {repository} came to {received} of {expected} bytes only: {reason}; these are kept, and the same command goes on there"
    )]
    Incomplete {
        /// The file.
        file: String,
        /// The repository.
        repository: String,
        /// Bytes that came.
        received: u64,
        /// Bytes that were announced.
        expected: u64,
        /// What happened last.
        reason: String,
    },
    /// An address that nothing could be downloaded from.
    #[error("{address}: {reason}")]
    Download {
        /// What was asked for, without its query.
        address: String,
        /// What happened.
        reason: String,
    },
    /// A file whose content is not what was announced.
    #[error(
        "'{file}' is damaged or was tampered with: its SHA-256 is {found} where the hub announced {expected}; {advice}"
    )]
    Hash {
        /// The file.
        file: String,
        /// SHA-256 that was announced, in hexadecimal.
        expected: String,
        /// That of the content.
        found: String,
        /// What to do.
        advice: &'static str,
    },
    /// A classifier of an architecture that is not among the registered ones.
    #[error(
        "{repository} is a {architecture:?}, which is none of the models here ({}`neuroinspect models` lists them); export it from PyTorch as ONNX (torch.onnx.export, see docs/models.md) and give --model FILE.onnx",
        meant(.nearest)
    )]
    Architecture {
        /// The repository.
        repository: String,
        /// What its `config.json` calls the architecture.
        architecture: String,
        /// The registered name most like it, if one is like enough to be meant.
        nearest: Option<String>,
    },
    /// A config that is none, or of a model that cannot be built as it says.
    #[error(
        "'{file}' of {repository}: {reason}; export the model from PyTorch as ONNX (torch.onnx.export, see docs/models.md), or download its weights and give --model NAME --weights FILE"
    )]
    ModelConfig {
        /// The file.
        file: &'static str,
        /// The repository.
        repository: String,
        /// What was expected and found.
        reason: String,
    },
}

fn meant(nearest: &Option<String>) -> String {
    let hint = |name| format!("the nearest is '{name}'; ");
    nearest.as_ref().map_or_else(String::new, hint)
}
