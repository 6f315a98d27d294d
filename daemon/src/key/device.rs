//! Keys that stay in a device: one thread speaks with it, so that a device which hangs hangs nobody else.

use std::{
    fmt, io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use counterfoil_protocol::{
    encoding::sha256,
    jwk::{PublicKey, Thumbprint},
};
use tokio::sync::oneshot;

use super::{
    CannotSign, Hold, Home, InstallationKey, KeyError, KeyStore, Leftover, Slot, StoreKind,
    error::DeviceTrouble, file::FileStore,
};
use crate::clock::Entropy;

/// How long a device may take for one thing. The slowest take a second.
const PATIENCE: Duration = Duration::from_secs(10);

/// How much may wait for a device. What comes then is refused at once.
const QUEUE: usize = 256;

/// A device that makes keys and signs with them. Its methods block.
pub(super) trait Device {
    /// Makes a key in `slot`.
    fn create(&mut self, slot: Slot, leftover: Leftover) -> Result<PublicKey, KeyError>;
    /// The public half of the key in `slot`, if there is one.
    fn load(&mut self, slot: Slot) -> Result<Option<PublicKey>, KeyError>;
    /// Removes what is in `slot`.
    fn remove(&mut self, slot: Slot) -> Result<(), KeyError>;
    /// Signs the SHA-256 of a message with this very key of `slot`: `r || s`.
    fn sign(
        &mut self,
        slot: Slot,
        key: &Thumbprint,
        digest: &[u8; 32],
    ) -> Result<[u8; 64], KeyError>;
}

type Job = Box<dyn FnOnce(&mut dyn Device) + Send>;

/// The most threads for devices. More than a few are there only if some hang for ever.
const THREADS: usize = 32;

/// How many there are.
static ALIVE: AtomicUsize = AtomicUsize::new(0);

/// One of them, until it is dropped.
struct Alive;

impl Alive {
    fn begin() -> Option<Self> {
        let begun = ALIVE.fetch_update(Ordering::AcqRel, Ordering::Acquire, |alive| {
            (alive < THREADS).then_some(alive + 1)
        });
        begun.ok().map(|_| Self)
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, Ordering::AcqRel);
    }
}

/// How long the last to leave a device waits for its thread. A device is let go in milliseconds.
const FAREWELL: Duration = Duration::from_secs(2);

/// The thread of a device. It is waited for: a maker's module that still works when the process ends, and takes its
/// libraries away, crashes there.
struct Thread {
    /// The device's name, as a person knows it.
    name: String,
    running: Option<thread::JoinHandle<()>>,
    /// Closed when the device was let go.
    let_go: Mutex<mpsc::Receiver<()>>,
}

impl Drop for Thread {
    fn drop(&mut self) {
        let let_go = self.let_go.get_mut().unwrap_or_else(PoisonError::into_inner);
        // A device that hangs is left behind: it would hang whoever waits for it.
        if let Err(RecvTimeoutError::Disconnected) = let_go.recv_timeout(FAREWELL)
            && let Some(running) = self.running.take()
        {
            let _ = running.join();
        }
    }
}

/// Where work for a device is handed in. The device's thread ends with the last of them.
#[derive(Clone)]
struct Desk {
    // Before the thread, which ends when nobody is left who hands in.
    jobs: mpsc::SyncSender<Job>,
    patience: Duration,
    thread: Arc<Thread>,
}

impl Desk {
    fn start<D: Device>(
        name: &str,
        patience: Duration,
        make: impl FnOnce() -> D + Send + 'static,
    ) -> io::Result<Self> {
        let alive = Alive::begin().ok_or_else(|| io::Error::other("too many devices hang"))?;
        let (jobs, waiting) = mpsc::sync_channel::<Job>(QUEUE);
        let (holds, let_go) = mpsc::channel::<()>();
        let running = thread::Builder::new().name("key device".to_owned()).spawn(move || {
            // Dropped from the last to the first, so the device goes before it is told that it went.
            let (_alive, _holds) = (alive, holds);
            let mut device = make();
            while let Ok(job) = waiting.recv() {
                job(&mut device);
            }
        })?;
        let let_go = Mutex::new(let_go);
        let thread = Thread { name: name.to_owned(), running: Some(running), let_go };
        Ok(Self { jobs, patience, thread: Arc::new(thread) })
    }

    /// Has something done and waits for it, which may take as long as the patience lasts.
    fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Device) -> Result<T, KeyError> + Send + 'static,
    ) -> Result<T, KeyError> {
        let (answer, answered) = mpsc::sync_channel(1);
        let given_up = Arc::new(AtomicBool::new(false));
        let is_given_up = Arc::clone(&given_up);
        let job = move |device: &mut dyn Device| {
            if !is_given_up.load(Ordering::Acquire) {
                let _ = answer.send(work(device));
            }
        };
        self.jobs.try_send(Box::new(job)).map_err(|_| self.silent())?;
        answered.recv_timeout(self.patience).unwrap_or_else(|_| {
            given_up.store(true, Ordering::Release);
            Err(self.silent())
        })
    }

    fn silent(&self) -> KeyError {
        KeyError::Device { device: self.thread.name.clone(), trouble: DeviceTrouble::Silent }
    }
}

/// A key in a device.
#[derive(Clone)]
pub(super) struct DeviceKey {
    desk: Desk,
    slot: Slot,
    thumbprint: Thumbprint,
}

impl DeviceKey {
    /// Has `message` signed. Whoever stops waiting is not signed for, unless it has begun.
    pub(super) async fn sign(&self, message: &[u8]) -> Result<[u8; 64], CannotSign> {
        let (answer, answered) = oneshot::channel();
        let (slot, thumbprint, digest) = (self.slot, self.thumbprint, sha256(message));
        let job = move |device: &mut dyn Device| {
            if !answer.is_closed() {
                let _ = answer.send(device.sign(slot, &thumbprint, &digest));
            }
        };
        let handed_in = self.desk.jobs.try_send(Box::new(job)).map_err(|_| self.desk.silent());
        let signature = match handed_in {
            Ok(()) => match tokio::time::timeout(self.desk.patience, answered).await {
                Ok(Ok(signature)) => signature,
                _ => Err(self.desk.silent()),
            },
            Err(error) => Err(error),
        };
        signature.map_err(|error| {
            tracing::warn!(%error, "the key does not sign");
            CannotSign
        })
    }
}

/// A device as a store of keys.
pub(super) struct DeviceStore {
    desk: Desk,
    kind: StoreKind,
}

impl DeviceStore {
    /// Gives the device that `make` makes a thread of its own. `name` is how a person knows it.
    pub(super) fn start<D: Device>(
        kind: StoreKind,
        name: &str,
        make: impl FnOnce() -> D + Send + 'static,
    ) -> Result<Self, KeyError> {
        let desk = Desk::start(name, PATIENCE, make).map_err(|error| KeyError::Device {
            device: name.to_owned(),
            trouble: DeviceTrouble::Failed(error.to_string()),
        })?;
        Ok(Self { desk, kind })
    }

    fn key(&self, slot: Slot, public: PublicKey) -> InstallationKey {
        let thumbprint = public.thumbprint();
        let key = DeviceKey { desk: self.desk.clone(), slot, thumbprint };
        InstallationKey::new(Hold::Device(key), Home { store: self.kind, sealed: None }, public)
    }
}

impl KeyStore for DeviceStore {
    fn create(
        &self,
        slot: Slot,
        leftover: Leftover,
        _entropy: &dyn Entropy,
    ) -> Result<InstallationKey, KeyError> {
        let public = self.desk.ask(move |device| device.create(slot, leftover))?;
        Ok(self.key(slot, public))
    }

    fn load(&self, slot: Slot) -> Result<Option<InstallationKey>, KeyError> {
        let public = self.desk.ask(move |device| device.load(slot))?;
        Ok(public.map(|public| self.key(slot, public)))
    }

    fn remove(&self, slot: Slot) -> Result<(), KeyError> {
        self.desk.ask(move |device| device.remove(slot))
    }

    fn place(&self, slot: Slot) -> String {
        format!("slot {} of {}", slot.name(), self.desk.thread.name)
    }
}

impl fmt::Debug for DeviceStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceStore({})", self.desk.thread.name)
    }
}

/// A device, and the files where keys were before it. New keys are made in the device alone, so that a change of
/// key takes an installation from its file into the device.
#[derive(Debug)]
pub(super) struct WithFiles {
    /// Where keys are made.
    pub(super) device: DeviceStore,
    /// Where they were.
    pub(super) files: FileStore,
}

impl KeyStore for WithFiles {
    fn create(
        &self,
        slot: Slot,
        leftover: Leftover,
        entropy: &dyn Entropy,
    ) -> Result<InstallationKey, KeyError> {
        if leftover == Leftover::Keep && self.files.load(slot)?.is_some() {
            return Err(KeyError::Occupied { place: self.files.place(slot) });
        }
        let key = self.device.create(slot, leftover, entropy)?;
        self.files.remove(slot)?;
        Ok(key)
    }

    fn load(&self, slot: Slot) -> Result<Option<InstallationKey>, KeyError> {
        // A key in the device takes the file's place, so where there is a file, it is the one that counts.
        match self.files.load(slot) {
            Ok(None) => self.device.load(slot),
            Ok(key) => Ok(key),
            Err(error) => self.device.load(slot)?.map(Some).ok_or(error),
        }
    }

    fn remove(&self, slot: Slot) -> Result<(), KeyError> {
        self.files.remove(slot)?;
        self.device.remove(slot)
    }

    fn place(&self, slot: Slot) -> String {
        match self.files.load(slot) {
            Ok(None) => self.device.place(slot),
            _ => self.files.place(slot),
        }
    }

    fn file_place(&self, slot: Slot) -> String {
        self.files.place(slot)
    }
}

#[cfg(test)]
pub(super) mod stage;
#[cfg(test)]
mod tests;
