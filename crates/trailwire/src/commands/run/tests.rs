use std::future::{pending, ready};

use super::*;

#[tokio::test]
async fn a_reload_that_waits_does_not_hide_the_end() {
    assert!(is_told_to_stop(pending(), ready(())).await);
    assert!(!is_told_to_stop(ready(()), pending()).await);
}
