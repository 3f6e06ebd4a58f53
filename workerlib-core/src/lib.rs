//! The RPC session between two peers, as a state machine without I/O.
//!
//! [`Session`] decides everything that can be decided without bytes, a clock, Python or JavaScript: which
//! calls are in flight, which of them may be sent now, what a late or repeated reply means, what a closed
//! connection does to those who wait. A driver feeds it what arrived ([`Session::handle_message`]) and what
//! its user wants ([`Session::begin`], [`Session::send`], [`Session::cancel`], [`Session::finish`], …), then
//! carries out what it says ([`Session::poll`], or one of its parts by itself).
//!
//! This crate does not know what a payload is: it is the parameter `P` of [`Message`], which is `Vec<u8>`
//! with buffers in one crate and an integer in a test.

mod in_flight;
mod message;
mod serving;
mod session;

pub use message::{Adapter, CallId, Export, Message, PROTOCOL, Parameter, ParameterKind, Peer, WINDOW};
pub use serving::Arrived;
pub use session::{CloseReason, Event, Outcome, Request, Session, SessionError, Step};
