//! How much is under way at a time: altogether, and to one host or for one client.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places for requests under way.
pub struct Slots {
    all: Arc<Semaphore>,
    each: usize,
    hosts: Mutex<HashMap<String, Weak<Semaphore>>>,
}

impl Slots {
    /// So many places, and so many of them to one host.
    #[must_use]
    pub fn new(all: usize, each: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(all)), each, hosts: Mutex::default() }
    }

    /// Waits for a place. The host's comes first, so that those who wait for a slow host hold nobody else's place.
    pub async fn take(&self, host: &str) -> [OwnedSemaphorePermit; 2] {
        let taken = |slots: Arc<Semaphore>| async {
            slots.acquire_owned().await.expect("these semaphores are never closed")
        };
        let at_host = taken(self.host(host)).await;
        [at_host, taken(Arc::clone(&self.all)).await]
    }

    fn host(&self, host: &str) -> Arc<Semaphore> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slots) = hosts.get(host).and_then(Weak::upgrade) {
            return slots;
        }
        // Hosts to which nothing is under way are forgotten, so there are never more than there are requests.
        hosts.retain(|_, slots| slots.strong_count() > 0);
        let slots = Arc::new(Semaphore::new(self.each));
        hosts.insert(host.to_owned(), Arc::downgrade(&slots));
        slots
    }
}
