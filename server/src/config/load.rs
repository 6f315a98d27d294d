//! File, environment and arguments into one [`Config`].
//!
//! The environment is generic: every setting, and so every new one, has a variable, named by its place in the file.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{Config, LogFormat};

/// What the variables' names begin with.
const PREFIX: &str = "COUNTERFOIL_";

/// The variable that names the file, instead of `--config`.
const CONFIG_VARIABLE: &str = "COUNTERFOIL_CONFIG";

/// The file in the data directory with the issuer that was last served.
pub const SERVED_ISSUER: &str = "issuer";

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file is not TOML, or has a setting that does not exist or cannot be read.
    #[error("{}: {error}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        error: Box<toml::de::Error>,
    },
    /// A variable whose value cannot be read.
    #[error("the environment variable {variable}: {reason}")]
    Variable {
        /// Its name.
        variable: String,
        /// What is wrong with its value.
        reason: String,
    },
    /// A setting that cannot work.
    #[error("{0}")]
    Setting(String),
}

/// Settings given as arguments.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--data-dir`.
    pub data_dir: Option<PathBuf>,
    /// `--issuer`.
    pub issuer: Option<String>,
    /// `--listen`.
    pub listen: Option<std::net::SocketAddr>,
    /// `--trusted-proxy`.
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// `--tls-certificate`.
    pub tls_certificate: Option<PathBuf>,
    /// `--tls-key`.
    pub tls_key: Option<PathBuf>,
    /// `--log-format`.
    pub log_format: Option<LogFormat>,
    /// For a command beside the server: an issuer that nobody names is the one that was served last.
    pub as_served: bool,
}

/// Reads the settings and checks them.
pub fn load(
    mut overrides: Overrides,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, ConfigError> {
    let mut variables: BTreeMap<String, String> =
        environment.into_iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
    let named = variables.remove(CONFIG_VARIABLE).filter(|path| !path.is_empty());
    let file = overrides.config.take().or(named.map(PathBuf::from));
    let (config, mut issuer_given) = match &file {
        Some(path) => read_file(path)?,
        None => (Config::default(), false),
    };
    issuer_given |= variables.contains_key("COUNTERFOIL_ISSUER") || overrides.issuer.is_some();
    let mut config = with_variables(&config, variables)?;
    config.file = file;
    let as_served = overrides.as_served;
    overrides.apply(&mut config);
    if !issuer_given {
        let served = as_served.then(|| served_issuer(&config.data_dir)).flatten();
        if let Some(issuer) = served {
            config.issuer = issuer;
        } else if config.listen.ip().is_loopback() {
            config.issuer = format!("http://{}", config.listen);
        }
    }
    config.check().map_err(ConfigError::Setting)?;
    Ok(config)
}

/// The issuer that was last served, or made for, in a data directory.
#[must_use]
pub fn served_issuer(data_dir: &Path) -> Option<String> {
    fs::read_to_string(data_dir.join(SERVED_ISSUER)).ok()
}

/// The settings of a file, and whether it names the issuer.
fn read_file(path: &Path) -> Result<(Config, bool), ConfigError> {
    let text = fs::read_to_string(path)
        .map_err(|error| ConfigError::Read { path: path.to_owned(), error })?;
    let syntax = |error| ConfigError::Syntax { path: path.to_owned(), error: Box::new(error) };
    let config = toml::from_str(&text).map_err(syntax)?;
    let table: toml::Table = toml::from_str(&text).map_err(syntax)?;
    Ok((config, table.contains_key("issuer")))
}

fn with_variables(
    config: &Config,
    variables: BTreeMap<String, String>,
) -> Result<Config, ConfigError> {
    let mut tree = serde_json::to_value(config).expect("settings are JSON");
    let (mut ignored, mut heeded) = (Vec::new(), Vec::new());
    for (variable, text) in variables {
        let Some(slot) = setting(&mut tree, PREFIX, &variable) else {
            ignored.push(variable);
            continue;
        };
        let wrong = |reason: String| ConfigError::Variable { variable: variable.clone(), reason };
        *slot = parse(slot, &text).map_err(wrong)?;
        // Read back one by one, so that an error names its variable.
        Config::deserialize_from(&tree).map_err(wrong)?;
        heeded.push(variable);
    }
    let mut config = Config::deserialize_from(&tree).map_err(ConfigError::Setting)?;
    config.ignored_variables = ignored;
    config.variables = heeded;
    Ok(config)
}

impl Config {
    fn deserialize_from(tree: &Value) -> Result<Self, String> {
        serde::Deserialize::deserialize(tree).map_err(|error: serde_json::Error| error.to_string())
    }
}

/// Finds the setting that a variable names.
fn setting<'a>(tree: &'a mut Value, prefix: &str, variable: &str) -> Option<&'a mut Value> {
    let members = tree.as_object_mut()?;
    for (name, value) in members.iter_mut() {
        let full = format!("{prefix}{}", name.to_ascii_uppercase());
        if value.is_object() {
            if let Some(found) = setting(value, &format!("{full}_"), variable) {
                return Some(found);
            }
        } else if full == variable {
            return Some(value);
        }
    }
    None
}

/// Reads a variable's text as the kind of value that the setting has.
fn parse(kind: &Value, text: &str) -> Result<Value, String> {
    Ok(match kind {
        Value::Bool(_) => match text {
            "true" => true.into(),
            "false" => false.into(),
            _ => return Err("must be true or false".to_owned()),
        },
        Value::Number(_) => {
            text.parse::<i64>().map_err(|_| "must be a whole number".to_owned())?.into()
        }
        Value::Array(known) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            match known.first() {
                Some(kind @ Value::Number(_)) => items.map(|item| parse(kind, item)).collect(),
                _ => Ok(items.collect()),
            }?
        }
        _ if text.is_empty() => Value::Null,
        _ => text.into(),
    })
}

impl Overrides {
    fn apply(self, config: &mut Config) {
        fn set<T>(setting: &mut T, given: Option<T>) {
            if let Some(value) = given {
                *setting = value;
            }
        }
        set(&mut config.data_dir, self.data_dir);
        set(&mut config.issuer, self.issuer);
        set(&mut config.listen, self.listen);
        set(&mut config.log_format, self.log_format);
        set(&mut config.tls_certificate, self.tls_certificate.map(Some));
        set(&mut config.tls_key, self.tls_key.map(Some));
        if !self.trusted_proxies.is_empty() {
            config.trusted_proxies = self.trusted_proxies;
        }
    }
}

#[cfg(test)]
mod tests;
