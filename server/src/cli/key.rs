//! `key rotate`.

use serde_json::json;

use super::operator::answer;
use crate::{clock, config::Config, data::DataDir, keys, oauth::profile::Algorithm};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Makes a new signing key and retires the one before. A running server takes it up with the next token.
    Rotate {
        /// The algorithm whose key is rotated; without it, every one.
        #[arg(long, value_parser = algorithm)]
        algorithm: Option<Algorithm>,
    },
}

impl Command {
    pub fn run(self, config: &Config, json: bool) -> anyhow::Result<()> {
        let Self::Rotate { algorithm } = self;
        let (clock, entropy) = clock::system();
        let data = DataDir::open(&config.data_dir)?;
        let algorithms =
            algorithm.map_or(vec![Algorithm::Es256, Algorithm::Rs256], |one| vec![one]);
        let made = keys::rotate(&data.keys_directory(), &algorithms, &*entropy, clock.now())?;
        let lines: Vec<_> = made.iter().map(|key| format!("{} key {}", key.alg, key.kid)).collect();
        let text = format!(
            "{}\nThe keys before stay published for {} days.",
            lines.join("\n"),
            keys::RETIRED_LIFETIME / (24 * 3600)
        );
        answer(json, &json!({ "keys": made }), &text)
    }
}

fn algorithm(text: &str) -> Result<Algorithm, String> {
    [Algorithm::Es256, Algorithm::Rs256]
        .into_iter()
        .find(|algorithm| algorithm.as_str() == text)
        .ok_or_else(|| "ES256 or RS256".to_owned())
}
