//! Owns the session: one event at a time, facts on the disk before anything is sent or said.
//!
//! Whoever asks sends an event and waits for the reply. The work itself is detached: a caller that goes away ends
//! nothing, and there is never more than one refresh.

mod tell;

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt as _;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};

use crate::{
    clock::{Clock, Entropy},
    config::Config,
    conversation::Conversation,
    events,
    journal::{Journal, JournalError},
    key::{Held, KeyError, Keyring},
    session::{
        Action, Context, Event, Facts, Failure, Reply, ResetOutcome, Session, Unrecovered,
        Unrotated, Unsubscribed, Waiting,
    },
    surroundings::Standing,
    systemd::Pulse,
    trouble::{Code, Happened, Trouble},
};

/// Events that may wait for the actor before senders have to.
const MAILBOX: usize = 4_096;

/// The longest time between two looks at the wall clock: after a suspend, timers know nothing of the time that passed.
const LONGEST_NAP: i64 = 30;

/// How long a disk that refused is left alone, in seconds.
const DISK_PATIENCE: i64 = 5;

/// What the actor works with.
pub(crate) struct Means {
    /// The store.
    pub(crate) config: Arc<Config>,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
    /// Randomness.
    pub(crate) entropy: Arc<dyn Entropy>,
    /// The server.
    pub(crate) conversation: Arc<Conversation>,
    /// The disk.
    pub(crate) journal: Journal,
    /// The keys.
    pub(crate) keys: Arc<Keyring>,
    /// Where the state was found.
    pub(crate) standing: Standing,
    /// What the actor before this one could not save.
    pub(crate) leftovers: Leftovers,
    /// Tells the service manager that the actor is not stuck.
    pub(crate) pulse: Pulse,
}

/// What goes from one actor to the next: what the disk would not take, and the key, whose file may be lost.
#[derive(Debug, Default)]
pub(crate) struct Leftovers {
    /// The key in force.
    pub(crate) key: Option<Held>,
    /// Outcomes.
    unsaved: VecDeque<Event>,
    /// Since when the disk takes nothing, for status.
    refusal: Option<Happened>,
}

/// Why an actor has not replied.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Silence {
    /// The patience was over. What was begun goes on.
    Late,
    /// The actor has ended: the next one may be asked, or there will be none.
    Gone,
}

/// How others reach the actor.
#[derive(Clone)]
pub(crate) struct Handle {
    mailbox: mpsc::Sender<Letter>,
    published: watch::Receiver<Arc<Session>>,
    saving: Arc<AtomicBool>,
}

/// An event, and who waits for its reply.
struct Letter {
    event: Event,
    asker: Option<oneshot::Sender<Reply>>,
}

impl Handle {
    /// Sends an event and waits for the reply, `patience` long.
    pub(crate) async fn ask(&self, event: Event, patience: Duration) -> Result<Reply, Silence> {
        let (asker, reply) = oneshot::channel();
        let exchange = async {
            let letter = Letter { event, asker: Some(asker) };
            self.mailbox.send(letter).await.map_err(|_| Silence::Gone)?;
            reply.await.map_err(|_| Silence::Gone)
        };
        tokio::time::timeout(patience, exchange).await.unwrap_or(Err(Silence::Late))
    }

    /// The session as it is on the disk.
    pub(crate) fn session(&self) -> Arc<Session> {
        Arc::clone(&self.published.borrow())
    }

    /// Whether the actor waits for the disk at the moment.
    pub(crate) fn is_saving(&self) -> bool {
        self.saving.load(Ordering::Relaxed)
    }

    /// Sees every change of the session.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<Session>> {
        self.published.clone()
    }
}

/// The actor.
pub(crate) struct Actor {
    session: Session,
    config: Arc<Config>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    conversation: Arc<Conversation>,
    journal: Arc<Mutex<Journal>>,
    saving: Arc<AtomicBool>,
    keys: Arc<Keyring>,
    waiting: HashMap<Waiting, Vec<oneshot::Sender<Reply>>>,
    /// Outcomes that the disk would not take yet.
    unsaved: VecDeque<Event>,
    pulse: Pulse,
    /// What is being said to the server.
    steps: JoinSet<()>,
    /// The last save failed.
    disk_refused: bool,
    letters: mpsc::Receiver<Letter>,
    mailbox: mpsc::Sender<Letter>,
    published: watch::Sender<Arc<Session>>,
}

impl Actor {
    /// Makes the actor for the facts that were saved last.
    pub(crate) fn new(facts: Facts, means: Means) -> (Self, Handle) {
        let Leftovers { unsaved, refusal, key: _ } = means.leftovers;
        let disk_refused = refusal.is_some();
        let session = Session::resume(facts).found(means.standing).on_refusing_disk(refusal);
        if let Some(sign) = session.evidence(&means.config).first() {
            events::safe_mode(sign.code());
        }
        let (mailbox, letters) = mpsc::channel(MAILBOX);
        let (published, watcher) = watch::channel(Arc::new(session.clone()));
        let saving = Arc::default();
        let handle =
            Handle { mailbox: mailbox.clone(), published: watcher, saving: Arc::clone(&saving) };
        let actor = Self {
            session,
            config: means.config,
            clock: means.clock,
            entropy: means.entropy,
            conversation: means.conversation,
            journal: Arc::new(Mutex::new(means.journal)),
            saving,
            keys: means.keys,
            waiting: HashMap::new(),
            unsaved,
            pulse: means.pulse,
            steps: JoinSet::new(),
            disk_refused,
            letters,
            mailbox,
            published,
        };
        (actor, handle)
    }

    /// Works until `stop` comes; then its steps are broken off, and what it could not save is handed back.
    pub(crate) async fn run(mut self, stop: impl Future<Output = ()>) -> Leftovers {
        self.work(stop).await;
        self.steps.shutdown().await;
        let (key, refusal) = (self.keys.held(), self.session.disk_refusal());
        Leftovers { key, unsaved: self.unsaved, refusal }
    }

    async fn work(&mut self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        // Intents without a result are taken up first, but for those whose result is known.
        self.save_what_was_left().await;
        self.take(Letter { event: Event::Tick, asker: None }).await;
        loop {
            let nap = self.nap();
            let letter = tokio::select! {
                biased;
                () = &mut stop => return,
                () = self.pulse.keep() => return,
                letter = self.letters.recv() => letter,
                () = tokio::time::sleep(nap) => Some(Letter { event: Event::Tick, asker: None }),
            };
            let Some(letter) = letter else { return };
            self.take(letter).await;
        }
    }

    fn nap(&self) -> Duration {
        let now = self.clock.now();
        let due = self
            .session
            .next_due()
            .filter(|_| !self.session.is_in_safe_mode(&self.config))
            .map_or(LONGEST_NAP, |due| due.since(now));
        let due = if self.disk_refused { DISK_PATIENCE } else { due.clamp(1, LONGEST_NAP) };
        Duration::from_secs(due.unsigned_abs())
    }

    async fn take(&mut self, letter: Letter) {
        if letter.event.outcome_for().is_none() {
            self.save_what_was_left().await;
        }
        self.take_one(letter).await;
    }

    async fn save_what_was_left(&mut self) {
        for _ in 0..self.unsaved.len() {
            let Some(event) = self.unsaved.pop_front() else { return };
            self.take_one(Letter { event, asker: None }).await;
        }
    }

    async fn take_one(&mut self, Letter { event, asker }: Letter) {
        let mut next = self.session.clone();
        let waiting = event.waiting();
        let actions = next.apply(event.clone(), &self.context());
        // Whatever makes the server change something is begun only on a disk that takes what will come of it.
        if next.facts != self.session.facts || actions.iter().any(Action::is_step) {
            if let Err(error) = self.save(&next.facts).await {
                self.could_not_save(&error, event, asker);
                return;
            }
            if std::mem::take(&mut self.disk_refused) {
                events::storage_mended();
            }
            next.saved();
        }
        tell::tell(&event, &self.session.facts, &next.facts, &actions);
        self.session = next;
        self.keys.promote(&self.session.facts.keys.current);
        self.published.send_replace(Arc::new(self.session.clone()));
        self.carry_out(actions, asker, waiting);
    }

    async fn save(&self, facts: &Facts) -> Result<(), JournalError> {
        let (journal, facts, now) = (Arc::clone(&self.journal), facts.clone(), self.clock.now());
        // A disk that hangs must not hang those who only want the token that is in memory.
        self.saving.store(true, Ordering::Relaxed);
        let saving = tokio::task::spawn_blocking(move || {
            journal.lock().unwrap_or_else(PoisonError::into_inner).save(&facts, now)
        });
        let saved = saving.await;
        self.saving.store(false, Ordering::Relaxed);
        match saved {
            Ok(saved) => saved,
            Err(error) => Err(std::io::Error::other(error).into()),
        }
    }

    /// Nothing happened, as far as anybody is told; an outcome is kept until the disk takes it.
    fn could_not_save(
        &mut self,
        error: &JournalError,
        event: Event,
        asker: Option<oneshot::Sender<Reply>>,
    ) {
        if !std::mem::replace(&mut self.disk_refused, true) {
            events::storage_failed(error);
        }
        let trouble = Trouble::of(Code::StorageFailed);
        let now = self.clock.now();
        for action in self.session.could_not_save(&trouble, now) {
            if let Action::Settle(waiting, reply) = action {
                self.settle(waiting, &reply);
            }
        }
        self.published.send_replace(Arc::new(self.session.clone()));
        if let Some(asker) = asker {
            let _ = asker.send(Err(trouble.clone()));
        }
        if let Some(waiting) = event.outcome_for() {
            self.settle(waiting, &Err(trouble.clone()));
            if matches!(event, Event::Rotated { .. }) {
                // It brought tokens, too.
                self.settle(Waiting::Token, &Err(trouble));
            }
            self.unsaved.push_back(event);
        }
    }

    fn carry_out(
        &mut self,
        actions: Vec<Action>,
        mut asker: Option<oneshot::Sender<Reply>>,
        waiting: Option<Waiting>,
    ) {
        let answered = actions.iter().any(|action| matches!(action, Action::Reply(_)));
        if !answered && let (Some(asker), Some(waiting)) = (asker.take(), waiting) {
            if self.disk_refused && !self.unsaved.is_empty() {
                // What is waited for may have come, and the disk does not take it: who waits is told at once.
                let _ = asker.send(Err(Trouble::of(Code::StorageFailed)));
            } else {
                self.waiting.entry(waiting).or_default().push(asker);
            }
        }
        for action in actions {
            match action {
                Action::Reply(reply) => {
                    if let Some(asker) = asker.take() {
                        let _ = asker.send(reply);
                    }
                }
                Action::Settle(waiting, reply) => self.settle(waiting, &reply),
                step => self.begin(step),
            }
        }
    }

    fn settle(&mut self, waiting: Waiting, reply: &Reply) {
        for waiter in self.waiting.remove(&waiting).unwrap_or_default() {
            let _ = waiter.send(reply.clone());
        }
    }

    /// Starts a step of the conversation with the server. It runs by itself and its outcome comes as an event.
    fn begin(&mut self, step: Action) {
        while self.steps.try_join_next().is_some() {}
        let conversation = Arc::clone(&self.conversation);
        let broken = Trouble::of(Code::Internal);
        match step {
            Action::Reply(_) | Action::Settle(..) => {}
            Action::Register(order) => {
                let event = move |outcome| Event::Registered { connect: order.connect, outcome };
                self.detach(async move { conversation.register(order).await }, Err(broken), event);
            }
            Action::Push(order) => {
                let connect = order.connect;
                let event = move |outcome| Event::Pushed { connect, outcome };
                self.detach(async move { conversation.push(&order).await }, Err(broken), event);
            }
            Action::Redeem(exchange) => {
                let idempotency_key = exchange.idempotency_key.clone();
                let event = |outcome| Event::Redeemed { idempotency_key, outcome };
                let step = async move { conversation.redeem(&exchange).await };
                self.detach(step, Err(Failure::Passing(broken)), event);
            }
            Action::Refresh(order) => {
                let family = order.family;
                let event = move |outcome| Event::Refreshed { family, outcome };
                let step = async move { conversation.refresh(&order).await };
                self.detach(step, Err(Failure::Passing(broken)), event);
            }
            Action::Recover(order) => {
                let idempotency_key = order.idempotency_key.clone();
                let event = |outcome| Event::Recovered { idempotency_key, outcome };
                let step = async move { conversation.recover(&order).await };
                self.detach(step, Err(Unrecovered::Passing(broken)), event);
            }
            Action::StageKey => {
                let (keys, entropy) = (Arc::clone(&self.keys), Arc::clone(&self.entropy));
                let event = |outcome| Event::KeyStaged { outcome };
                self.detach(blocking(move || keys.stage(&*entropy)), Err(broken), event);
            }
            Action::DestroyKey(key) => {
                let keys = Arc::clone(&self.keys);
                let event = move |outcome| Event::KeyDestroyed { key, outcome };
                self.detach(blocking(move || keys.destroy(&key)), Err(broken), event);
            }
            Action::Rotate(order) => {
                let idempotency_key = order.idempotency_key.clone();
                let event = |outcome| Event::Rotated { idempotency_key, outcome };
                let step = async move { conversation.rotate(&order).await };
                self.detach(step, Err(Unrotated::Passing(broken)), event);
            }
            Action::Reset(order) => {
                let reset_key = order.disconnect.reset_key.clone();
                let event = |outcome| Event::ResetFinished { reset_key, outcome };
                let step = async move { conversation.reset(&order).await };
                self.detach(step, ResetOutcome::Failed(broken), event);
            }
            Action::Subscribe(order) => {
                let idempotency_key = order.idempotency_key.clone();
                let event = |outcome| Event::Subscribed { idempotency_key, outcome };
                let step = async move { conversation.subscribe(&order).await };
                self.detach(step, Err(Unsubscribed::Failed(Failure::Passing(broken))), event);
            }
        }
    }

    fn detach<T: Send + 'static>(
        &mut self,
        step: impl Future<Output = T> + Send + 'static,
        broken: T,
        event: impl FnOnce(T) -> Event + Send + 'static,
    ) {
        let mailbox = self.mailbox.clone();
        self.steps.spawn(async move {
            // A step that panics must not leave the session waiting for ever.
            let outcome = AssertUnwindSafe(step).catch_unwind().await.unwrap_or(broken);
            let _ = mailbox.send(Letter { event: event(outcome), asker: None }).await;
        });
    }

    fn context(&self) -> Context<'_> {
        Context { config: &self.config, now: self.clock.now(), entropy: &*self.entropy }
    }
}

/// Does something with the keys where it may take its time.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, KeyError> + Send + 'static,
) -> Result<T, Trouble> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => {
            tracing::error!(%error, "the keys cannot be changed");
            Err(Trouble::of(Code::StorageFailed))
        }
        Err(_) => Err(Trouble::of(Code::Internal)),
    }
}
