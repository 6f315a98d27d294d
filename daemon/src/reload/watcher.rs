//! Notices that the store's file, or a file that it names, has become another.
//!
//! Directories are watched, not files: an editor replaces a file, and a watch would stay with the old one.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _,
    event::{AccessKind, AccessMode},
};
use tokio::{sync::mpsc, time::timeout};

use super::chain::{self, Entry};
use crate::{
    situation::Situations,
    supervisor::{Command, Handle},
};

/// How long a directory must be quiet before the file is read: whoever writes it in pieces is given time.
const SETTLE: Duration = Duration::from_millis(250);

/// How often one is waited for who never stops writing.
const MAX_SETTLES: usize = 20;

/// How long to wait before a directory that could not be watched is tried again.
const PATIENCE: Duration = Duration::from_secs(30);

type Entries = Arc<Mutex<BTreeSet<Entry>>>;

/// The watch on some directories.
struct Watch {
    watcher: RecommendedWatcher,
    entries: Entries,
    dirs: BTreeSet<PathBuf>,
}

/// Tells the supervisor whenever the file, or one that it names, may have become another. Runs until the daemon ends.
pub(crate) async fn watch(file: PathBuf, mut situations: Situations, supervisor: Handle) {
    let (poke, mut poked) = mpsc::channel(1);
    let mut watch = match Watch::new(poke) {
        Ok(watch) => watch,
        Err(error) => {
            tracing::warn!(
                %error,
                "changes of the store's file are not noticed here; after a change run: counterfoild reload"
            );
            return;
        }
    };
    supervisor.tell(Command::FileIsWatched).await;
    loop {
        let config = Arc::clone(&situations.borrow_and_update().config);
        let files = std::iter::once(file.as_path()).chain(config.network.files());
        let complete = watch.arm(files);
        // It may have changed before it was watched.
        supervisor.tell(Command::FileChanged).await;
        let patience = if complete { Duration::MAX } else { PATIENCE };
        tokio::select! {
            changed = situations.changed() => if changed.is_err() { return },
            poke = timeout(patience, poked.recv()) => if poke.is_ok() {
                settle(&mut poked).await;
            },
        }
    }
}

async fn settle(poked: &mut mpsc::Receiver<()>) {
    for _ in 0..MAX_SETTLES {
        if timeout(SETTLE, poked.recv()).await.is_err() {
            return;
        }
    }
}

impl Watch {
    fn new(poke: mpsc::Sender<()>) -> notify::Result<Self> {
        let entries = Entries::default();
        let seen = Arc::clone(&entries);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let concerns_us = match &event {
                Ok(event) => concerns(event, &seen.lock().unwrap_or_else(PoisonError::into_inner)),
                // Events were lost: anything may have happened.
                Err(_) => true,
            };
            if concerns_us {
                // One poke waits already, or nobody does any more.
                let _ = poke.try_send(());
            }
        })?;
        Ok(Self { watcher, entries, dirs: BTreeSet::new() })
    }

    /// Watches for what decides these files; `false` when some of it cannot be watched now.
    fn arm<'p>(&mut self, files: impl Iterator<Item = &'p Path>) -> bool {
        let mut complete = true;
        let mut entries = BTreeSet::new();
        for file in files {
            match chain::entries(file) {
                Ok(found) => entries.extend(found),
                Err(error) => {
                    tracing::warn!(%error, file = %file.display(), "cannot be watched");
                    complete = false;
                }
            }
        }
        let dirs: BTreeSet<_> = entries.iter().map(|entry| entry.dir.clone()).collect();
        *self.entries.lock().unwrap_or_else(PoisonError::into_inner) = entries;
        for dir in self.dirs.difference(&dirs) {
            // One that is gone is not watched any more anyway.
            let _ = self.watcher.unwatch(dir);
        }
        self.dirs.clear();
        for dir in dirs {
            // Those that are watched already too: another directory may have taken the name.
            match self.watcher.watch(&dir, RecursiveMode::NonRecursive) {
                Ok(()) => drop(self.dirs.insert(dir)),
                Err(error) => {
                    tracing::warn!(%error, dir = %dir.display(), "cannot be watched");
                    complete = false;
                }
            }
        }
        complete
    }
}

/// Whether an event can have made one of the files another.
fn concerns(event: &Event, entries: &BTreeSet<Entry>) -> bool {
    let may_change = match event.kind {
        // Our own reading is an access as well.
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        EventKind::Any | EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_) => true,
        EventKind::Other => event.need_rescan(),
    };
    let ours = |path: &PathBuf| {
        let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else { return false };
        entries.iter().any(|entry| entry.dir == dir && entry.name == name)
            || entries.iter().any(|entry| entry.dir == *path)
    };
    may_change && (event.need_rescan() || event.paths.iter().any(ours))
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, ModifyKind, RemoveKind, RenameMode};

    use super::*;

    #[test]
    fn only_what_can_change_the_file_wakes_us() {
        let entries = BTreeSet::from([
            Entry { dir: "/etc/c".into(), name: "store.toml".into() },
            Entry { dir: "/etc/c".into(), name: "..data".into() },
        ]);
        let renamed = EventKind::Modify(ModifyKind::Name(RenameMode::To));
        for (kind, path, expected) in [
            (EventKind::Create(CreateKind::File), "/etc/c/store.toml", true),
            (EventKind::Modify(ModifyKind::Any), "/etc/c/store.toml", true),
            (EventKind::Remove(RemoveKind::File), "/etc/c/store.toml", true),
            (renamed, "/etc/c/..data", true),
            (EventKind::Access(AccessKind::Close(AccessMode::Write)), "/etc/c/store.toml", true),
            (EventKind::Access(AccessKind::Open(AccessMode::Any)), "/etc/c/store.toml", false),
            (EventKind::Access(AccessKind::Close(AccessMode::Read)), "/etc/c/store.toml", false),
            // The directory itself goes away.
            (EventKind::Remove(RemoveKind::Folder), "/etc/c", true),
            // What an editor, or this daemon, writes beside it.
            (EventKind::Create(CreateKind::File), "/etc/c/.store.toml.swp", false),
            (renamed, "/etc/c/store.toml.new", false),
            (EventKind::Modify(ModifyKind::Any), "/etc/c/journal.db", false),
            (EventKind::Create(CreateKind::File), "/etc/store.toml", false),
        ] {
            let event = Event::new(kind).add_path(path.into());
            assert_eq!(concerns(&event, &entries), expected, "{kind:?} {path}");
        }
        let lost = Event::new(EventKind::Other).set_flag(notify::event::Flag::Rescan);
        assert!(concerns(&lost, &entries));
    }
}
