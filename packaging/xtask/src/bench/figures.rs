//! The pieces that tables of results are made of: names, texts and numbers of `benches/results/*.json`.

use serde_json::Value;

/// The name of the library among the peers: ratios are of its times.
pub(super) const OWN: &str = "workerlib";

/// Reads a text; anything else reads as an empty text.
pub(super) fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Writes a number with three digits that count.
pub(super) fn digits(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
