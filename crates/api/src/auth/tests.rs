use http::HeaderValue;

use super::*;
use crate::tests::fixture::grant;

fn producer(name: &str, tokens: &[&str]) -> Producer {
    Producer {
        grant: grant(name),
        tokens: tokens.iter().map(|token| TokenHash::of(token.as_bytes())).collect(),
    }
}

#[test]
fn each_token_finds_its_producer_and_nothing_else_does() {
    let producers = Producers::new(vec![producer("a", &["one", "two"]), producer("b", &["three"])]);
    let name = |token: &str| producers.find(token.as_bytes()).map(|found| found.grant.producer().to_owned());
    assert_eq!(name("one").as_deref(), Some("a"));
    assert_eq!(name("two").as_deref(), Some("a"));
    assert_eq!(name("three").as_deref(), Some("b"));
    for wrong in ["", "on", "one ", "ONE", "four"] {
        assert_eq!(name(wrong), None, "{wrong:?}");
    }
    assert!(!producers.is_empty());
    assert!(Producers::default().is_empty());
}

#[test]
fn two_tokens_of_a_producer_share_its_memory() {
    let producers = Producers::new(vec![producer("a", &["one", "two"])]);
    let (one, two) = (producers.find(b"one").unwrap(), producers.find(b"two").unwrap());
    assert!(Arc::ptr_eq(&one.share, &two.share));
}

#[test]
fn a_digest_from_the_configuration_is_the_token_it_stands_for() {
    // printf test | sha256sum
    let digest = hex::decode("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08").unwrap();
    let hash = TokenHash::from_digest(digest.try_into().unwrap());
    assert!(hash.matches(&TokenHash::of(b"test")));
    assert!(!hash.matches(&TokenHash::of(b"tesT")));
    assert_eq!(format!("{hash:?}"), "TokenHash(…)", "not even the hash is printed");
}

#[test]
fn the_bearer_header_is_read_strictly() {
    let read = |values: &[&str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        bearer(&headers).map(<[u8]>::to_vec)
    };
    assert_eq!(read(&["Bearer abc"]), Ok(b"abc".to_vec()));
    assert_eq!(read(&["bEARER   abc "]), Ok(b"abc".to_vec()));
    assert_eq!(read(&[]), Err(NoToken::Missing));
    for wrong in [&["Basic abc"][..], &["Bearer"], &["Bearer  "], &["abc"], &["Bearer a", "Bearer a"]] {
        assert_eq!(read(wrong), Err(NoToken::NotBearer), "{wrong:?}");
    }
}
