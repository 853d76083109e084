//! What must hold of everything that arrived, whatever happened on the way.

use receiver::{Receiver, Settings, Token};

use crate::canary;
use crate::workspace::{self, ORGS, SHARED_TOKEN};

/// A strict collector with the tokens of all sinks of a [`crate::workspace::Workspace`]; each organisation's own may
/// carry its records only.
#[must_use]
pub fn collector() -> Settings {
    let mut settings = Settings::enterprise().token(Token::new(SHARED_TOKEN));
    for (name, id) in ORGS {
        settings = settings.token(Token::for_orgs(&workspace::token(name), [id]));
    }
    settings
}

/// Nothing foreign, missing, invented or changed; every canary is its own organisation's.
///
/// # Panics
/// When something of that is not so.
pub fn assert_sound(receiver: &Receiver) {
    let complaints = receiver.report().complaints();
    assert!(complaints.is_empty(), "{complaints:#?}");
    for indexed in receiver.indexed() {
        let event = indexed.event();
        let Some(mark) = event["request"]["id"].as_str().filter(|mark| mark.starts_with("canary-")) else {
            continue;
        };
        let (id, org) = (event["id"].as_str().unwrap(), event["org_id"].as_str().unwrap());
        let name = ORGS.iter().find(|(_, known)| *known == org).unwrap().0;
        assert_eq!(mark, canary::mark(name, id), "the payload is another's: {event}");
    }
}

/// How many different records of an organisation arrived under a token.
#[must_use]
pub fn arrived(receiver: &Receiver, token: &str, org: &str) -> u64 {
    receiver.with_audit(|audit| audit.feed(token, org).map_or(0, |feed| feed.len() as u64))
}

/// The seqs of an organisation under a token in the order in which they first arrived.
#[must_use]
pub fn order(receiver: &Receiver, token: &str, org: &str) -> Vec<u64> {
    let mut seen = std::collections::BTreeSet::new();
    receiver
        .indexed()
        .iter()
        .filter(|indexed| indexed.token == token)
        .map(receiver::Indexed::event)
        .filter(|event| event["org_id"] == org)
        .filter_map(|event| event["seq"].as_u64())
        .filter(|seq| seen.insert(*seq))
        .collect()
}
