//! The version: one place that says it, the places that repeat it, and the section of the changelog that tells of it.
//!
//! `version` of `[workspace.package]` in Cargo.toml is the version. Each other place is checked against it, and changed with it.

use std::fmt;
use std::fs;
use std::ops::Range;
use std::str::FromStr;

use anyhow::{Context as _, Result, bail};

use crate::workspace::Workspace;

/// A version of three numbers, which Cargo, PyPI and npm all read in the same way.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Version([u32; 3]);

impl FromStr for Version {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let numbers: Vec<u32> = text.split('.').filter_map(|part| part.parse().ok()).collect();
        let version = numbers.try_into().map(Self).ok();
        // "01" and "+1" are numbers to Rust, and no parts of a version.
        version
            .filter(|version| version.to_string() == text)
            .with_context(|| format!("{text:?} is not a version; a version is three numbers, such as 0.2.0"))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        write!(formatter, "{major}.{minor}.{patch}")
    }
}

/// A place where the version stands between two texts.
struct Place {
    file: &'static str,
    before: &'static str,
    after: &'static str,
    /// Whether the file must have it.
    is_required: bool,
}

const fn place(file: &'static str, before: &'static str, after: &'static str) -> Place {
    Place { file, before, after, is_required: true }
}

const fn optional(file: &'static str, before: &'static str, after: &'static str) -> Place {
    Place { is_required: false, ..place(file, before, after) }
}

const CARGO: Place = place("Cargo.toml", "[workspace.package]\nversion = \"", "\"");

const PLACES: &[Place] = &[
    CARGO,
    optional("Cargo.toml", "path = \"workerlib-core\", version = \"=", "\""),
    optional("Cargo.toml", "path = \"workerlib-codec\", version = \"=", "\""),
    place("Cargo.lock", "name = \"workerlib-core\"\nversion = \"", "\""),
    place("Cargo.lock", "name = \"workerlib-codec\"\nversion = \"", "\""),
    place("Cargo.lock", "name = \"workerlib-py\"\nversion = \"", "\""),
    place("benches/Cargo.lock", "name = \"workerlib-core\"\nversion = \"", "\""),
    place("benches/Cargo.lock", "name = \"workerlib-codec\"\nversion = \"", "\""),
    place("workerlib-codec/fuzz/Cargo.lock", "name = \"workerlib-core\"\nversion = \"", "\""),
    place("workerlib-codec/fuzz/Cargo.lock", "name = \"workerlib-codec\"\nversion = \"", "\""),
    place("workerlib-py/pyproject.toml", "name = \"workerlib\"\nversion = \"", "\""),
    place("workerlib-py/javascript/package.json", "\"version\": \"", "\""),
    place("examples/vite-typescript/package.json", "\"workerlib\": \"^", "\""),
    place("README.md", "./workerlib-", "-cp311"),
    optional("workerlib-py/README.md", "./workerlib-", "-cp311"),
    place("docs/installing.md", "./workerlib-", "-cp311"),
    place("docs/github-pages.md", "./workerlib-", "-cp311"),
    place("docs/tutorial.md", "./workerlib-", "-cp311"),
    place("docs/javascript.md", "/workerlib-", ".tgz"),
];

/// The files that a new version changes; some are named more than once.
#[cfg(test)]
pub(crate) fn files() -> impl Iterator<Item = &'static str> {
    PLACES.iter().map(|place| place.file).chain([CHANGELOG, ".gitignore"])
}

/// Reads the version of a checkout.
///
/// # Errors
/// If Cargo.toml has none.
pub(crate) fn of(workspace: &Workspace) -> Result<Version> {
    let text = read(workspace, CARGO.file)?;
    let found = ranges(&text, CARGO.before, CARGO.after);
    let range =
        found.first().with_context(|| format!("{} has no [workspace.package] version", CARGO.file))?;
    text[range.clone()].parse()
}

/// Lists the places that have another version than Cargo.toml, or none.
///
/// # Errors
/// If a file cannot be read.
pub(crate) fn disagreements(workspace: &Workspace) -> Result<Vec<String>> {
    let version = of(workspace)?.to_string();
    let mut wrong = Vec::new();
    for place in PLACES {
        let text = read(workspace, place.file)?;
        let found = ranges(&text, place.before, place.after);
        if found.is_empty() && place.is_required {
            wrong.push(format!("{} has no version behind {:?}", place.file, place.before));
        }
        for range in found.into_iter().filter(|range| text[range.clone()] != version) {
            wrong.push(format!("{} says {}, and Cargo.toml says {version}", place.file, &text[range]));
        }
    }
    Ok(wrong)
}

/// Writes the version into each place.
///
/// # Errors
/// If a file cannot be read or written.
pub(crate) fn set(workspace: &Workspace, version: Version) -> Result<()> {
    for place in PLACES {
        let mut text = read(workspace, place.file)?;
        for range in ranges(&text, place.before, place.after).into_iter().rev() {
            text.replace_range(range, &version.to_string());
        }
        write(workspace, place.file, &text)?;
    }
    Ok(())
}

/// The places of versions between two texts, as far as numbers and dots stand there.
fn ranges(text: &str, before: &str, after: &str) -> Vec<Range<usize>> {
    let starts = text.match_indices(before).map(|(index, found)| index + found.len());
    let range = |start: usize| {
        let end = start + text[start..].find(after)?;
        let is_version = text[start..end].chars().all(|one| one.is_ascii_digit() || one == '.');
        (end > start && is_version).then_some(start..end)
    };
    starts.filter_map(range).collect()
}

const CHANGELOG: &str = "CHANGELOG.md";
const UNRELEASED: &str = "## Unreleased\n";

/// Returns the changelog's section about a version that is to be released: its own, or that of what is unreleased.
///
/// # Errors
/// If there is none, or it is empty.
pub(crate) fn notes(workspace: &Workspace, version: Version) -> Result<String> {
    let text = read(workspace, CHANGELOG)?;
    let section = |heading: &str| {
        let start = text.find(heading)? + heading.len();
        let body = &text[start..];
        let line = body.find('\n').map_or(body.len(), |end| end + 1);
        let body = if heading.ends_with('\n') { body } else { &body[line..] };
        Some(body[..body.find("\n## ").unwrap_or(body.len())].trim().to_owned())
    };
    let own = section(&format!("## {version} - "));
    let notes = own.or_else(|| section(UNRELEASED)).unwrap_or_default();
    if notes.is_empty() {
        bail!(
            "{CHANGELOG} has nothing to tell of {version}: write its lines under \"{}\"",
            UNRELEASED.trim_end()
        );
    }
    Ok(notes)
}

/// Gives what is unreleased the version and its date, such as 2026-11-28.
///
/// # Errors
/// If the changelog cannot be read or written.
pub(crate) fn date_changelog(workspace: &Workspace, version: Version, date: &str) -> Result<()> {
    let text = read(workspace, CHANGELOG)?;
    if !text.contains(&format!("## {version} - ")) {
        let dated = text.replacen(UNRELEASED, &format!("{UNRELEASED}\n## {version} - {date}\n"), 1);
        write(workspace, CHANGELOG, &dated)?;
    }
    Ok(())
}

fn read(workspace: &Workspace, file: &str) -> Result<String> {
    fs::read_to_string(workspace.root().join(file)).with_context(|| format!("cannot read {file}"))
}

fn write(workspace: &Workspace, file: &str, text: &str) -> Result<()> {
    fs::write(workspace.root().join(file), text).with_context(|| format!("cannot write {file}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A copy of the files that have the version, which a test may change.
    fn copy(name: &str) -> Workspace {
        let folder = std::env::temp_dir().join(format!("xtask {name} {}", std::process::id()));
        let ours = Workspace::of_this_program();
        for file in files() {
            let (from, to) = (ours.root().join(file), folder.join(file));
            crate::folder::copy_file(&from, &to).expect("the file is there");
        }
        Workspace::at(folder)
    }

    /// Nobody has to remember the places: one that is forgotten, or has another version, is named here.
    #[test]
    fn all_places_have_the_version_of_the_manifest() {
        let wrong = disagreements(&Workspace::of_this_program()).expect("the files can be read");
        assert_eq!(wrong, [""; 0]);
    }

    /// A document that names the wheel or the npm archive would keep the old name if it were not in the list.
    #[test]
    fn each_document_that_names_a_file_of_a_release_is_a_place() {
        let ours = Workspace::of_this_program();
        let sources = crate::reproducible::sources(&ours).expect("they can be listed");
        let documents = sources.iter().filter(|file| file.extension().is_some_and(|name| name == "md"));
        let mut unknown = Vec::new();
        for file in documents.map(|file| file.to_string_lossy()) {
            let text = read(&ours, &file).expect("it is there");
            let names_it = ["-cp311", ".tgz"].iter().any(|end| !ranges(&text, "workerlib-", end).is_empty());
            if names_it && !PLACES.iter().any(|place| place.file == file) {
                unknown.push(file);
            }
        }
        assert!(unknown.is_empty(), "not in PLACES: {unknown:?}");
    }

    /// A new version reaches each place, and the section of the changelog gets its date, once.
    #[test]
    fn a_new_version_reaches_each_place() {
        let copy = copy("a new version");
        let version: Version = "7.8.9".parse().expect("it is one");
        set(&copy, version).expect("the files are ours");
        assert_eq!(of(&copy).expect("it has one"), version);
        assert_eq!(disagreements(&copy).expect("they can be read"), [""; 0]);
        let before = notes(&copy, version).expect("there are changes");
        for _ in 0..2 {
            date_changelog(&copy, version, "2026-11-28").expect("the file is ours");
        }
        let text = read(&copy, CHANGELOG).expect("it is there");
        assert_eq!(text.matches("## 7.8.9 - 2026-11-28\n").count(), 1);
        assert_eq!(notes(&copy, version).expect("it has a section"), before);
        assert!(notes(&copy, "7.9.0".parse().expect("it is one")).is_err(), "nothing is unreleased");
        fs::remove_dir_all(copy.root()).expect("the folder is ours");
    }

    /// Versions that the three registries would read differently are refused.
    #[test]
    fn a_version_is_three_numbers() {
        let version = |text: &str| text.parse::<Version>().expect("it is one");
        assert!(version("0.2.0") < version("0.10.0"));
        for bad in ["", "1", "1.2", "1.2.3.4", "v1.2.3", "01.2.3", "1.2.3-rc.1", "1.2.x", "1..2.3"] {
            assert!(bad.parse::<Version>().is_err(), "{bad}");
        }
    }
}
