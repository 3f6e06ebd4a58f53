#![doc = include_str!("../README.md")]
// A public type may get more fields or variants in any version.
#![deny(clippy::exhaustive_enums, clippy::exhaustive_structs)]

mod by_id;
mod event;
mod exports;
mod in_flight;
mod line;
pub mod message;
mod references;
mod request;
mod serving;
mod session;
mod streams;

pub use event::{Begun, CancelEffect, CloseReason, Departure, Event, Outcome, SessionError, Starts, Step};
pub use exports::{Export, ExportKind, Exports, IntoIter, Parameter, ParameterKind};
pub use message::{Adapter, CallId, INVOKE_WINDOW, Message, PROTOCOL, Peer, RefId, WINDOW};
pub use request::Request;
pub use serving::Arrived;
pub use session::Session;
pub use streams::{Credit, StopKind, StreamEnd, StreamId};
