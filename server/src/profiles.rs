//! The profiles in force: those built in, and the operator's own.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use crate::oauth::{
    profile::{Profile, ProfileError},
    scopes,
};

const BUILT_IN: [&str; 3] = [
    include_str!("../profiles/wordpress.toml"),
    include_str!("../profiles/medusa.toml"),
    include_str!("../profiles/btcpay-server.toml"),
];

/// Why the profiles cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfilesError {
    /// A file or the directory cannot be read.
    #[error("{}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A file is no profile.
    #[error("{}: {error}", path.display())]
    Profile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: ProfileError,
    },
    /// Two files of the operator's for one platform.
    #[error("{} and another file of that directory are both for {platform}; remove one", path.display())]
    Twice {
        /// The second file.
        path: PathBuf,
        /// The platform.
        platform: String,
    },
}

/// Profiles by platform.
pub struct Profiles(BTreeMap<String, Profile>);

impl Profiles {
    /// The profiles built in, and those of `directory`, which replace built-in ones of the same platform. One bad file
    /// refuses all: a platform that silently keeps its old rules helps nobody.
    pub fn load(directory: Option<&Path>) -> Result<Self, ProfilesError> {
        let built_in = BUILT_IN.iter().map(|text| {
            Profile::parse(text)
                .map_err(|error| ProfilesError::Profile { path: PathBuf::from("built in"), error })
        });
        let mut profiles = by_platform(built_in.collect::<Result<Vec<_>, _>>()?);
        if let Some(directory) = directory {
            let mut own = BTreeMap::new();
            for path in files(directory)? {
                let profile = read(&path)?;
                let platform = profile.platform.clone();
                if own.insert(platform.clone(), profile).is_some() {
                    return Err(ProfilesError::Twice { path, platform });
                }
            }
            profiles.append(&mut own);
        }
        Ok(Self(profiles))
    }

    /// The profile of a platform.
    #[must_use]
    pub fn get(&self, platform: &str) -> Option<&Profile> {
        self.0.get(platform)
    }

    /// The scopes there are: the partner API's, and those of the operator's own profiles.
    #[must_use]
    pub fn scopes(&self) -> BTreeSet<&str> {
        let own = self.iter().flat_map(|profile| profile.scopes.iter().map(String::as_str));
        scopes::ALL.iter().map(|(name, _)| *name).chain(own).collect()
    }

    /// All profiles, by platform.
    pub fn iter(&self) -> impl Iterator<Item = &Profile> {
        self.0.values()
    }
}

/// Reads and checks a profile file.
pub fn read(path: &Path) -> Result<Profile, ProfilesError> {
    let text = fs::read_to_string(path)
        .map_err(|error| ProfilesError::Read { path: path.to_owned(), error })?;
    Profile::parse(&text).map_err(|error| ProfilesError::Profile { path: path.to_owned(), error })
}

fn by_platform(profiles: Vec<Profile>) -> BTreeMap<String, Profile> {
    profiles.into_iter().map(|profile| (profile.platform.clone(), profile)).collect()
}

/// The TOML files of a directory, by name.
fn files(directory: &Path) -> Result<Vec<PathBuf>, ProfilesError> {
    let unreadable = |error| ProfilesError::Read { path: directory.to_owned(), error };
    let entries = fs::read_dir(directory).map_err(unreadable)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut files = paths.collect::<io::Result<Vec<_>>>().map_err(unreadable)?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = r#"
        platform = "wordpress"
        name = "Ours"
        publisher = "Us"
        callback = "{site_url}/ours"
        registration_id = false
        scopes = ["company:read"]
        token_algorithm = "ES256"
    "#;

    #[test]
    fn the_operators_file_replaces_the_built_in_one() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("own.toml"), OWN).expect("writes");
        fs::write(directory.path().join("notes.txt"), "not a profile").expect("writes");
        let profiles = Profiles::load(Some(directory.path())).expect("profiles");
        assert_eq!(profiles.get("wordpress").map(|profile| profile.name.as_str()), Some("Ours"));
        assert_eq!(profiles.iter().count(), 3);
    }

    #[test]
    fn a_bad_file_is_named() {
        for (content, reason) in [
            (OWN.replace("company:read", "company read"), "scopes must be a list of scope names"),
            (OWN.replace("publisher", "editor"), "unknown field `editor`"),
        ] {
            let directory = tempfile::tempdir().expect("a directory");
            fs::write(directory.path().join("bad.toml"), content).expect("writes");
            let error = Profiles::load(Some(directory.path())).err().expect("an error").to_string();
            assert!(error.contains("bad.toml: ") && error.contains(reason), "{error}");
        }
    }

    #[test]
    fn two_files_for_one_platform() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("a.toml"), OWN).expect("writes");
        fs::write(directory.path().join("b.toml"), OWN).expect("writes");
        let error = Profiles::load(Some(directory.path())).err().expect("an error").to_string();
        assert!(error.contains("b.toml and another file"), "{error}");
    }
}
