//! `[key]` of the store's file: where the key lives.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What keeps the keys.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StoreKind {
    /// Files of the state directory.
    #[default]
    File,
    /// A token with a PKCS#11 module.
    Pkcs11,
    /// A TPM 2.0.
    Tpm,
}

impl StoreKind {
    /// Its name in the store's file.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Pkcs11 => "pkcs11",
            Self::Tpm => "tpm",
        }
    }

    /// Whether this counterfoild can use it.
    fn is_built_in(self) -> bool {
        match self {
            Self::File => true,
            Self::Pkcs11 => cfg!(feature = "pkcs11"),
            Self::Tpm => cfg!(feature = "tpm"),
        }
    }
}

/// Where the installation's keys live, as the store's file wishes.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct KeySettings {
    /// What keeps them.
    pub(crate) store: StoreKind,
    /// A file whose content seals what is in files.
    pub(crate) seal_file: Option<PathBuf>,
    /// PKCS#11: the module of the token's maker.
    pub(crate) module: Option<PathBuf>,
    /// PKCS#11: the token's label or serial number.
    pub(crate) token: Option<String>,
    /// PKCS#11: what the keys' labels in the token begin with.
    pub(crate) label: Option<String>,
    /// PKCS#11: the file with the token's PIN.
    pub(crate) pin_file: Option<PathBuf>,
    /// TPM: how it is reached.
    pub(crate) tcti: Option<String>,
}

/// A setting, and why it cannot be.
type Wrong = (&'static str, &'static str);

impl KeySettings {
    /// Checks what can be checked without looking: the first setting that cannot be, and why.
    pub(crate) fn check(&self) -> Result<(), Wrong> {
        if !self.store.is_built_in() {
            return Err((
                "key.store",
                "is not in this counterfoild; build it with the cargo feature of that name",
            ));
        }
        let pkcs11 = self.store == StoreKind::Pkcs11;
        for (name, path, useful) in [
            ("key.seal_file", &self.seal_file, true),
            ("key.module", &self.module, pkcs11),
            ("key.pin_file", &self.pin_file, pkcs11),
        ] {
            match path {
                Some(_) if !useful => return Err((name, NO_EFFECT)),
                Some(path) if !path.is_absolute() => {
                    return Err((name, "must be an absolute path"));
                }
                _ => {}
            }
        }
        for (name, text, useful) in [
            ("key.token", &self.token, pkcs11),
            ("key.label", &self.label, pkcs11),
            ("key.tcti", &self.tcti, self.store == StoreKind::Tpm),
        ] {
            match text {
                Some(_) if !useful => return Err((name, NO_EFFECT)),
                Some(text) if !is_plain(text) => {
                    return Err((name, "has 1 to 128 printable characters"));
                }
                _ => {}
            }
        }
        for (name, is_there) in
            [("key.module", self.module.is_some()), ("key.token", self.token.is_some())]
        {
            if pkcs11 && !is_there {
                return Err((name, "is needed with key.store = \"pkcs11\""));
            }
        }
        match &self.tcti {
            Some(tcti) if !WAYS.iter().any(|way| tcti.starts_with(way)) => {
                Err(("key.tcti", "begins with device:/, swtpm:, mssim: or tabrmd"))
            }
            _ => Ok(()),
        }
    }
}

/// How a TPM can be reached.
const WAYS: [&str; 4] = ["device:/", "swtpm:", "mssim:", "tabrmd"];

const NO_EFFECT: &str = "has no effect with this key.store";

fn is_plain(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> KeySettings {
        toml::from_str(text).expect(text)
    }

    #[test]
    fn every_wrong_setting_is_named() {
        for (text, named) in [
            ("", None),
            ("store = 'file'", None),
            ("seal_file = '/seal'", None),
            ("seal_file = 'seal'", Some("key.seal_file")),
            ("module = '/m.so'", Some("key.module")),
            ("token = 't'", Some("key.token")),
            ("label = 'l'", Some("key.label")),
            ("pin_file = '/p'", Some("key.pin_file")),
            ("tcti = 'device:/dev/tpmrm0'", Some("key.tcti")),
        ] {
            assert_eq!(parse(text).check().err().map(|(name, _)| name), named, "{text}");
        }
    }

    #[test]
    fn a_device_needs_its_cargo_feature() {
        for (text, built_in) in [
            ("store = 'pkcs11'\nmodule = '/m.so'\ntoken = 't'", cfg!(feature = "pkcs11")),
            ("store = 'tpm'", cfg!(feature = "tpm")),
        ] {
            let wrong = parse(text).check().err().map(|(name, _)| name);
            assert_eq!(wrong, (!built_in).then_some("key.store"), "{text}");
        }
        assert!(toml::from_str::<KeySettings>("store = 'cloud'").is_err());
    }

    #[cfg(feature = "tpm")]
    #[test]
    fn a_tpm_is_reached_in_one_of_four_ways() {
        for (text, named) in [
            ("store = 'tpm'", None),
            ("store = 'tpm'\ntcti = 'device:/dev/tpm0'", None),
            ("store = 'tpm'\ntcti = 'swtpm:port=2321'", None),
            ("store = 'tpm'\ntcti = 'device:tpm0'", Some("key.tcti")),
            ("store = 'tpm'\ntcti = 'libtpms.so'", Some("key.tcti")),
            ("store = 'tpm'\ntcti = ''", Some("key.tcti")),
            ("store = 'tpm'\nmodule = '/m.so'", Some("key.module")),
        ] {
            assert_eq!(parse(text).check().err().map(|(name, _)| name), named, "{text}");
        }
    }

    #[cfg(feature = "pkcs11")]
    #[test]
    fn a_token_is_described_whole() {
        const WHOLE: &str = "store = 'pkcs11'\nmodule = '/m.so'\ntoken = 't'\n";
        for (text, named) in [
            (WHOLE.to_owned(), None),
            (format!("{WHOLE}label = 'shop 1'\npin_file = '/p'"), None),
            (format!("{WHOLE}label = ''"), Some("key.label")),
            (format!("{WHOLE}label = 'é'"), Some("key.label")),
            (format!("{WHOLE}pin_file = 'p'"), Some("key.pin_file")),
            (format!("{WHOLE}tcti = 'device'"), Some("key.tcti")),
            (WHOLE.replace("module = '/m.so'\n", ""), Some("key.module")),
            (WHOLE.replace("'/m.so'", "'m.so'"), Some("key.module")),
            (WHOLE.replace("token = 't'\n", ""), Some("key.token")),
        ] {
            assert_eq!(parse(&text).check().err().map(|(name, _)| name), named, "{text}");
        }
    }
}
