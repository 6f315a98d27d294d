//! `profile list` and `profile check`.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::operator::{answer, show};
use crate::{
    config::Config,
    oauth::profile::Profile,
    profiles::{self, Profiles},
};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Lists the profiles in force.
    List,
    /// Reads a profile file as the server would, and says what is wrong with it.
    Check {
        /// The file.
        file: PathBuf,
    },
}

impl Command {
    pub fn run(self, config: &Config, json: bool) -> anyhow::Result<()> {
        match self {
            Self::List => {
                let profiles = Profiles::load(config.profiles_dir.as_deref())?;
                let rows: Vec<Value> = profiles.iter().map(described).collect();
                let lines: Vec<_> = profiles.iter().map(line).collect();
                show(json, &json!({ "profiles": rows }), &lines.join("\n"))
            }
            Self::Check { file } => {
                let profile = profiles::read(&file)?;
                answer(json, &described(&profile), &format!("good: {}", line(&profile)))
            }
        }
    }
}

fn described(profile: &Profile) -> Value {
    json!({
        "platform": profile.platform, "name": profile.name, "publisher": profile.publisher,
        "callback": profile.callback, "scopes": profile.scopes, "token_algorithm": profile.token_algorithm.as_str(),
    })
}

fn line(profile: &Profile) -> String {
    format!(
        "{:<16} {} ({}), {}",
        profile.platform, profile.name, profile.publisher, profile.callback
    )
}
