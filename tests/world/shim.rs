//! Faults of disk and power for a real process: the C file `tests/faults/shim.c`, preloaded into it.

mod platter;

use std::{
    fs::File,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

pub use self::platter::Loss;
use crate::process::binary;

/// No space left on the device.
pub const ENOSPC: u64 = 28;
/// The device does not answer.
pub const EIO: u64 = 5;
/// The file system is read-only.
pub const EROFS: u64 = 30;

/// What happens at one operation on the process's files.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The process is killed, and the operation never done.
    KillBefore,
    /// The operation is done, and the process killed.
    KillAfter,
    /// Half of a write is done, and the process killed; another operation is done whole.
    Torn,
    /// This one operation fails with an error number.
    Fail(u64),
    /// It fails, and so do all that follow.
    FailForGood(u64),
    /// It and those that follow do not come back before the fault is disarmed.
    Hang,
}

impl Fault {
    /// The numbers that `shim.c` knows it by: action and error.
    const fn numbers(self) -> (u64, u64) {
        match self {
            Self::KillBefore => (1, 0),
            Self::KillAfter => (2, 0),
            Self::Torn => (3, 0),
            Self::Fail(error) => (4, error),
            Self::FailForGood(error) => (5, error),
            Self::Hang => (6, 0),
        }
    }
}

/// The numbers of `struct control` in `shim.c`, in their order.
#[derive(Clone, Copy)]
enum Member {
    Count,
    At,
    Action,
    Error,
    Fired,
    Died,
}

/// The faults of one process, which can be set while it runs.
pub struct Shim {
    library: PathBuf,
    below: PathBuf,
    control: File,
    directory: TempDir,
}

impl Shim {
    /// A shim for what happens below a directory, which need not exist yet.
    pub fn below(below: &Path) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("control");
        let control = File::options().read(true).write(true).create_new(true).open(path)?;
        control.write_all_at(&[0; 48], 0)?;
        std::fs::create_dir(directory.path().join("platter"))?;
        Ok(Self { library: library()?, below: below.to_owned(), control, directory })
    }

    /// The variables that put it into a process.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let text = |path: &Path| path.display().to_string();
        let variables = [
            ("LD_PRELOAD", text(&self.library)),
            ("FAULT_DIR", text(&self.below)),
            ("FAULT_CONTROL", text(&self.directory.path().join("control"))),
            ("FAULT_LOG", text(&self.log_path())),
            ("FAULT_PLATTER", text(&self.platter())),
        ];
        variables.map(|(name, value)| (name.to_owned(), value)).to_vec()
    }

    /// How many operations there were since the shim was made, over all processes that had it.
    pub fn operations(&self) -> Result<u64> {
        self.get(Member::Count)
    }

    /// Makes the fault come at an operation that is still ahead: the first from now is number 1.
    pub fn arm(&self, ahead: u64, fault: Fault) -> Result<()> {
        let (action, error) = fault.numbers();
        self.disarm()?;
        self.set(Member::Action, action)?;
        self.set(Member::Error, error)?;
        self.set(Member::At, self.operations()? + ahead)
    }

    /// Lets everything go well again.
    pub fn disarm(&self) -> Result<()> {
        [Member::At, Member::Fired, Member::Died].into_iter().try_for_each(|it| self.set(it, 0))
    }

    /// Whether the fault has come since it was armed.
    pub fn fired(&self) -> Result<bool> {
        Ok(self.get(Member::Fired)? > 0)
    }

    /// Whether the fault was the process's end.
    pub fn died(&self) -> Result<bool> {
        Ok(self.get(Member::Died)? > 0)
    }

    /// Takes from the directory what a power cut takes of it. No process may be using it.
    pub fn cut_power(&self, loss: Loss) -> Result<()> {
        platter::cut(&self.platter(), &self.below, loss)
    }

    /// Every operation, a line each: its number, its name, and the path if it has one.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.log_path())?)
    }

    fn platter(&self) -> PathBuf {
        self.directory.path().join("platter")
    }

    fn log_path(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    fn get(&self, member: Member) -> Result<u64> {
        let mut bytes = [0; 8];
        self.control.read_exact_at(&mut bytes, member as u64 * 8)?;
        Ok(u64::from_ne_bytes(bytes))
    }

    fn set(&self, member: Member, value: u64) -> Result<()> {
        Ok(self.control.write_all_at(&value.to_ne_bytes(), member as u64 * 8)?)
    }
}

/// Compiles the shim, once a process.
fn library() -> Result<PathBuf> {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    if let Some(library) = LIBRARY.get() {
        return Ok(library.clone());
    }
    let beside = binary("counterfoild")?;
    let folder = beside.parent().context("a folder")?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("faults/shim.c");
    // Two tests may compile it at the same time: each has a name of its own until it is whole.
    let mine = tempfile::Builder::new().prefix("shim").tempfile_in(folder)?;
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"])
        .args([mine.path(), &source])
        .status()?;
    ensure!(compiled.success(), "cc does not compile {}", source.display());
    let library = folder.join("faults-shim.so");
    mine.persist(&library)?;
    Ok(LIBRARY.get_or_init(|| library).clone())
}
