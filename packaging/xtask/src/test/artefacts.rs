//! The checks of what is handed on: the wheels, and the files of the repository.

use std::env;
use std::fs;

use anyhow::{Context as _, Result, bail};

use super::context::Context;
use super::report::Report;
use crate::reproducible;
use crate::steps::Outcome;
use crate::wheel::{self, Kind};

/// Checks what both wheels hold, and the size of the module.
pub(super) fn wheels(context: &Context<'_>) -> Result<Report> {
    let workspace = context.workspace;
    let (wasm, native) = (wheel::check(workspace, Kind::Wasm)?, wheel::check(workspace, Kind::Native)?);
    Ok(Report { passed: 2, ..Report::passed(format!("wasm: {wasm}; native: {native}")) })
}

/// Builds the wheel for Pyodide in another folder.
pub(super) fn reproducible(context: &Context<'_>) -> Result<Report> {
    let Outcome::Note(note) = reproducible::check(context.workspace)? else {
        bail!("the comparison told nothing")
    };
    Ok(Report::passed(format!("the wheel built in two folders: {note}")))
}

/// Checks that no file names a path of this machine, and that no lock file says where to fetch from.
pub(super) fn files(context: &Context<'_>) -> Result<Report> {
    let workspace = context.workspace;
    let mut complaints = Vec::new();
    let files = reproducible::sources(workspace)?;
    let home = env::home_dir().unwrap_or_default();
    let paths: Vec<String> = [workspace.root(), &home]
        .iter()
        .map(|path| path.to_string_lossy().into_owned())
        .filter(|path| path.len() > 1)
        .collect();
    for file in &files {
        let bytes = fs::read(workspace.root().join(file))
            .with_context(|| format!("cannot read {}", file.display()))?;
        let Ok(text) = String::from_utf8(bytes) else { continue };
        for (number, line) in (1..).zip(text.lines()) {
            if let Some(path) = paths.iter().find(|path| names(line, path)) {
                complaints.push(format!("{}:{number} names {path}, a path of this machine", file.display()));
            }
        }
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        if name == "package-lock.json" && text.contains("\"resolved\"") {
            complaints.push(format!("{} holds registry addresses; .npmrc should omit them", file.display()));
        }
        if name.ends_with(".txt")
            && file.starts_with("packaging/python")
            && (text.contains("://") || text.contains("-index"))
        {
            complaints.push(format!("{} holds registry addresses", file.display()));
        }
    }
    let summary = format!("{} files name no path of this machine, and no registry", files.len());
    Ok(Report::of(complaints.is_empty(), summary, complaints.join("\n")))
}

/// Tells whether a line holds a path as a whole, not as part of a longer word or path.
fn names(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(index, _)| {
        let is_part = |character: char| character.is_alphanumeric() || "_-.".contains(character);
        let before = line[..index].chars().next_back();
        let after = line[index + path.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_as_a_whole() {
        assert!(names("see /home/me/x", "/home/me"));
        assert!(names("\"/home/me\"", "/home/me"));
        assert!(!names("../home/me", "/home/me"));
        assert!(!names("/home/mell", "/home/me"));
    }
}
