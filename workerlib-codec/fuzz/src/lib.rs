//! The common parts of the fuzz targets: values made from any bytes, and the comparison of two values.
//!
//! The targets are in `targets`, one for each property; `cargo xtask fuzz` builds and runs them.

mod compare;
mod make;
pub mod plain;

pub use compare::same;
pub use make::{Made, Subset, make};
