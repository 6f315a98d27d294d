//! How the server is reached: through a proxy or not, and by which certificates it is known.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use counterfoil_protocol::secret::Secret;
use url::Url;

use super::{ConfigError, setting};
use crate::{files, upstream};

/// The longest file of certificates, in bytes. A whole system's has some 220,000.
const MAX_CA: u64 = 1_024 * 1_024;

/// The longest file of credentials, in bytes.
const MAX_CREDENTIALS: u64 = 1_024;

/// The way to the server.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Network {
    /// Through whom.
    pub(crate) proxy: Proxy,
    /// User and password for the proxy.
    pub(crate) proxy_credentials: Option<Named<Secret>>,
    /// Certificates of authorities, in PEM.
    pub(crate) ca: Option<Named<Vec<u8>>>,
    /// Only these authorities are known, not the system's.
    pub(crate) ca_only: bool,
}

/// A file, and what stands in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Named<T> {
    /// The file.
    pub(crate) path: PathBuf,
    /// What it held when the store's file was read; `None` where only that file was looked at.
    pub(crate) content: Option<T>,
}

/// Through whom the server is called.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) enum Proxy {
    /// Directly, whatever the environment says.
    #[default]
    None,
    /// As the environment says: `HTTPS_PROXY` and `NO_PROXY`.
    System,
    /// Through this one, always.
    Url(String),
}

impl Network {
    /// Understands the four settings. `https` says whether any server is called over TLS.
    pub(super) fn parse(
        proxy: Option<String>,
        proxy_credentials_file: Option<PathBuf>,
        ca_file: Option<PathBuf>,
        ca_only: bool,
        https: bool,
    ) -> Result<Self, ConfigError> {
        let proxy = match proxy {
            None => Proxy::None,
            Some(text) if text == "system" => Proxy::System,
            Some(text) => Proxy::Url(proxy_url(text)?),
        };
        if proxy_credentials_file.is_some() && !matches!(proxy, Proxy::Url(_)) {
            let why = "has no effect unless proxy names a proxy by its address";
            return Err(setting("proxy_credentials_file", why));
        }
        if ca_only && ca_file.is_none() {
            return Err(setting("ca_only", "has no effect without ca_file"));
        }
        if ca_file.is_some() && !https {
            return Err(setting("ca_file", "has no effect: issuer and api_base are http"));
        }
        let proxy_credentials = named("proxy_credentials_file", proxy_credentials_file)?;
        Ok(Self { proxy, proxy_credentials, ca: named("ca_file", ca_file)?, ca_only })
    }

    /// Reads the files that are named, which nobody else may be able to change.
    pub(crate) fn load(&mut self) -> Result<(), ConfigError> {
        if let Some(named) = &mut self.proxy_credentials {
            named.content = Some(credentials(&named.path)?);
        }
        if let Some(named) = &mut self.ca {
            named.content = Some(certificates(&named.path)?);
        }
        Ok(())
    }

    /// The files that are named.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        let credentials = self.proxy_credentials.as_ref().map(|named| named.path.as_path());
        credentials.into_iter().chain(self.ca.as_ref().map(|named| named.path.as_path()))
    }
}

fn named<T>(name: &'static str, path: Option<PathBuf>) -> Result<Option<Named<T>>, ConfigError> {
    match path {
        Some(path) if !path.is_absolute() => Err(setting(name, "must be an absolute path")),
        path => Ok(path.map(|path| Named { path, content: None })),
    }
}

fn proxy_url(text: String) -> Result<String, ConfigError> {
    let wrong = |why: &str| setting("proxy", why);
    let example = "\"system\", or an address such as http://proxy.example:3128";
    let url = Url::parse(&text).map_err(|_| wrong(example))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("must have no user and password; put them into proxy_credentials_file"));
    }
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("must begin with http:// or https://; other kinds are not spoken"));
    }
    let plain = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if plain && url.has_host() { Ok(text) } else { Err(wrong(example)) }
}

fn credentials(path: &Path) -> Result<Secret, ConfigError> {
    let name = "proxy_credentials_file";
    let text = Secret::new(read(name, path, MAX_CREDENTIALS)?.trim_end_matches(['\r', '\n']));
    let mode = fs::metadata(path).map_err(|error| unreadable(name, path, &error))?.permissions();
    if mode.mode() & 0o007 != 0 {
        let why = format!("everybody can use it; run: chmod o-rwx {}", path.display());
        return Err(setting(name, why));
    }
    let good = text.expose().split_once(':').is_some_and(|(user, _)| !user.is_empty())
        && !text.expose().chars().any(char::is_control);
    if good { Ok(text) } else { Err(setting(name, "must hold one line, user:password")) }
}

fn certificates(path: &Path) -> Result<Vec<u8>, ConfigError> {
    let pem = read("ca_file", path, MAX_CA)?.into_bytes();
    if upstream::are_certificates(&pem) {
        Ok(pem)
    } else {
        let why = format!("{} holds no certificates in PEM, or a broken one", path.display());
        Err(setting("ca_file", why))
    }
}

fn read(name: &'static str, path: &Path, limit: u64) -> Result<String, ConfigError> {
    files::check_trusted(path)?;
    let metadata = fs::metadata(path).map_err(|error| unreadable(name, path, &error))?;
    if !metadata.is_file() || metadata.len() > limit {
        return Err(setting(name, format!("{} is no file of a usual size", path.display())));
    }
    fs::read_to_string(path).map_err(|error| unreadable(name, path, &error))
}

fn unreadable(name: &'static str, path: &Path, error: &std::io::Error) -> ConfigError {
    setting(name, format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    #[track_caller]
    fn check(
        proxy: Option<&str>,
        credentials: Option<&str>,
        ca: Option<&str>,
        only: bool,
        https: bool,
        wrong: Option<&str>,
    ) {
        let parsed = Network::parse(
            proxy.map(str::to_owned),
            credentials.map(PathBuf::from),
            ca.map(PathBuf::from),
            only,
            https,
        );
        let named = match parsed.err() {
            Some(ConfigError::Setting { name, why }) => {
                assert!(!why.contains("s3cret"), "{why}");
                Some(name)
            }
            Some(error) => panic!("{error}"),
            None => None,
        };
        assert_eq!(named, wrong, "{proxy:?} {credentials:?} {ca:?} {only} {https}");
    }

    #[test]
    fn what_is_wrong_or_has_no_effect_is_named() {
        let (http, file) = (Some("http://proxy.example:3128"), Some("/etc/c/file"));
        check(None, None, None, false, true, None);
        check(Some("system"), None, None, false, true, None);
        check(http, file, file, true, true, None);
        check(Some("https://[2001:db8::1]:443/"), None, None, false, true, None);
        for wrong in [
            "",
            "proxy.example:3128",
            "System",
            "socks5://proxy.example",
            "http://ada:s3cret@proxy.example",
            "http://ada@proxy.example",
            "http://proxy.example/path",
            "http://proxy.example?x",
        ] {
            check(Some(wrong), None, None, false, true, Some("proxy"));
        }
        check(None, file, None, false, true, Some("proxy_credentials_file"));
        check(Some("system"), file, None, false, true, Some("proxy_credentials_file"));
        check(http, Some("file"), None, false, true, Some("proxy_credentials_file"));
        check(None, None, Some("file"), false, true, Some("ca_file"));
        check(None, None, file, false, false, Some("ca_file"));
        check(None, None, None, true, true, Some("ca_only"));
    }

    #[test]
    fn credentials_are_one_line_that_not_everybody_can_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("proxy");
        for (text, mode, good) in [
            ("ada:s3cret\n", 0o600, true),
            ("ada:s3:cret", 0o640, true),
            ("ada:", 0o600, true),
            ("ada:s3cret", 0o604, false),
            ("ada", 0o600, false),
            (":s3cret", 0o600, false),
            ("ada:s3cret\nmore", 0o600, false),
            ("", 0o600, false),
        ] {
            fs::write(&path, text).expect("written");
            fs::set_permissions(&path, Permissions::from_mode(mode)).expect("set");
            let read = credentials(&path);
            assert_eq!(read.is_ok(), good, "{text:?} {mode:o}");
            if let Err(error) = read {
                assert!(!error.to_string().contains("s3cret"));
            }
        }
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("ca.pem");
        let block = |body: &str| {
            format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
        };
        for text in [String::new(), "pem".to_owned(), block("!"), block("AAAA")] {
            fs::write(&path, &text).expect("written");
            assert!(certificates(&path).is_err(), "{text}");
        }
        assert!(certificates(&dir.path().join("absent")).is_err());
        assert!(certificates(dir.path()).is_err());
    }
}
