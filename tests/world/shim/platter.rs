//! What a power cut leaves of a directory: what was synced, and of the rest what the disk happened to have done.

use std::{
    collections::HashMap,
    fs,
    io::Write as _,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
    time::UNIX_EPOCH,
};

use anyhow::{Context as _, Result};

/// What of that which was not synced a power cut takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Loss {
    /// All of it.
    Everything,
    /// What was written into files. That they were made, renamed and removed is kept.
    Contents,
    /// That files were made, renamed and removed. What was written into them is kept.
    Names,
}

impl Loss {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Everything, Self::Contents, Self::Names];
}

/// Leaves in the directory `of` what the platter (see `tests/faults/shim.c`) and `loss` say.
pub(super) fn cut(platter: &Path, of: &Path, loss: Loss) -> Result<()> {
    let mut names = Vec::new();
    let mut contents = HashMap::new();
    for entry in fs::read_dir(of).into_iter().flatten() {
        let (path, name) = (entry?.path(), |path: &Path| path.file_name().map(ToOwned::to_owned));
        let inode = inode(&path)?;
        contents.insert(inode.clone(), fs::read(&path)?);
        names.push((inode, name(&path).context("a name")?));
    }
    if loss != Loss::Contents {
        let engraved = fs::read_to_string(platter.join("names")).context("nobody watched")?;
        let lines = engraved.lines().filter_map(|line| line.split_once(' '));
        names = lines.map(|(inode, name)| (inode.to_owned(), name.into())).collect();
    }
    let left = names.into_iter().map(|(inode, name)| {
        let here = contents.get(&inode).filter(|_| loss == Loss::Names);
        // What was never synced is a file of no length.
        let synced = || fs::read(platter.join(&inode)).unwrap_or_default();
        (name, here.cloned().unwrap_or_else(synced))
    });
    let left: Vec<_> = left.collect();
    let stands = loss == Loss::Contents || platter.join("standing").exists();
    empty(of)?;
    empty(platter)?;
    if !of.exists() {
        return Ok(());
    }
    if !stands {
        return Ok(fs::remove_dir(of)?);
    }
    for (name, content) in left {
        let mut options = fs::File::options();
        let mut file = options.write(true).create_new(true).mode(0o600).open(of.join(name))?;
        file.write_all(&content)?;
    }
    Ok(())
}

/// What the shim calls the inode of a file.
fn inode(path: &Path) -> Result<String> {
    let metadata = fs::symlink_metadata(path)?;
    let born = metadata.created().ok().and_then(|it| it.duration_since(UNIX_EPOCH).ok());
    let born = born.unwrap_or_default();
    Ok(format!("{}-{}.{}", metadata.ino(), born.as_secs(), born.subsec_nanos()))
}

fn empty(directory: &Path) -> Result<()> {
    for entry in fs::read_dir(directory).into_iter().flatten() {
        fs::remove_file(entry?.path())?;
    }
    Ok(())
}
