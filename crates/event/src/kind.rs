//! What sort of thing a record tells of.

/// The kinds that live in the journal and carry a `seq`. The number is the one byte of the row meta: it is on
/// disk, so it never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// One REST call that an app made.
    ApiCall = 1,
    /// Installed, uninstalled, upgraded, permissions changed, …
    Lifecycle = 2,
    /// What an app itself tells of its own doings.
    AppEvent = 3,
    /// A line of a platform's own audit log.
    AuditEvent = 4,
    /// The summary of a call group.
    CallGroup = 5,
    /// Trailwire's word to the organisation, such as "a sink is blocked".
    Notice = 6,
    /// What an administrator did in Trailwire itself.
    AdminAction = 7,
}

/// A kind byte that this version does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind {0}")]
pub struct UnknownKind(pub u8);

impl Kind {
    /// The member `kind` of raw events and records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ApiCall => "api_call",
            Self::Lifecycle => "lifecycle",
            Self::AppEvent => "app_event",
            Self::AuditEvent => "audit_event",
            Self::CallGroup => "call_group",
            Self::Notice => "notice",
            Self::AdminAction => "admin_action",
        }
    }

    /// The kind that a producer may send under this name; the other kinds are made by Trailwire.
    #[must_use]
    pub fn from_raw_name(name: &str) -> Option<Self> {
        [Self::ApiCall, Self::Lifecycle, Self::AppEvent, Self::AuditEvent]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

impl TryFrom<u8> for Kind {
    type Error = UnknownKind;

    fn try_from(byte: u8) -> Result<Self, UnknownKind> {
        Ok(match byte {
            1 => Self::ApiCall,
            2 => Self::Lifecycle,
            3 => Self::AppEvent,
            4 => Self::AuditEvent,
            5 => Self::CallGroup,
            6 => Self::Notice,
            7 => Self::AdminAction,
            other => return Err(UnknownKind(other)),
        })
    }
}
