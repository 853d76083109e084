//! Producers that send without pause and keep what was acknowledged; what was not, they send again.

use std::collections::HashMap;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::canary;
use crate::http::Client;
use crate::producer::rfc3339_now;
use crate::workspace::{ORGS, PRODUCER_TOKEN};

/// Producers at a time.
const PRODUCERS: usize = 2;

/// Organisation (its place in [`ORGS`]) and id of each event.
type Batch = Vec<(usize, String)>;

/// What was sent and what of it was acknowledged, over all lives of the daemon.
#[derive(Debug)]
pub struct Load {
    /// Acknowledged ids with their organisation.
    acknowledged: Mutex<HashMap<String, usize>>,
    /// Ids that were sent at all: nothing else may arrive.
    sent: Mutex<HashMap<String, usize>>,
    next: AtomicU64,
    /// The time of every event: a resend must be equal to the first copy, or it would be another event of that id.
    time: String,
    batch: u64,
    unanswered: Mutex<Vec<Batch>>,
}

/// Why a batch was not acknowledged.
enum Unanswered {
    /// The daemon said: later, in these words.
    Busy(String),
    /// The connection broke.
    Gone,
}

impl Load {
    /// Events in batches of `batch`.
    #[must_use]
    pub fn new(batch: u64) -> Self {
        Self {
            acknowledged: Mutex::default(),
            sent: Mutex::default(),
            next: AtomicU64::new(0),
            time: rfc3339_now(),
            batch,
            unanswered: Mutex::default(),
        }
    }

    /// Lets the producers send until `until` returns, or the daemon is gone.
    ///
    /// # Panics
    /// When the daemon answers what it should not, or not at all.
    pub fn run(&self, url: &str, until: impl FnOnce()) {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..PRODUCERS {
                scope.spawn(|| self.produce(url, &stop));
            }
            until();
            stop.store(true, Ordering::SeqCst);
        });
    }

    /// Sends what is left, which a healthy daemon takes.
    ///
    /// # Panics
    /// When it does not.
    pub fn finish(&self, url: &str) {
        let mut client = Client::new(url);
        loop {
            let Some(batch) = self.unanswered.lock().unwrap().pop() else { return };
            match self.send(&mut client, batch) {
                Ok(()) => {}
                Err(Unanswered::Busy(text)) => panic!("a healthy daemon takes what was left: {text}"),
                Err(Unanswered::Gone) => panic!("a healthy daemon takes what was left: it is gone"),
            }
        }
    }

    /// How many events of each organisation were acknowledged.
    #[must_use]
    pub fn acknowledged_by_org(&self) -> [u64; ORGS.len()] {
        let mut counts = [0; ORGS.len()];
        for org in self.acknowledged.lock().unwrap().values() {
            counts[*org] += 1;
        }
        counts
    }

    /// Acknowledged ids, and all that were sent.
    ///
    /// # Panics
    /// When a producer has panicked.
    #[must_use]
    pub fn books(&self) -> (HashMap<String, usize>, HashMap<String, usize>) {
        (self.acknowledged.lock().unwrap().clone(), self.sent.lock().unwrap().clone())
    }

    /// The time of every event.
    #[must_use]
    pub fn time(&self) -> &str {
        &self.time
    }

    fn produce(&self, url: &str, stop: &AtomicBool) {
        let mut client = Client::new(url);
        while !stop.load(Ordering::SeqCst) {
            let left = self.unanswered.lock().unwrap().pop();
            match self.send(&mut client, left.unwrap_or_else(|| self.fresh())) {
                Ok(()) | Err(Unanswered::Busy(_)) => {}
                Err(Unanswered::Gone) => return,
            }
        }
    }

    fn fresh(&self) -> Batch {
        let first = self.next.fetch_add(self.batch, Ordering::SeqCst);
        let ids = first..first + self.batch;
        ids.map(|number| ((number % ORGS.len() as u64) as usize, format!("evt-{number}"))).collect()
    }

    /// Sends a batch, which is kept for later when it is not acknowledged.
    fn send(&self, client: &mut Client, batch: Batch) -> Result<(), Unanswered> {
        let mut body = String::new();
        {
            let mut sent = self.sent.lock().unwrap();
            for (org, id) in &batch {
                sent.insert(id.clone(), *org);
                body.push_str(&canary::event(ORGS[*org], id, &self.time));
                body.push('\n');
            }
        }
        let authorization = format!("Bearer {PRODUCER_TOKEN}");
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/x-ndjson")];
        let fault = match client.send("POST", "/v1/events", &headers, body.as_bytes()) {
            Ok(reply) if reply.status == 200 => {
                let answer = reply.json();
                let taken = answer["accepted"].as_u64().unwrap() + answer["duplicates"].as_u64().unwrap();
                assert_eq!(taken, batch.len() as u64, "{answer}");
                self.acknowledged.lock().unwrap().extend(batch.into_iter().map(|(org, id)| (id, org)));
                return Ok(());
            }
            Ok(reply) => {
                let text = String::from_utf8_lossy(&reply.body);
                assert!(reply.status == 503, "unexpected answer {}: {text}", reply.status);
                Unanswered::Busy(text.into_owned())
            }
            Err(error) => {
                let hangs = matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
                assert!(!hangs, "the daemon lives and does not answer: {error}");
                Unanswered::Gone
            }
        };
        self.unanswered.lock().unwrap().push(batch);
        Err(fault)
    }
}
