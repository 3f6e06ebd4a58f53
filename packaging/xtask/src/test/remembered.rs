//! Remembers which parts have passed with which files, for parts whose result only follows from the files that they read.
//!
//! A plain run does not repeat such a part until one of its files has changed. A part that the user names runs, and `--full` runs all.
//! No part is remembered whose result may differ from run to run: a part with random values, or with programs that wait for each other.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::Result;

use super::parts::Part;
use super::report::Report;
use crate::process;
use crate::reproducible;
use crate::setup::browser::Engine;
use crate::setup::need::Need;
use crate::stamp::{self, Fingerprint};
use crate::workspace::Workspace;

/// The tools and how they are called, which every part reads.
const OF_ALL: &str = "packaging/";

/// The answers of tools that several parts of a run need: each tool is asked once, for the first part.
#[derive(Default)]
pub(super) struct Tools {
    rustc: OnceLock<String>,
    python: OnceLock<String>,
    sources: OnceLock<Vec<PathBuf>>,
}

impl Tools {
    /// Tells the versions of the tools that a part uses. A tool that it does not use may not be there yet.
    fn versions(&self, workspace: &Workspace, needs: &[Need]) -> String {
        let asked = |program: &str, argument: &str| {
            process::ask(Command::new(program).arg(argument)).unwrap_or_default()
        };
        let mut versions = self.rustc.get_or_init(|| asked("rustc", "-vV")).clone();
        if needs.contains(&Need::PythonTools) {
            let python = workspace.python();
            versions.push_str(self.python.get_or_init(|| asked(&python.to_string_lossy(), "-VV")));
        }
        if needs.contains(&Need::Browser) {
            versions.push_str(&Engine::Chromium.installation());
        }
        versions
    }

    /// Lists the files of the repository.
    fn sources(&self, workspace: &Workspace) -> Result<&[PathBuf]> {
        if let Some(sources) = self.sources.get() {
            return Ok(sources);
        }
        let sources = reproducible::sources(workspace)?;
        Ok(self.sources.get_or_init(|| sources))
    }
}

/// A part of this run, and the files that it reads.
pub(super) struct Remembered {
    note: PathBuf,
    fingerprint: String,
}

impl Remembered {
    /// Reads the files of a part, if it is one that can be remembered.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub(super) fn of(workspace: &Workspace, part: &Part, tools: &Tools) -> Result<Option<Self>> {
        let Some(reads) = part.reads else { return Ok(None) };
        let mut fingerprint = Fingerprint::new().text(&tools.versions(workspace, part.needs));
        for file in tools.sources(workspace)? {
            let name = file.to_string_lossy().replace('\\', "/");
            if name.starts_with(OF_ALL) || reads(&name) {
                fingerprint = fingerprint.text(&name).path(&workspace.root().join(file))?;
            }
        }
        let note = workspace.target().join("passed").join(part.name);
        Ok(Some(Self { note, fingerprint: fingerprint.finish() }))
    }

    /// The report of the run in which the part has passed with the same files.
    pub(super) fn report(&self) -> Option<Report> {
        if !stamp::is_fresh(&self.note, &self.fingerprint) {
            return None;
        }
        let text = fs::read_to_string(&self.note).ok()?;
        let (passed, summary) = text.split_once('\n')?;
        let summary = format!("{summary} (passed before, and no file of it has changed)");
        Some(Report { passed: passed.parse().ok()?, summary, ..Report::default() })
    }

    /// Notes what the part came to now.
    ///
    /// # Errors
    /// If the note cannot be written.
    pub(super) fn note(&self, report: &Report) -> Result<()> {
        stamp::clear(&self.note);
        if report.failed > 0 || report.passed == 0 {
            return Ok(());
        }
        if let Some(folder) = self.note.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&self.note, format!("{}\n{}", report.passed, report.summary))?;
        stamp::set(&self.note, &self.fingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remembered(name: &str, fingerprint: &str) -> Remembered {
        let folder = std::env::temp_dir().join(format!("workerlib-remembered-{}", std::process::id()));
        Remembered { note: folder.join(name), fingerprint: fingerprint.to_owned() }
    }

    /// A part that uses no Python has the same versions before Python is installed, in a fresh clone, as later.
    #[test]
    fn a_part_depends_on_its_own_tools_only() {
        let (fresh, workspace) = (Workspace::at("/nowhere".into()), Workspace::of_this_program());
        let versions = |workspace: &Workspace, needs: &[Need]| Tools::default().versions(workspace, needs);
        assert_eq!(versions(&fresh, &[]), versions(&workspace, &[]));
        assert!(versions(&workspace, &[]).starts_with("rustc "));
    }

    /// A part that failed, or passed with other files, runs again.
    #[test]
    fn only_the_same_files_are_remembered() {
        let (then, later) = (remembered("part", "one"), remembered("part", "another"));
        then.note(&Report { passed: 3, ..Report::passed("types") }).expect("the folder can be written");
        let report = then.report().expect("it has passed");
        assert_eq!((report.passed, report.failed), (3, 0));
        assert!(report.summary.starts_with("types (passed before"), "{}", report.summary);
        assert!(later.report().is_none());
        then.note(&Report::failed("why".into())).expect("the folder can be written");
        assert!(then.report().is_none());
    }
}
