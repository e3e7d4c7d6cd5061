//! The token that requests are told from strangers' by, and the port of the last time.

use std::{fs, path::Path};

use neuroinspect::core::io::{sha256_of_bytes, write_private};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

const FILE: &str = "server.json";

/// What a server is found by again after it was started anew.
#[derive(Serialize, Deserialize)]
pub(crate) struct Secret {
    /// 64 hexadecimal digits.
    pub(crate) token: String,
    /// The port listened on the last time.
    pub(crate) port: Option<u16>,
}

impl Secret {
    /// That of an earlier server in this folder, or a new one.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let known = fs::read(folder.join(FILE)).ok();
        let known: Option<Self> = known.and_then(|json| serde_json::from_slice(&json).ok());
        let is_token =
            |token: &str| token.len() == 64 && token.bytes().all(|it| it.is_ascii_hexdigit());
        match known {
            Some(known) if is_token(&known.token) => Ok(known),
            _ => Ok(Self {
                token: new_token()?,
                port: None,
            }),
        }
    }

    /// Another token: that of before may be known to whoever listens on the port of before by now.
    pub(crate) fn renew(&mut self) -> Result<()> {
        self.token = new_token()?;
        Ok(())
    }

    /// Keeps it where its owner alone can read it, whole or not at all.
    pub(crate) fn save(&self, folder: &Path) -> Result<()> {
        let written = write_private(folder.join(FILE), |file| {
            Ok(serde_json::to_writer(file, self)?)
        });
        Ok(written.map_err(neuroinspect::Error::from)?)
    }

    /// What a browser is given in place of the token, of the token and a port: it is of no use at another port, and
    /// does not tell the token.
    pub(crate) fn cookie(&self, port: u16) -> String {
        sha256_of_bytes(format!("{} {port}", self.token).as_bytes())
    }
}

/// Whether a text is the one that is expected; how long that takes does not depend on where they differ.
pub(crate) fn is_same(expected: &str, text: &str) -> bool {
    let (ours, theirs) = (expected.as_bytes(), text.as_bytes());
    let differing = ours.iter().zip(theirs).fold(0, |all, (a, b)| all | (a ^ b));
    ours.len() == theirs.len() && differing == 0
}

fn new_token() -> Result<String> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| Error::NoRandomNumbers {
        reason: error.to_string(),
    })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_drawn_once_and_kept_from_others() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = Secret::open(folder.path()).unwrap();
        first.port = Some(4711);
        first.save(folder.path()).unwrap();
        let again = Secret::open(folder.path()).unwrap();
        assert_eq!((&again.token, again.port), (&first.token, Some(4711)));
        let same = |text: &str| is_same(&again.token, text);
        assert!(same(&first.token) && !same("") && !same(&first.token[1..]));
        let cookie = again.cookie(4711);
        assert!(cookie != again.cookie(4712) && !same(&cookie));
        assert_ne!(new_token().unwrap(), new_token().unwrap());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let file = fs::metadata(folder.path().join(FILE)).unwrap();
            assert_eq!(file.permissions().mode() & 0o777, 0o600);
        }
        fs::write(folder.path().join(FILE), r#"{"token":"short","port":1}"#).unwrap();
        assert_eq!(Secret::open(folder.path()).unwrap().token.len(), 64);
    }
}
