//! What sort of collector to be, and for whom.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Which product to behave like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Splunk Enterprise 10: 413 over the cap, code 10 for a missing channel.
    Enterprise,
    /// Splunk Cloud: code 6 naming object 0 over the cap, code 28 for a missing channel.
    Cloud,
    /// Vector's `splunk_hec` source: fewer codes, `time` sticks from object to object.
    VectorLike,
    /// The OpenTelemetry receiver: all or nothing, tokens ignored, bodies are JSON strings.
    OtelLike,
    /// Fluent Bit's `in_splunk`: few codes, no event number, no acknowledgement.
    FluentBitLike,
    /// Accepts everything: for load.
    Lenient,
}

/// How much to remember of what arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Every indexed event with its text and every request, and the audit.
    Everything,
    /// The audit only: per record its id, seq and a hash.
    Audit,
    /// Counts and latencies only, without parsing JSON. The body is judged by nothing.
    Counts,
}

/// One token that the collector accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The secret after `Authorization: Splunk `.
    pub secret: String,
    /// Code 1 while set.
    pub disabled: bool,
    /// The indexes that events may name; `None` allows any.
    pub indexes: Option<BTreeSet<String>>,
    /// The index of events that name none.
    pub default_index: String,
    /// Indexer acknowledgement: a channel is needed and answers carry `ackId`.
    pub use_ack: bool,
    /// The organisations whose records may come with this token, for the audit; `None` allows all.
    pub orgs: Option<BTreeSet<String>>,
}

impl Token {
    /// An enabled token without restrictions.
    #[must_use]
    pub fn new(secret: &str) -> Self {
        Self {
            secret: secret.to_owned(),
            disabled: false,
            indexes: None,
            default_index: "main".to_owned(),
            use_ack: false,
            orgs: None,
        }
    }

    /// The same, for the records of these organisations only.
    #[must_use]
    pub fn for_orgs<'a>(secret: &str, orgs: impl IntoIterator<Item = &'a str>) -> Self {
        Self { orgs: Some(orgs.into_iter().map(str::to_owned).collect()), ..Self::new(secret) }
    }

    /// Allows these indexes only.
    #[must_use]
    pub fn with_indexes<'a>(mut self, indexes: impl IntoIterator<Item = &'a str>) -> Self {
        self.indexes = Some(indexes.into_iter().map(str::to_owned).collect());
        self
    }

    /// Switches indexer acknowledgement on.
    #[must_use]
    pub fn with_ack(mut self) -> Self {
        self.use_ack = true;
        self
    }

    pub(crate) fn allows_index(&self, index: &str) -> bool {
        self.indexes.as_ref().is_none_or(|allowed| allowed.contains(index))
    }

    pub(crate) fn allows_org(&self, org: &str) -> bool {
        self.orgs.as_ref().is_none_or(|allowed| allowed.contains(org))
    }
}

/// How acknowledgement ids behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckPolicy {
    /// `true` this long after the POST, once.
    After(Duration),
    /// Never `true`.
    Never,
}

/// A whole collector.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which product.
    pub mode: Mode,
    /// How much to remember.
    pub keep: Keep,
    /// Bytes of a body, before and after decompression, at most.
    pub max_body: usize,
    /// The tokens by their secrets. Empty, and every non-empty token is good.
    pub tokens: BTreeMap<String, Token>,
    /// When acknowledgements come.
    pub acks: AckPolicy,
    /// 0 for a free port. [`Receiver::start_again`](crate::Receiver::start_again) keeps the port of the first start.
    pub port: u16,
}

impl Settings {
    /// The collector that `mode` names, with its measured body cap, and any token good.
    #[must_use]
    pub fn new(mode: Mode) -> Self {
        let max_body = match mode {
            Mode::Cloud => 5_242_881,
            _ => 838_860_800,
        };
        Self {
            mode,
            keep: Keep::Everything,
            max_body,
            tokens: BTreeMap::new(),
            acks: AckPolicy::After(Duration::from_secs(1)),
            port: 0,
        }
    }

    /// Splunk Enterprise.
    #[must_use]
    pub fn enterprise() -> Self {
        Self::new(Mode::Enterprise)
    }

    /// Accepts everything and only counts.
    #[must_use]
    pub fn load() -> Self {
        Self { keep: Keep::Counts, ..Self::new(Mode::Lenient) }
    }

    /// Adds a token.
    #[must_use]
    pub fn token(mut self, token: Token) -> Self {
        self.tokens.insert(token.secret.clone(), token);
        self
    }

    /// How much to remember.
    #[must_use]
    pub fn keep(mut self, keep: Keep) -> Self {
        self.keep = keep;
        self
    }

    /// Another body cap.
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    pub(crate) fn find_token(&self, secret: &str) -> Option<&Token> {
        self.tokens.get(secret)
    }
}
