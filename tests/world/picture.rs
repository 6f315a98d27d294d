//! A directory as it was once, kept in memory: to have it again elsewhere.

use std::{
    fs::{self, Permissions},
    path::{Path, PathBuf},
};

use anyhow::Result;

/// What a directory held. Nobody may have been using it.
pub(crate) struct Picture(Vec<Thing>);

struct Thing {
    name: PathBuf,
    rights: Permissions,
    /// What is in a file; `None` for a directory.
    content: Option<Vec<u8>>,
}

impl Picture {
    /// Reads it, with all that is below it.
    pub(crate) fn of(directory: &Path) -> Result<Self> {
        let (mut things, mut waiting) = (Vec::new(), vec![PathBuf::new()]);
        while let Some(place) = waiting.pop() {
            for entry in fs::read_dir(directory.join(&place))? {
                let entry = entry?;
                let (name, metadata) = (place.join(entry.file_name()), entry.metadata()?);
                let content = if metadata.is_dir() {
                    waiting.push(name.clone());
                    None
                } else {
                    Some(fs::read(entry.path())?)
                };
                things.push(Thing { name, rights: metadata.permissions(), content });
            }
        }
        Ok(Self(things))
    }

    /// Has the same below another directory, where nothing of it is yet.
    pub(crate) fn lay(&self, directory: &Path) -> Result<()> {
        // A directory stands before what is in it.
        for Thing { name, rights, content } in &self.0 {
            let path = directory.join(name);
            match content {
                Some(content) => fs::write(&path, content)?,
                None => fs::create_dir(&path)?,
            }
            fs::set_permissions(&path, rights.clone())?;
        }
        Ok(())
    }
}
