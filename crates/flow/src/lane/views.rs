//! What the engine says of each sink: the part of its status that needs no counting.

use rustc_hash::{FxHashMap, FxHashSet};

use super::core::Core;
use super::table::{Health, SinkRow, start};
use super::{Target, Unread, UnreadSinks};
use crate::clock::{Moment, UnixMillis};
use crate::lane_state::{LaneState, SinkId};
use crate::log::Scope;
use crate::status::{LaneView, LastError, SinkState, SinkStatus, SinkView};
use crate::units::{PartitionId, Row};

impl Core {
    pub(super) fn views(&self, now: Moment) -> Vec<SinkView> {
        let mut views: Vec<SinkView> = {
            // The journal knows of an expiry before the engine is told of it.
            let oldest: Vec<Row> = (0..self.directory.partitions())
                .map(|number| self.log.oldest(PartitionId(number)).0)
                .collect();
            self.sinks.iter().flatten().map(|sink| self.view(sink, &oldest, now)).collect()
        };
        views.extend(self.views_without_lanes(now));
        views.extend(self.unread_views(now));
        views.sort_by(|a, b| (&a.status.org, &a.status.name).cmp(&(&b.status.org, &b.status.name)));
        views
    }

    fn view(&self, sink: &SinkRow, oldest: &[Row], now: Moment) -> SinkView {
        let lanes: Vec<_> = sink.lanes.iter().filter_map(|index| self.lane(*index)).collect();
        let is_behind = lanes.iter().any(|lane| lane.is_behind());
        let health = match sink.health {
            Health::Live if is_behind => SinkState::CatchingUp,
            Health::Live => SinkState::Live,
            Health::BackingOff { .. } => SinkState::BackingOff,
            Health::Blocked { .. } => SinkState::Blocked,
        };
        let unusable = Self::unusable(sink);
        let state = match &sink.spec.target {
            _ if sink.is_paused() => SinkState::Paused,
            Target::Unusable(_) => SinkState::Blocked,
            Target::Ready(_) => health,
        };
        let next_attempt = match sink.health {
            Health::BackingOff { until, .. } | Health::Blocked { until, .. } if state == health => {
                let wait = until.saturating_duration_since(now.instant).as_millis();
                Some(UnixMillis(now.wall.0.saturating_add(i64::try_from(wait).unwrap_or(i64::MAX))))
            }
            _ => None,
        };
        let last_error = match unusable {
            Some(cause) => Some(LastError { at: now.wall, cause: cause.clone() }),
            None => sink.last_error.as_deref().cloned(),
        };
        let status = SinkStatus {
            org: sink.spec.owner.clone(),
            scope: Some(sink.spec.scope.clone()),
            name: sink.spec.name.clone(),
            kind: sink.spec.kind,
            state,
            in_flight: u64::from(sink.in_flight),
            retries: sink.retries,
            last_success: sink.last_success,
            last_error,
            next_attempt,
            ..SinkStatus::empty(sink.id)
        };
        let lanes = lanes
            .into_iter()
            .map(|lane| LaneView {
                partition: lane.partition,
                scan: lane.ledger.scan(),
                open_records: lane.ledger.open_records(),
                cut_behind_scan: lane.ledger.cut_behind_scan(),
                prefix: lane.ledger.prefix(),
                is_counting: {
                    let known = self.expired_before(lane.partition).0;
                    let oldest = oldest.get(usize::from(lane.partition.0)).copied().unwrap_or_default();
                    lane.ledger.has_unsettled_before(known.max(oldest))
                },
                counts: *lane.ledger.counts(),
                start: lane.start(),
                gaps: lane.ledger.gaps().to_vec(),
            })
            .collect();
        SinkView { status, scope: Some(sink.spec.scope.clone()), lanes }
    }

    /// Sinks of which the journal holds places and that are not made: removed ones, and those that may stand in what
    /// cannot be read.
    fn views_without_lanes(&self, now: Moment) -> Vec<SinkView> {
        // A sink that is there may have left places behind, in partitions that it has no more organisations in: they
        // are not another sink.
        let places = || self.recovered.iter().filter(|((id, _), _)| !self.by_id.contains_key(id));
        let present: FxHashSet<SinkId> =
            places().filter(|(_, state)| !state.removed).map(|((id, _), _)| *id).collect();
        let mut views: FxHashMap<SinkId, SinkView> = FxHashMap::default();
        for ((id, partition), state) in places() {
            if state.removed && present.contains(id) {
                continue;
            }
            let view = views.entry(*id).or_insert_with(|| self.view_without_lanes(*id, state, now));
            if view.status.org.is_none() && state.scope != 0 {
                // The journal does not say for which organisations it was.
                view.scope = None;
            }
            view.lanes.push(LaneView {
                partition: *partition,
                scan: state.next_row,
                open_records: 0,
                cut_behind_scan: state.resolved.iter().map(|resolved| resolved.records).sum(),
                prefix: state.next_row,
                is_counting: false,
                counts: state.counts,
                start: start(state.scope, state.start_row, || {
                    state.starts.iter().flatten().map(|(_, seq)| seq.0).sum()
                }),
                gaps: state.gaps.clone(),
            });
        }
        views.into_values().collect()
    }

    fn view_without_lanes(&self, id: SinkId, state: &LaneState, now: Moment) -> SinkView {
        let (owner, name) = state.label.split_once('/').unwrap_or_else(|| ("*", state.label.as_ref()));
        let org = event::OrgId::new(owner).ok();
        let unread = self.unread.iter().filter(|_| !state.removed);
        // What is said of the sink itself tells more than what is said of its file.
        let unread = unread
            .filter(|unread| unread.may_be(org.as_ref(), name))
            .min_by_key(|unread| !matches!(unread.sinks, UnreadSinks::One(_)));
        let status = SinkStatus {
            scope: org.clone().map(Scope::one),
            name: name.to_owned(),
            state: SinkState::Removed,
            ..SinkStatus::empty(id)
        };
        let status = match unread {
            Some(unread) => blocked(unread, status, now),
            None => status,
        };
        SinkView {
            scope: Some(org.clone().map_or(Scope::All, Scope::one)),
            status: SinkStatus { org, ..status },
            lanes: Vec::new(),
        }
    }

    /// What cannot be read and of which nothing else is shown.
    fn unread_views(&self, now: Moment) -> Vec<SinkView> {
        let is_shown = |id: &SinkId| {
            self.by_id.contains_key(id)
                || self.recovered.iter().any(|((other, _), state)| other == id && !state.removed)
        };
        let mut views = Vec::new();
        for unread in &self.unread {
            let (UnreadSinks::One(name) | UnreadSinks::Any(name) | UnreadSinks::Nobodys(name)) =
                &unread.sinks;
            let id = SinkId::of(unread.owner.as_ref(), name);
            if matches!(unread.sinks, UnreadSinks::One(_)) && is_shown(&id) {
                continue;
            }
            let org = unread.owner.clone();
            let scope = org.clone().map(Scope::one);
            let status = SinkStatus { org, scope, name: name.clone(), ..SinkStatus::empty(id) };
            let status = blocked(unread, status, now);
            views.push(SinkView { status, scope: None, lanes: Vec::new() });
        }
        views
    }
}

fn blocked(unread: &Unread, status: SinkStatus, now: Moment) -> SinkStatus {
    let last_error = Some(LastError { at: now.wall, cause: unread.cause.clone() });
    SinkStatus { state: SinkState::Blocked, kind: "unknown", last_error, ..status }
}
