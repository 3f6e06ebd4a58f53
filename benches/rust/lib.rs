//! The benchmarks of the Rust side are in `codec.rs`; this crate has nothing else.
