//! The collector's reply codes with their HTTP status and text.

use http::StatusCode;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $status:ident, $text:literal;)*) => {
        /// A code of the collector's own, as it stands in `code`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// All of them, in order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The number in `code`.
            #[must_use]
            pub const fn number(self) -> u16 {
                match self { $(Self::$name => $number,)* }
            }

            /// The HTTP status that goes with it.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// The words in `text`.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

codes! {
    /// Taken.
    Success = 0, OK, "Success";
    /// The token exists and is switched off.
    TokenDisabled = 1, FORBIDDEN, "Token disabled";
    /// No `Authorization`, or a blank one.
    TokenRequired = 2, UNAUTHORIZED, "Token is required";
    /// Another scheme than `Splunk`.
    InvalidAuthorization = 3, UNAUTHORIZED, "Invalid authorization";
    /// No such token.
    InvalidToken = 4, FORBIDDEN, "Invalid token";
    /// Nothing to index.
    NoData = 5, BAD_REQUEST, "No data";
    /// Not JSON, or not of the envelope's shape.
    InvalidDataFormat = 6, BAD_REQUEST, "Invalid data format";
    /// The token may not write to that index.
    IncorrectIndex = 7, BAD_REQUEST, "Incorrect index";
    /// The collector's own fault.
    InternalServerError = 8, INTERNAL_SERVER_ERROR, "Internal server error";
    /// Try later.
    ServerBusy = 9, SERVICE_UNAVAILABLE, "Server is busy";
    /// Acknowledgement is on and no channel was named.
    ChannelMissing = 10, BAD_REQUEST, "Data channel is missing";
    /// The channel is no GUID.
    InvalidChannel = 11, BAD_REQUEST, "Invalid data channel";
    /// Neither `event` nor `fields`.
    EventRequired = 12, BAD_REQUEST, "Event field is required";
    /// `event` holds nothing.
    EventBlank = 13, BAD_REQUEST, "Event field cannot be blank";
    /// An acknowledgement was asked for with a token that has none.
    AckDisabled = 14, BAD_REQUEST, "ACK is disabled";
    /// `time` or `fields` cannot be indexed.
    IndexedFields = 15, BAD_REQUEST, "Error in handling indexed fields";
    /// The token came in the query.
    QueryTokenRefused = 16, BAD_REQUEST, "Query string authorization is not enabled";
    /// The health page's good word.
    Healthy = 17, OK, "HEC is healthy";
    /// The health page while queues are full.
    QueuesFull = 18, SERVICE_UNAVAILABLE, "HEC is unhealthy, queues are full";
    /// The health page without acknowledgement service.
    AckUnavailable = 19, SERVICE_UNAVAILABLE, "HEC is unhealthy, ack service unavailable";
    /// Both of these.
    QueuesFullAckUnavailable = 20, SERVICE_UNAVAILABLE, "HEC is unhealthy, queues are full, ack service unavailable";
    /// The health page's word for [`Code::InvalidToken`].
    HealthInvalidToken = 21, BAD_REQUEST, "Invalid token";
    /// The health page's word for [`Code::TokenDisabled`].
    HealthTokenDisabled = 22, BAD_REQUEST, "Token disabled";
    /// Going away.
    ShuttingDown = 23, SERVICE_UNAVAILABLE, "Server is shutting down";
    /// Taken, and getting full.
    QueueNearCapacity = 24, OK, "Success - queue approaching capacity";
    /// Taken, and acknowledgements pile up.
    AckNearCapacity = 25, OK, "Success - ack channel approaching capacity";
    /// Not taken.
    QueueFull = 26, TOO_MANY_REQUESTS, "Queue is at capacity";
    /// Not taken on this channel.
    AckChannelFull = 27, TOO_MANY_REQUESTS, "Ack channel is at capacity";
    /// The cloud's [`Code::ChannelMissing`].
    CloudChannelMissing = 28, BAD_REQUEST,
        "Data channel is missing. Use sticky sessions when the collector is behind a load balancer";
}

impl Code {
    /// The code with this number.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.number() == number)
    }
}
