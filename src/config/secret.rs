//! Where a secret is kept, and fetching it from there.
//!
//! The configuration holds only the place; no message ever repeats what stands where a place should.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::values::Wrong;

/// The variables of the environment, as they stood at the start.
pub(super) type Env = BTreeMap<String, OsString>;

/// The place that `env:NAME`, `file:PATH` or `credential:NAME` names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    Env(&'a str),
    File(&'a str),
    Credential(&'a str),
}

/// A secret, and what should be said about how it is kept.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) secret: SecretString,
    pub(super) warning: Option<String>,
}

impl<'a> Place<'a> {
    /// Reads a place. Anything else may be the secret itself and is refused without being repeated.
    pub(super) fn parse(text: &'a str) -> Result<Self, Wrong> {
        let text = text.trim();
        // Strict, because a key written after `env:` by mistake would be taken for a name and repeated.
        let plain = |name: &str, signs: &[u8]| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || signs.contains(&byte))
        };
        match text.split_once(':') {
            Some(("env", name)) if plain(name, b"_") => Ok(Self::Env(name)),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path)),
            Some(("credential", name)) if plain(name, b"_-.") && !name.starts_with('.') => {
                Ok(Self::Credential(name))
            }
            _ => Err(Wrong::new(
                "takes the place where the secret is kept, not the secret itself",
                "write `env:NAME`, `file:PATH` or `credential:NAME`, and keep the secret there",
            )),
        }
    }

    /// Fetches the secret. A relative path starts from `folder`.
    pub(super) fn fetch(&self, env: &Env, folder: &Path) -> Result<Found, Wrong> {
        match self {
            Self::Env(name) => from_env(name, env),
            Self::File(path) => from_file(&folder.join(path)),
            Self::Credential(name) => match env.get("CREDENTIALS_DIRECTORY") {
                Some(folder) => from_file(&PathBuf::from(folder).join(name)),
                None => Err(Wrong::new(
                    format!("names the credential `{name}`, but `CREDENTIALS_DIRECTORY` is not set"),
                    format!("give it to the service with `LoadCredential={name}:PATH`"),
                )),
            },
        }
    }
}

fn from_env(name: &str, env: &Env) -> Result<Found, Wrong> {
    let hint = || format!("set `{name}` to the secret before starting");
    let value = env.get(name).ok_or_else(|| {
        Wrong::new(format!("names the environment variable `{name}`, which is not set"), hint())
    })?;
    let named = format!("the environment variable `{name}`");
    let text =
        value.to_str().ok_or_else(|| Wrong::new(format!("names {named}, which is not text"), hint()))?;
    Ok(Found { secret: usable(text, &named, hint)?, warning: None })
}

fn from_file(path: &Path) -> Result<Found, Wrong> {
    let named = format!("the file `{}`", path.display());
    let hint = || format!("put the secret alone into `{}`", path.display());
    let text = fs::read_to_string(path)
        .map_err(|error| Wrong::new(format!("names {named}, which cannot be read: {error}"), hint()))?;
    let warning = world_readable(path).then(|| {
        format!("{named} holds a secret and every user can read it\nhint: chmod 600 {}", path.display())
    });
    Ok(Found { secret: usable(&text, &named, hint)?, warning })
}

/// A secret is one line of visible ASCII: anything else could not be sent in a header.
fn usable(text: &str, named: &str, hint: impl Fn() -> String) -> Result<SecretString, Wrong> {
    let text = text.trim_end_matches(['\n', '\r']);
    if text.trim().is_empty() {
        return Err(Wrong::new(format!("names {named}, which is empty"), hint()));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let message = format!("names {named}, which holds more than one word of visible ASCII");
        return Err(Wrong::new(message, hint()));
    }
    Ok(SecretString::from(text))
}

fn world_readable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o004 != 0)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn fetch(text: &str, env: &[(&str, &str)], folder: &Path) -> Result<Found, Wrong> {
        let env = env.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Place::parse(text)?.fetch(&env, folder)
    }

    fn wrong(text: &str, env: &[(&str, &str)]) -> Wrong {
        fetch(text, env, Path::new(".")).expect_err("refused")
    }

    #[test]
    fn a_literal_is_refused_without_being_repeated() {
        for text in [
            "sk-luma-s3cret",
            "env: sk-luma-s3cret",
            "env:sk-luma-s3cret",
            "env:",
            "sk-luma-s3cret:env",
            "credential:../s3cret",
        ] {
            let wrong = wrong(text, &[]);
            assert!(!format!("{wrong:?}").contains("s3cret"), "{wrong:?}");
        }
    }

    #[test]
    fn a_secret_comes_from_a_variable_a_file_or_a_credential() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("key"), "s3cret\n").expect("written");
        fs::set_permissions(folder.path().join("key"), fs::Permissions::from_mode(0o600)).expect("chmod");
        let path = folder.path().to_str().expect("text");
        let env = [("KEY", "s3cret"), ("CREDENTIALS_DIRECTORY", path)];
        for text in ["env:KEY", "file:key", &format!("file:{path}/key"), "credential:key"] {
            let found = fetch(text, &env, folder.path()).expect("found");
            assert_eq!(found.secret.expose_secret(), "s3cret", "{text}");
            assert_eq!(found.warning, None, "{text}");
        }
    }

    #[test]
    fn a_file_that_everybody_can_read_is_warned_about() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        fs::write(&path, "s3cret").expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("chmod");
        let warning = fetch("file:key", &[], folder.path()).expect("found").warning.expect("a warning");
        assert!(warning.contains("every user can read it") && !warning.contains("s3cret"), "{warning}");
    }

    #[test]
    fn what_is_missing_or_empty_is_named() {
        assert!(wrong("env:KEY", &[]).message.contains("`KEY`, which is not set"));
        assert!(wrong("env:KEY", &[("KEY", " \n")]).message.contains("`KEY`, which is empty"));
        assert!(wrong("file:/no/such", &[]).message.contains("`/no/such`, which cannot be read"));
        assert!(wrong("credential:key", &[]).message.contains("CREDENTIALS_DIRECTORY"));
        let two = wrong("env:KEY", &[("KEY", "s3cret\ns3cret")]);
        assert!(two.message.contains("`KEY`") && !two.message.contains("s3cret"), "{two:?}");
    }
}
