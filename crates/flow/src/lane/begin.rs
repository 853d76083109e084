//! Where a new lane begins: a row, and the next seq of each of its organisations at that row.

use std::sync::Arc;
use std::time::Duration;

use event::OrgId;

use super::Begin;
use super::core::{Beginning, Begun, Wanted};
use crate::clock::{Clock, UnixMillis};
use crate::lane_starts::Starts;
use crate::log::{LogBackend, Scope};
use crate::status::{Stamps, extent_between};
use crate::units::{PartitionId, Row, Seq};

/// An owner whose queue is full is asked again after this.
const AGAIN: Duration = Duration::from_millis(100);

/// Finds the beginnings of all new lanes of a partition, at one moment. `None` when the owner has stopped, and with it
/// the process.
pub(super) async fn find(
    log: Arc<dyn LogBackend>,
    clock: Clock,
    partition: PartitionId,
    wanted: Vec<Wanted>,
) -> Option<Vec<Begun>> {
    let stamps = loop {
        match log.org_seqs(partition, Scope::All).await {
            Ok((end, seqs)) => break Stamps::new(end, seqs),
            Err(crate::log::AppendFault::Busy(_)) => clock.sleep_until(clock.now().instant + AGAIN).await,
            Err(fault) => {
                tracing::error!(%fault, "new sinks cannot begin");
                return None;
            }
        }
    };
    let find = move || wanted.into_iter().map(|lane| begin(&log, partition, lane, &stamps)).collect();
    tokio::task::spawn_blocking(find).await.ok()
}

fn begin(log: &Arc<dyn LogBackend>, partition: PartitionId, wanted: Wanted, stamps: &Stamps) -> Begun {
    let Wanted { sink, scope, from } = wanted;
    let row = match from {
        Beginning::New(Begin::Earliest) => Row(0),
        Beginning::New(Begin::End) => stamps.end,
        Beginning::New(Begin::Time(time)) => row_at(log, partition, time, stamps.end),
        Beginning::Known(row) => row,
    };
    let mut seqs = if row == Row(0) { Vec::new() } else { seqs_at_end(&scope, stamps) };
    if row < stamps.end {
        for (org, seq) in &mut seqs {
            // Seqs are dense: its records from `row` on are the last ones.
            let one = Scope::one(org.clone());
            seq.0 = seq.0.saturating_sub(extent_between(log, partition, &one, row, stamps.end).rows);
        }
    }
    seqs.retain(|(_, seq)| seq.0 > 0);
    Begun { sink, row, starts: Starts::new(&seqs) }
}

fn seqs_at_end(scope: &Scope, stamps: &Stamps) -> Vec<(OrgId, Seq)> {
    match scope {
        Scope::All => stamps.next.iter().map(|(org, seq)| (org.clone(), *seq)).collect(),
        Scope::Orgs(orgs) => orgs
            .iter()
            .filter_map(|org| stamps.next.get_key_value(org))
            .map(|(org, seq)| (org.clone(), *seq))
            .collect(),
    }
}

/// The first row that can be read of the first block that was written at or after `time`: who asks for a time does not
/// ask for what had been removed before.
fn row_at(log: &Arc<dyn LogBackend>, partition: PartitionId, time: UnixMillis, end: Row) -> Row {
    let (mut low, mut high) = (log.oldest(partition).0.0, end.0);
    while low < high {
        let middle = low + (high - low) / 2;
        let written = log.extent(partition, &Scope::All, Row(middle)).oldest_ms;
        if written.is_none_or(|written| written >= time.0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Row(low)
}
