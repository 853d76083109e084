//! The compile step of `producers`.

use std::collections::HashMap;

use event::Kind;
use event::record::AssertedBy;

use super::Producer;
use super::raw::{RawAssertedBy, RawProducer};
use crate::problem::Severity;
use crate::scope::Scope;
use crate::selection::Selection;
use crate::sink::{BAD_NAME, compile_orgs, is_name};
use crate::token::TokenHash;

/// A token with fewer characters can be guessed.
const SHORT_TOKEN: usize = 20;

/// Checks all producers; those that are wrong are left out and noted.
pub(super) fn compile(scope: &mut Scope<'_>, raw: Vec<(String, RawProducer)>) -> Vec<Producer> {
    let mut producers = Vec::with_capacity(raw.len());
    let mut tokens: HashMap<[u8; 32], String> = HashMap::new();
    for (name, raw) in raw {
        let key = format!("producers.{name}");
        if !is_name(&name) {
            scope.error_with_hint(&key, BAD_NAME, "such as gateway");
            continue;
        }
        let Some(producer) = one(scope, &key, name, raw) else { continue };
        match producer.tokens.iter().find_map(|token| tokens.get(token.as_bytes())) {
            Some(other) => {
                let hint = "give each producer a token of its own: the token says who is sending";
                scope.error_with_hint(&key, format!("has the same token as the producer {other}"), hint);
            }
            None => {
                tokens.extend(producer.tokens.iter().map(|token| (*token.as_bytes(), producer.name.clone())));
                producers.push(producer);
            }
        }
    }
    producers
}

fn one(scope: &mut Scope<'_>, key: &str, name: String, raw: RawProducer) -> Option<Producer> {
    let RawProducer { token, token_sha256, token_next, token_next_sha256, orgs, kinds, apps, asserted_by } =
        raw;
    let now = token_at(scope, key, "token", token, token_sha256);
    // Nothing is missing when only one is written.
    let has_next = token_next.is_some() || token_next_sha256.is_some();
    let next = has_next.then(|| token_at(scope, key, "token_next", token_next, token_next_sha256));
    let orgs_key = format!("{key}.orgs");
    let orgs = scope.require(&orgs_key, orgs).and_then(|orgs| compile_orgs(scope, &orgs_key, &orgs.0));
    let kinds_key = format!("{key}.kinds");
    let kinds = scope.require(&kinds_key, kinds).and_then(|kinds| compile_kinds(scope, &kinds_key, kinds.0));
    let apps = apps.map_or(Selection::All, |apps| apps.0);
    if apps == Selection::These(Vec::new()) {
        let hint = "write \"*\" for all apps, or leave the key out";
        scope.error_with_hint(&format!("{key}.apps"), "the list is empty", hint);
        return None;
    }
    let asserted_by = match asserted_by {
        None | Some(RawAssertedBy::Platform) => AssertedBy::Platform,
        Some(RawAssertedBy::Proxy) => AssertedBy::Proxy,
        Some(RawAssertedBy::Vendor) => AssertedBy::Vendor,
    };
    let now = now?;
    let next = match next {
        // The same twice is how a change of tokens ends.
        Some(next) => Some(next?).filter(|next| next.as_bytes() != now.as_bytes()),
        None => None,
    };
    let tokens = [Some(now), next].into_iter().flatten().collect();
    Some(Producer { name, tokens, orgs: orgs?, kinds: kinds?, apps, asserted_by })
}

/// The hash of one of a producer's tokens: written as a reference (`word`) or as its SHA-256 (`word` and `_sha256`).
fn token_at(
    scope: &mut Scope<'_>,
    key: &str,
    word: &str,
    token: Option<crate::SecretRef>,
    sha256: Option<String>,
) -> Option<TokenHash> {
    let hash_key = format!("{key}.{word}_sha256");
    match (token, sha256) {
        (Some(_), Some(_)) => {
            scope.error(&hash_key, format!("only one of {word} and {word}_sha256 can be written"));
            None
        }
        (None, Some(digits)) => {
            let hash = TokenHash::from_hex(&digits);
            if hash.is_none() {
                scope.error(&hash_key, "expected 64 hexadecimal digits");
            }
            hash
        }
        (token, None) => hashed(scope, &format!("{key}.{word}"), token),
    }
}

/// The hash of the token that `reference` names. The operator's secrets are read at the start.
pub(super) fn hashed(scope: &mut Scope<'_>, key: &str, token: Option<crate::SecretRef>) -> Option<TokenHash> {
    let secret = scope.secret_now(key, token)?;
    let token = secret.expose();
    if !token.bytes().all(|b| b.is_ascii_graphic()) {
        scope.error(key, "a bearer token has only visible ASCII characters, without spaces");
        return None;
    }
    if token.len() < SHORT_TOKEN {
        let hint = "make one with `openssl rand -hex 32`";
        scope.warn(key, format!("a token of fewer than {SHORT_TOKEN} characters can be guessed"), hint);
    }
    Some(TokenHash::of(token))
}

fn compile_kinds(scope: &mut Scope<'_>, key: &str, raw: Selection<String>) -> Option<Selection<Kind>> {
    let Selection::These(names) = raw else { return Some(Selection::All) };
    let mut kinds = Vec::new();
    for (index, name) in names.iter().enumerate() {
        match Kind::from_raw_name(name) {
            Some(kind) => kinds.push(kind),
            None => {
                let what = "expected api_call, lifecycle, app_event or audit_event";
                scope.note_item(Severity::Error, key, index, what.to_owned());
            }
        }
    }
    if names.is_empty() {
        scope.error_with_hint(key, "the list is empty", "write \"*\" for all kinds");
    }
    (kinds.len() == names.len() && !names.is_empty()).then_some(Selection::These(kinds))
}
