use proptest::prelude::*;

use super::*;

const LINE: &str =
    "{\"time\":1.500,\"event\":{\"org_id\":\"acme\",\"received_at\":\"1970-01-01T00:00:01.000Z\"}}";

fn scan(frames: &[&[u8]], orgs: Option<&BTreeSet<String>>) -> (Tally, Meters) {
    let (mut tally, mut meters) = (Tally::default(), Meters::default());
    for frame in frames {
        Scanner::default().frame(frame, orgs, UnixMillis(2_000), &mut tally, &mut meters);
    }
    (tally, meters)
}

#[test]
fn both_times_and_the_organisation_are_looked_at() {
    let body = format!("{LINE}\n{LINE}");
    let acme = BTreeSet::from(["acme".to_owned()]);
    let (tally, meters) = scan(&[body.as_bytes()], Some(&acme));
    assert_eq!((tally.events(), tally.foreign), (2, 0));
    let (ingest, event) = (meters.from_ingest.latency(), meters.from_event.latency());
    assert_eq!((ingest.count, event.count), (2, 2));
    // Two digits of precision.
    assert!((990..=1_010).contains(&ingest.p50), "{ingest:?}");
    assert!((495..=505).contains(&event.p50), "{event:?}");
    let (tally, _) = scan(&[body.as_bytes()], Some(&BTreeSet::from(["borealis".to_owned()])));
    assert_eq!(tally.foreign, 1);
}

proptest! {
    #[test]
    fn events_are_counted_however_the_frames_are_cut(
        events in 0_usize..6, last_newline: bool, cuts in prop::collection::vec(0_usize..600, 0..8)
    ) {
        let mut body = vec![LINE; events].join("\n");
        if last_newline && events > 0 {
            body.push('\n');
        }
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(body.len())).collect();
        cuts.push(0);
        cuts.push(body.len());
        cuts.sort_unstable();
        let frames: Vec<&[u8]> = cuts.windows(2).map(|pair| &body.as_bytes()[pair[0]..pair[1]]).collect();
        let (tally, meters) = scan(&frames, None);
        prop_assert_eq!(tally.events(), events as u64);
        prop_assert!(meters.from_ingest.latency().count <= events as u64);
    }
}
