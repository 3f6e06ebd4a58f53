//! The parts of the test run: their names, what each needs, and where it may run.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use super::context::Context;
use super::lanes::Resource;
use super::report::Report;
use super::{artefacts, docs, javascript, pages, python, rust, transport, workflows};
use crate::pyodide::Pyodide;
use crate::setup::browser::Engine;
use crate::setup::need::Need;
use crate::site;

/// A product that is built before the parts that need it run.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Product {
    WasmWheel,
    NativeWheel,
    /// The native wheel, installed among the Python tools.
    Installed,
    Pyodide314,
    Pyodide029,
    Pyodide315,
    Site,
}

type Check = fn(&Context<'_>) -> Result<Report>;

/// A named set of checks.
pub(super) struct Part {
    pub(super) name: &'static str,
    /// Its checks in a few words, for `--list`.
    pub(super) what: &'static str,
    pub(super) needs: &'static [Need],
    pub(super) products: &'static [Product],
    /// About how long it takes on two quiet cores, beside another: it decides the order only.
    pub(super) seconds: u32,
    pub(super) uses: Option<Resource>,
    /// Whether only `--full` runs it.
    pub(super) is_slow: bool,
    /// Tells which files of the repository decide its result, if they alone do (`remembered.rs`).
    pub(super) reads: Option<fn(&str) -> bool>,
    pub(super) run: Check,
}

impl Part {
    const fn new(
        name: &'static str,
        what: &'static str,
        seconds: u32,
        needs: &'static [Need],
        products: &'static [Product],
        run: Check,
    ) -> Self {
        Self { name, what, needs, products, seconds, uses: None, is_slow: false, reads: None, run }
    }

    /// Makes it wait while another part uses cargo.
    const fn with_cargo(self) -> Self {
        Self { uses: Some(Resource::Cargo), ..self }
    }

    /// Has a plain run leave it out while these files are those with which it has passed.
    const fn remembered(self, reads: fn(&str) -> bool) -> Self {
        Self { reads: Some(reads), ..self }
    }

    /// Leaves it to `--full`.
    const fn slow(self) -> Self {
        Self { is_slow: true, ..self }
    }
}

/// The parts, in the order in which they are listed.
pub(super) const PARTS: &[Part] = &[
    Part::new("rustfmt", "the format of the Rust code", 2, &[Need::RustLints], &[], rust::format),
    Part::new(
        "clippy",
        "the lints of the Rust code, with warnings denied",
        15,
        &[Need::RustLints],
        &[],
        rust::lint,
    )
    .with_cargo(),
    Part::new(
        "cargo-test",
        "the tests of the Rust crates and of this program",
        40,
        &[Need::Node],
        &[],
        rust::test,
    )
    .with_cargo(),
    Part::new(
        "session-model",
        "random schedules of two peers, in optimised code",
        15,
        &[],
        &[],
        rust::session_model,
    )
    .with_cargo(),
    Part::new(
        "crates",
        "the packages of the crates, built from themselves alone",
        15,
        &[],
        &[],
        rust::crates,
    )
    .with_cargo()
    .remembered(|file| is_below(file, &["Cargo.", "workerlib-core/", "workerlib-codec/"])),
    Part::new(
        "ruff",
        "the lints and the format of the Python code",
        1,
        &[Need::PythonTools],
        &[],
        python::lint,
    ),
    Part::new(
        "arrows",
        "the imports between the rooms of the Python package",
        3,
        &[Need::PythonTools],
        &[],
        python::arrows,
    ),
    Part::new("mypy", "the types of the Python package", 10, &[Need::PythonTools], &[], python::types),
    Part::new(
        "typing",
        "interfaces of workers, by mypy, pyright and tsc",
        40,
        &[Need::PythonTools, Need::NodePackages],
        &[Product::Installed],
        python::checkers,
    )
    .remembered(|file| {
        is_below(file, &["Cargo.", "workerlib-", "tests/typing/", "tests/python/", "docs/", "examples/"])
    }),
    Part::new(
        "stubtest",
        "the stub of the extension against the extension",
        3,
        &[Need::PythonTools],
        &[Product::Installed],
        python::stubs,
    )
    .remembered(|file| is_below(file, &["Cargo.", "workerlib-"])),
    Part::new(
        "pytest",
        "tests/python with the Python of this machine",
        65,
        &[Need::PythonTools],
        &[Product::Installed],
        python::suite,
    ),
    Part::new(
        "pandas-2",
        "its tests of pandas with pandas 2",
        30,
        &[Need::PythonTools],
        &[Product::Installed],
        python::suite_with_pandas_2,
    )
    .remembered(|file| is_below(file, &["Cargo.", "workerlib-", "tests/python/"])),
    Part::new(
        "local",
        "tests/local: workers that are subprocesses",
        310,
        &[Need::PythonTools],
        &[Product::Installed],
        python::subprocesses,
    ),
    Part::new(
        "pyodide-314",
        "tests/python in Pyodide 314 under Node",
        90,
        &site::NEEDS,
        &[Product::Pyodide314],
        python::suite_in_314,
    ),
    Part::new(
        "pyodide-0.29",
        "tests/python in Pyodide 0.29 under Node",
        110,
        &site::NEEDS,
        &[Product::Pyodide029],
        python::suite_in_029,
    )
    .slow(),
    Part::new(
        "spawn-node",
        "tests/shared over a worker that Node spawns",
        35,
        &site::NEEDS,
        &[Product::Pyodide314],
        python::spawn_in_node,
    ),
    Part::new(
        "node-jspi",
        "sync code that waits for a pool, in a Node with JSPI",
        25,
        &site::NEEDS,
        &[Product::Pyodide314],
        python::spawn_in_node_with_jspi,
    )
    .slow(),
    Part::new(
        "snapshot-314",
        "starts from memory snapshots, in Pyodide 314 under Node",
        40,
        &site::NEEDS,
        &[Product::Pyodide314],
        python::snapshots_in_314,
    ),
    Part::new(
        "snapshot-0.29",
        "starts from memory snapshots, in Pyodide 0.29 under Node",
        50,
        &site::NEEDS,
        &[Product::Pyodide029],
        python::snapshots_in_029,
    )
    .slow(),
    Part::new(
        "javascript",
        "the lints and types of the npm package's sources",
        8,
        &[Need::NodePackages],
        &[],
        javascript::check,
    )
    .remembered(|file| is_below(file, &["workerlib-py/javascript/"])),
    Part::new(
        "transport",
        "tests/javascript: the channel, by node --test, eslint and tsc",
        20,
        &[Need::NodePackages],
        &[],
        transport::check,
    ),
    Part::new("browser", "tests/browser in Chromium", 330, &PAGES, &SITE, pages::browser),
    Part::new("firefox", "tests/browser in Firefox", 75, &FIREFOX, &SITE, pages::firefox),
    Part::new("webkit", "tests/browser in WebKit", 125, &WEBKIT, &SITE, pages::webkit),
    Part::new(
        "patterns",
        "tests/patterns: pages in JavaScript, and the gallery, in Chromium",
        170,
        &PATTERNS,
        &PAIR,
        pages::patterns,
    ),
    Part::new(
        "patterns-firefox",
        "tests/patterns in Firefox",
        60,
        &FIREFOX,
        &PAIR,
        pages::patterns_in_firefox,
    ),
    Part::new("patterns-webkit", "tests/patterns in WebKit", 70, &WEBKIT, &PAIR, pages::patterns_in_webkit),
    Part::new(
        "faults",
        "tests/faults: faults at random moments, in Chromium",
        130,
        &PAGES,
        &SITE,
        pages::faults,
    ),
    Part::new("faults-firefox", "tests/faults in Firefox", 45, &FIREFOX, &SITE, pages::faults_in_firefox),
    Part::new("faults-webkit", "tests/faults in WebKit", 50, &WEBKIT, &SITE, pages::faults_in_webkit),
    Part::new("demo", "the demo page, as a visitor uses it", 15, &PAGES, &SITE, pages::demo),
    Part::new(
        "online",
        "libraries from Pyodide's CDN, where it can be reached",
        5,
        &PAGES,
        &SITE,
        pages::online,
    ),
    // The site has pages of all kinds of files.
    Part::new("docs", "the documentation site", 40, &DOCS, &[Product::Installed], docs::check)
        .remembered(|_| true),
    Part::new(
        "workflows",
        "the workflows of CI, by actionlint",
        3,
        &[Need::ReleasePackages],
        &[],
        workflows::check,
    ),
    Part::new(
        "wheels",
        "the content of the wheels, and the size of the module",
        1,
        &WHEELS,
        &[Product::WasmWheel, Product::NativeWheel],
        artefacts::wheels,
    ),
    Part::new(
        "files",
        "the repository's files: no path of this machine, no registry",
        1,
        &[],
        &[],
        artefacts::files,
    ),
    Part::new(
        "leaks",
        "a million round trips that leave nothing",
        60,
        &[Need::PythonTools],
        &[Product::Installed],
        python::leaks,
    )
    .slow(),
    Part::new(
        "reproducible",
        "the same bytes of the wheel in two folders",
        120,
        &WHEELS,
        &[Product::WasmWheel],
        artefacts::reproducible,
    )
    .slow(),
];

/// The oldest PyScript 0.6 and 0.7 that work, and the newest, each with the Pyodides that are supported, and the older two in the
/// other engines: docs/migrating.md has what the oldest ones lack.
const MATRIX: &[Part] = &[
    Part::new("0.6.60 + 314", COMBINATION, 200, &PAGES, &PAIR, |context| {
        pages::combination(context, Engine::Chromium, OLDEST_06, Pyodide::V314)
    }),
    Part::new("0.6.60 + 0.29", COMBINATION, 200, &PAGES, &PAIR, |context| {
        pages::combination(context, Engine::Chromium, OLDEST_06, Pyodide::V0_29)
    }),
    Part::new("0.6.60 + 315", COMBINATION, 200, &PAGES, &WITH_315, |context| {
        pages::combination(context, Engine::Chromium, OLDEST_06, Pyodide::V315)
    }),
    Part::new("0.7.0 + 314", COMBINATION, 200, &PAGES, &PAIR, |context| {
        pages::combination(context, Engine::Chromium, OLDEST_07, Pyodide::V314)
    }),
    Part::new("0.7.0 + 0.29", COMBINATION, 200, &PAGES, &PAIR, |context| {
        pages::combination(context, Engine::Chromium, OLDEST_07, Pyodide::V0_29)
    }),
    Part::new("0.7.0 + 315", COMBINATION, 200, &PAGES, &WITH_315, |context| {
        pages::combination(context, Engine::Chromium, OLDEST_07, Pyodide::V315)
    }),
    Part::new("0.7.31 + 314", COMBINATION, 200, &PAGES, &PAIR, |context| {
        pages::combination(context, Engine::Chromium, NEWEST, Pyodide::V314)
    }),
    Part::new("0.7.31 + 0.29", COMBINATION, 200, &PAGES, &PAIR, |context| {
        pages::combination(context, Engine::Chromium, NEWEST, Pyodide::V0_29)
    }),
    Part::new("0.7.31 + 315", COMBINATION, 200, &PAGES, &WITH_315, |context| {
        pages::combination(context, Engine::Chromium, NEWEST, Pyodide::V315)
    }),
    Part::new("0.6.60 + firefox", COMBINATION, 150, &FIREFOX, &PAIR, |context| {
        pages::combination(context, Engine::Firefox, OLDEST_06, Pyodide::V314)
    }),
    Part::new("0.7.0 + firefox", COMBINATION, 150, &FIREFOX, &PAIR, |context| {
        pages::combination(context, Engine::Firefox, OLDEST_07, Pyodide::V314)
    }),
    Part::new("0.6.60 + webkit", COMBINATION, 180, &WEBKIT, &PAIR, |context| {
        pages::combination(context, Engine::WebKit, OLDEST_06, Pyodide::V314)
    }),
    Part::new("0.7.0 + webkit", COMBINATION, 180, &WEBKIT, &PAIR, |context| {
        pages::combination(context, Engine::WebKit, OLDEST_07, Pyodide::V314)
    }),
];

/// The text that `--list` shows for each part of the matrix.
const COMBINATION: &str = "the tests that each combination of a PyScript and a Pyodide must pass";

/// The npm packages of the PyScripts.
const OLDEST_06: &str = "pyscript-06";
const OLDEST_07: &str = "pyscript-07";
const NEWEST: &str = "@pyscript/core";

const SITE: [Product; 1] = [Product::Site];
const PAIR: [Product; 2] = [Product::Site, Product::Pyodide029];
/// A part serves what the site serves, Pyodide 0.29 too, and one Pyodide in place of the site's own.
const WITH_315: [Product; 3] = [Product::Site, Product::Pyodide029, Product::Pyodide315];
/// With axe-core, too. The builder of the documentation has no other use, so the part itself installs it.
const DOCS: [Need; 3] = [Need::PythonTools, Need::Browser, Need::ReleasePackages];
const WHEELS: [Need; 3] = [Need::PythonTools, Need::WasmCompiler, Need::NodePackages];
const PAGES: [Need; 5] =
    [Need::PythonTools, Need::WasmCompiler, Need::PyodideWheels, Need::NodePackages, Need::Browser];
/// With axe-core, which is among the packages of a release.
const PATTERNS: [Need; 6] = [
    Need::PythonTools,
    Need::WasmCompiler,
    Need::PyodideWheels,
    Need::NodePackages,
    Need::Browser,
    Need::ReleasePackages,
];
const FIREFOX: [Need; 5] =
    [Need::PythonTools, Need::WasmCompiler, Need::PyodideWheels, Need::NodePackages, Need::Firefox];
const WEBKIT: [Need; 5] =
    [Need::PythonTools, Need::WasmCompiler, Need::PyodideWheels, Need::NodePackages, Need::WebKit];

/// Tells whether a path begins with one of these.
fn is_below(path: &str, beginnings: &[&str]) -> bool {
    beginnings.iter().any(|beginning| path.starts_with(beginning))
}

/// The parts that can be run: the matrix, or all others.
pub(super) fn all(matrix: bool) -> Vec<&'static Part> {
    if !matrix {
        return PARTS.iter().collect();
    }
    // The newest combination runs in the other engines as parts of their own do.
    let engines = PARTS.iter().filter(|part| matches!(part.name, "firefox" | "webkit"));
    MATRIX.iter().chain(engines).collect()
}

/// Chooses parts by their names; of no names, all but the slow ones.
///
/// # Errors
/// If there is no part of a name.
pub(super) fn choose(
    all: &[&'static Part],
    only: &[String],
    full: bool,
) -> Result<(Vec<&'static Part>, Vec<&'static Part>)> {
    for name in only {
        if !all.iter().any(|part| part.name == name) {
            let names: Vec<&str> = all.iter().map(|part| part.name).collect();
            bail!("there is no part {name}; there are {} (--list tells what each checks)", names.join(", "));
        }
    }
    let only: BTreeSet<&str> = only.iter().map(String::as_str).collect();
    if !only.is_empty() {
        return Ok((all.iter().copied().filter(|part| only.contains(part.name)).collect(), Vec::new()));
    }
    Ok(all.iter().copied().partition(|part| full || !part.is_slow))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(parts: &[&Part]) -> Vec<&'static str> {
        parts.iter().map(|part| part.name).collect()
    }

    /// The slow parts are left out, and named, unless everything or just they are asked for.
    #[test]
    fn slow_parts_run_when_they_are_asked_for() {
        let all = all(false);
        let (chosen, left_out) = choose(&all, &[], false).expect("no names");
        assert_eq!(names(&left_out), ["pyodide-0.29", "node-jspi", "snapshot-0.29", "leaks", "reproducible"]);
        assert_eq!(chosen.len() + left_out.len(), PARTS.len());
        let (chosen, left_out) = choose(&all, &[], true).expect("no names");
        assert!(left_out.is_empty() && chosen.len() == PARTS.len());
        let (chosen, _) = choose(&all, &["leaks".into(), "ruff".into()], false).expect("they are there");
        assert_eq!(names(&chosen), ["ruff", "leaks"]);
        assert!(choose(&all, &["rough".into()], false).is_err());
    }

    /// Two parts of one name could not be told apart in `--only`, in the logs, or by `--rerun-failed`.
    #[test]
    fn names_are_unique() {
        let names: BTreeSet<&str> = PARTS.iter().chain(MATRIX).map(|part| part.name).collect();
        assert_eq!(names.len(), PARTS.len() + MATRIX.len());
    }
}
