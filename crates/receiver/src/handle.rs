//! The handle: start, stop, pause, script, and what was seen.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use flow::clock::Clock;
use tokio::sync::watch;

use crate::audit::Report;
use crate::fault::Fault;
use crate::ledger::{Indexed, RequestNote, Totals};
use crate::server::Running;
use crate::settings::{AckPolicy, Mode, Settings, Token};
use crate::state::State;

/// A collector on loopback. Dropping it stops it.
#[derive(Debug)]
pub struct Receiver {
    state: Arc<State>,
    addr: SocketAddr,
    running: tokio::sync::Mutex<Option<Running>>,
}

impl Receiver {
    /// Binds 127.0.0.1 and serves from tasks of the current runtime.
    ///
    /// # Errors
    /// The port cannot be bound.
    pub async fn start(settings: Settings) -> io::Result<Self> {
        Self::start_with(settings, Clock::system()).await
    }

    /// The same, with another clock.
    ///
    /// # Errors
    /// The port cannot be bound.
    pub async fn start_with(settings: Settings, clock: Clock) -> io::Result<Self> {
        let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, settings.port));
        let state = Arc::new(State::new(settings, clock));
        let running = Running::bind(wanted, Arc::clone(&state)).await?;
        let addr = running.addr();
        Ok(Self { state, addr, running: tokio::sync::Mutex::new(Some(running)) })
    }

    /// The address, the same after every start.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The base URL, as a sink's `endpoint` wants it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Closes the port and every connection; what was seen stays. A stopped collector refuses connections.
    pub async fn stop(&self) {
        if let Some(running) = self.running.lock().await.take() {
            running.stop().await;
        }
    }

    /// Whether it serves.
    pub async fn is_running(&self) -> bool {
        self.running.lock().await.is_some()
    }

    /// Serves again on the same port.
    ///
    /// # Errors
    /// The port was taken by somebody else meanwhile.
    pub async fn start_again(&self) -> io::Result<()> {
        let mut running = self.running.lock().await;
        if running.is_none() {
            *running = Some(Running::bind(self.addr, Arc::clone(&self.state)).await?);
        }
        Ok(())
    }

    /// Lets every request wait before its body is read, as a stalled server does.
    pub fn pause(&self) {
        self.state.paused.send_replace(true);
    }

    /// Goes on with the requests that wait.
    pub fn resume(&self) {
        self.state.paused.send_replace(false);
    }

    /// Adds faults for the next requests, one each, after those that are still to come.
    pub fn script(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state.script.lock().next.extend(faults);
    }

    /// A fault for every request that the script has none for, until `None`.
    pub fn always(&self, fault: Option<Fault>) {
        self.state.script.lock().always = fault;
    }

    /// How many scripted faults are still to come.
    #[must_use]
    pub fn scripted(&self) -> usize {
        self.state.script.lock().next.len()
    }

    /// Changes the settings; requests that are being judged keep the old ones.
    pub fn change(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.state.settings.write());
    }

    /// Behaves like another product from the next request on.
    pub fn set_mode(&self, mode: Mode) {
        self.change(|settings| settings.mode = mode);
    }

    /// Changes one token, if it exists: disables it, allows another index, …
    pub fn change_token(&self, secret: &str, change: impl FnOnce(&mut Token)) {
        self.change(|settings| {
            if let Some(token) = settings.tokens.get_mut(secret) {
                change(token);
            }
        });
    }

    /// Gives a token another secret; the old one is unknown from then on.
    pub fn rotate_token(&self, old: &str, new: &str) {
        self.change(|settings| {
            if let Some(token) = settings.tokens.remove(old) {
                settings.tokens.insert(new.to_owned(), Token { secret: new.to_owned(), ..token });
            }
        });
    }

    /// Another acknowledgement policy.
    pub fn set_acks(&self, policy: AckPolicy) {
        self.change(|settings| settings.acks = policy);
    }

    /// Loses all acknowledgement ids, as a restarted indexer does.
    pub fn forget_acks(&self) {
        self.state.acks.lock().forget();
    }

    /// What was indexed, in order. Empty unless [`crate::Keep::Everything`].
    #[must_use]
    pub fn indexed(&self) -> Vec<Indexed> {
        self.state.seen.lock().indexed.clone()
    }

    /// The same, and forgets them: the audit and the counts stay. For runs whose events do not fit into memory.
    #[must_use]
    pub fn take_indexed(&self) -> Vec<Indexed> {
        std::mem::take(&mut self.state.seen.lock().indexed)
    }

    /// The requests, in order of their heads. Empty unless [`crate::Keep::Everything`].
    #[must_use]
    pub fn requests(&self) -> Vec<RequestNote> {
        self.state.seen.lock().requests.clone()
    }

    /// The counts.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.state.seen.lock().totals()
    }

    /// Looks at the audit without copying it. `look` must be short: requests wait meanwhile.
    pub fn with_audit<T>(&self, look: impl FnOnce(&crate::Audit) -> T) -> T {
        look(&self.state.seen.lock().audit)
    }

    /// Judges all records that arrived. Empty in [`crate::Keep::Counts`].
    #[must_use]
    pub fn report(&self) -> Report {
        self.with_audit(crate::Audit::report)
    }

    /// Forgets what was seen: counts, events, requests, audit.
    pub fn reset(&self) {
        self.state.seen.lock().clear();
    }

    /// Waits until at least `events` were indexed since the start (or reset), at most `patience`. Says whether.
    pub async fn wait_for_events(&self, events: u64, patience: Duration) -> bool {
        self.wait_until(patience, |totals| totals.events >= events).await
    }

    /// Waits until `enough` holds, at most `patience`. Says whether. Looked at when a request arrives and when it is judged.
    pub async fn wait_until(&self, patience: Duration, enough: impl Fn(&Totals) -> bool) -> bool {
        let mut changed = self.watch();
        let wait = async {
            while !enough(&self.totals()) {
                if changed.changed().await.is_err() {
                    break;
                }
            }
        };
        tokio::time::timeout(patience, wait).await.is_ok()
    }

    /// Changes when a request arrives and when it is judged; holds the number of events indexed so far.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.state.progress.subscribe()
    }
}
