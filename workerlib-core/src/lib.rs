//! The RPC session between two peers, as a state machine without I/O.
//!
//! [`Session`] decides everything that can be decided without bytes, a clock, Python or JavaScript: which
//! calls are in flight, what a late or repeated reply means, what a closed connection does to those who
//! wait. A driver feeds it what arrived ([`Session::handle_message`]) and what its user wants
//! ([`Session::call`], [`Session::finish`], …), then carries out what it says ([`Session::poll_transmit`],
//! [`Session::poll_event`]).
//!
//! This crate does not know what a payload is: it is the parameter `P` of [`Message`], which is `Vec<u8>`
//! with buffers in one crate and an integer in a test.

mod in_flight;
mod message;
mod session;

pub use in_flight::InFlight;
pub use message::{CallId, Export, Message, PROTOCOL, Parameter, ParameterKind, Peer};
pub use session::{CloseReason, Event, Session, SessionError};
