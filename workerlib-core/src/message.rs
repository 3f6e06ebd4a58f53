//! What two peers say to each other: `docs/wire-format.md`, section 3.
//!
//! These are the messages themselves. How they become bytes is the codec's business, and which of them may
//! be sent when is the session's.

/// The version of the wire format that this crate speaks; both peers must speak the same one.
pub const PROTOCOL: u32 = 1;

/// How many calls a peer of this crate takes that have not started: enough to keep it busy while answers and
/// the next calls are under way, many in one message; few enough that a cancel soon gets past them.
pub const WINDOW: u32 = 64;

/// The number that ties a reply to its call, unique among the calls of one peer that are in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u32);

/// What a peer tells about itself in the handshake.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Peer {
    /// The wire format that it speaks; see [`PROTOCOL`].
    pub protocol: u32,
    /// The version of its library, for messages to people.
    pub version: String,
    /// The functions that the other side may call, in the order of their export.
    pub exports: Vec<Export>,
    /// How many calls it takes that it has not said to have started; see [`WINDOW`].
    pub window: u32,
    /// The adapters that it has, in their order.
    pub adapters: Vec<Adapter>,
}

/// An adapter that a peer has for objects of some class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adapter {
    /// The name by which both sides know it.
    pub key: String,
    /// The entry of the peer's configuration, where it stands in one: the other side must have it then.
    pub entry: Option<String>,
    /// Whether its decoder is async, so that its objects must travel in rows.
    pub is_async: bool,
}

/// A function that a peer offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// The name by which it is called.
    pub name: String,
    /// Its docstring, where it has one.
    pub doc: Option<String>,
    /// Its parameters in order, where Python can tell them; `None` for some builtins.
    pub parameters: Option<Vec<Parameter>>,
    /// The source text of its return annotation.
    pub returns: Option<String>,
}

/// One parameter of an exported function, as `inspect.Parameter` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// How it is passed.
    pub kind: ParameterKind,
    /// The `repr()` of its default, where it has one.
    pub default: Option<String>,
    /// The source text of its annotation.
    pub annotation: Option<String>,
}

/// How a parameter takes its argument; the numbers are those of `inspect.Parameter.kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ParameterKind {
    /// Before a `/`.
    PositionalOnly = 0,
    /// The usual kind.
    PositionalOrKeyword = 1,
    /// `*args`.
    VarPositional = 2,
    /// After a `*`.
    KeywordOnly = 3,
    /// `**kwargs`.
    VarKeyword = 4,
}

impl ParameterKind {
    /// Returns the kind with that number.
    pub fn from_number(number: u8) -> Option<Self> {
        [
            Self::PositionalOnly,
            Self::PositionalOrKeyword,
            Self::VarPositional,
            Self::KeywordOnly,
            Self::VarKeyword,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == number)
    }
}

/// One message; `P` is what a call, a result or an exception carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message<P> {
    /// The first message of the side that connects.
    Hello(Peer),
    /// The answer to [`Message::Hello`]: the connection is open.
    Welcome(Peer),
    /// The other answer to [`Message::Hello`]: there will be no connection.
    Refuse {
        /// The protocol of the side that refuses.
        protocol: u32,
        /// Why, for people.
        reason: String,
    },
    /// Calls a function that the receiver exports.
    Call {
        /// Names the call in its answer.
        id: CallId,
        /// The name of the exported function.
        function: String,
        /// The arguments.
        payload: P,
        /// Whether the receiver is to say when it starts.
        reports_start: bool,
    },
    /// The call returned.
    Return {
        /// The call that this answers.
        id: CallId,
        /// The result.
        payload: P,
    },
    /// The call raised.
    Raise {
        /// The call that this answers.
        id: CallId,
        /// The exception.
        payload: P,
    },
    /// The caller wants the call to end; it is answered all the same.
    Cancel {
        /// The call that is meant.
        id: CallId,
    },
    /// Calls run: they no longer take up the window.
    Started {
        /// The calls that are meant.
        ids: Vec<CallId>,
    },
    /// The function has been told of a cancel; the answer follows when it has ended.
    Cancelling {
        /// The call that is meant.
        id: CallId,
    },
    /// The call ended because its caller cancelled it: the third kind of answer.
    Cancelled {
        /// The call that this answers.
        id: CallId,
    },
    /// The receiver may call these too, or their description has changed.
    Exports(Vec<Export>),
    /// The sender will neither send nor answer anything after this.
    Close {
        /// Why, for people.
        reason: String,
    },
}

impl<P> Message<P> {
    /// Replaces the payload, if this message has one.
    pub fn map<Q>(self, payload_of: impl FnOnce(P) -> Q) -> Message<Q> {
        match self {
            Self::Call { id, function, payload, reports_start } => {
                Message::Call { id, function, payload: payload_of(payload), reports_start }
            }
            Self::Return { id, payload } => Message::Return { id, payload: payload_of(payload) },
            Self::Raise { id, payload } => Message::Raise { id, payload: payload_of(payload) },
            Self::Hello(peer) => Message::Hello(peer),
            Self::Welcome(peer) => Message::Welcome(peer),
            Self::Refuse { protocol, reason } => Message::Refuse { protocol, reason },
            Self::Cancel { id } => Message::Cancel { id },
            Self::Started { ids } => Message::Started { ids },
            Self::Cancelling { id } => Message::Cancelling { id },
            Self::Cancelled { id } => Message::Cancelled { id },
            Self::Exports(exports) => Message::Exports(exports),
            Self::Close { reason } => Message::Close { reason },
        }
    }
}
