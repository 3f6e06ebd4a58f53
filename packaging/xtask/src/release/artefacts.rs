//! Makes the files of a release from a copy of the sources, each in the folder of the place that takes it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::Value;

use super::project::Project;
use crate::process;
use crate::stamp::{files_under, sha256_of};
use crate::steps::Outcome;
use crate::wheel::{self, Kind};
use crate::workspace::Workspace;
use crate::{docs, folder, javascript};

/// The crates that are published, each behind what it depends on.
pub(crate) const CRATES: [&str; 2] = ["workerlib-core", "workerlib-codec"];

/// Copies the wheels: the one for sites with all its names, and one with the names that PyPI takes (PEP 783). PyPI's wheels
/// have the name of the project there.
pub(super) fn wheels(copy: &Workspace, project: &Project, target: &Path, epoch: &str) -> Result<Outcome> {
    let (wasm, native) = (wheel::find(copy, Kind::Wasm)?, wheel::find(copy, Kind::Native)?);
    let into = |wheel: &Path, name: &str| {
        let target = target.join(name).join(wheel.file_name().context("a wheel has a name")?);
        folder::copy_file(wheel, &target).map(|()| target)
    };
    into(&wasm, "site")?;
    into(&native, "native")?;
    let for_pypi = into(&wasm, "pypi")?;
    let mut retag = Command::new(copy.python());
    let tags = format!("--platform-tag={}", wheel::platforms_of_pypi().join("."));
    retag.args(["-m", "wheel", "tags", "--remove"]).arg(tags).arg(for_pypi).env("SOURCE_DATE_EPOCH", epoch);
    process::run(copy, "release-tags", &mut retag)?;
    if !project.has_other_name() {
        return Ok(Outcome::Done);
    }
    let mut rename = Command::new(copy.python());
    rename.arg(copy.packaging("release").join("rename_distribution.py"));
    for folder in ["pypi", "native"] {
        rename.args(files_under(&target.join(folder))?);
    }
    process::run(copy, "release-names", &mut rename)?;
    Ok(Outcome::Note(format!("as {} for PyPI", project.distribution)))
}

/// The wheels for Pyodide among the files of a release.
pub(super) fn pyodide_wheels(target: &Path) -> Result<Vec<PathBuf>> {
    let mut files = files_under(&target.join("site"))?;
    files.extend(files_under(&target.join("pypi"))?);
    files.retain(|file| file.extension().is_some_and(|name| name == "whl"));
    Ok(files)
}

/// Makes the source archive for PyPI, with the project's name there.
pub(super) fn source_archive(
    copy: &Workspace,
    project: &Project,
    target: &Path,
    epoch: &str,
) -> Result<Outcome> {
    let manifest = copy.package().join("pyproject.toml");
    let text = fs::read_to_string(&manifest)?;
    project.write_name(copy)?;
    let mut maturin = Command::new(copy.tool("maturin"));
    maturin.arg("sdist").arg("--manifest-path").arg(copy.package().join("Cargo.toml"));
    maturin.arg("--out").arg(target.join("pypi")).env("SOURCE_DATE_EPOCH", epoch).current_dir(copy.root());
    process::run(copy, "release-sdist", &mut maturin)?;
    // The wheels are compared with these sources later.
    fs::write(&manifest, text)?;
    Ok(Outcome::Done)
}

/// Makes the archives of the crates; cargo builds each from its archive, so what it lacks is found.
///
/// # Errors
/// If cargo fails; also, unless it is a `dry_run`, if the manifests let nothing be published.
pub(super) fn crates(copy: &Workspace, target: &Path, dry_run: bool) -> Result<Outcome> {
    let kept_back = kept_back(copy)?;
    if !kept_back.is_empty() {
        let reason = format!("{} may not be published: publish = false", kept_back.join(" and "));
        return if dry_run { Ok(Outcome::Note(format!("left out: {reason}"))) } else { Err(anyhow!(reason)) };
    }
    let mut cargo = process::cargo();
    cargo.args(["package", "--locked"]).current_dir(copy.root());
    for name in CRATES {
        cargo.args(["--package", name]);
    }
    // The copy is not a checkout, so that cargo finds no commit to name in the archive.
    cargo.arg("--target-dir").arg(copy.target().join("crates"));
    process::run(copy, "release-crates", &mut cargo)?;
    for file in files_under(&copy.target().join("crates").join("package"))? {
        if file.extension().is_some_and(|name| name == "crate") {
            folder::copy_file(&file, &target.join("crates").join(file.file_name().unwrap_or_default()))?;
        }
    }
    Ok(Outcome::Done)
}

/// The crates that their manifests keep from being published.
fn kept_back(copy: &Workspace) -> Result<Vec<&'static str>> {
    let mut cargo = process::cargo();
    cargo.args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(copy.root());
    let text = process::ask(&mut cargo).context("cargo metadata failed")?;
    let metadata: Value = serde_json::from_str(&text).context("cargo metadata wrote no JSON")?;
    let packages = metadata["packages"].as_array().context("cargo metadata names no packages")?;
    let may = |name: &str| packages.iter().any(|one| one["name"] == name && one["publish"].is_null());
    Ok(CRATES.into_iter().filter(|name| !may(name)).collect())
}

/// Makes the npm package and its archive.
pub(super) fn npm(copy: &Workspace, target: &Path) -> Result<Outcome> {
    javascript::build_package(copy, &wheel::find(copy, Kind::Wasm)?)?;
    javascript::pack(copy, &target.join("npm"))?;
    Ok(Outcome::Done)
}

/// Builds the documentation site and puts it into one archive.
pub(super) fn site(copy: &Workspace, target: &Path, version: &str) -> Result<Outcome> {
    let run = docs::build(copy)?;
    if !run.succeeded {
        bail!("{}", docs::complaints(&run.output));
    }
    let folder = target.join("site");
    fs::create_dir_all(&folder)?;
    let mut zip = Command::new(copy.python());
    zip.args(["-m", "zipfile", "-c"]).arg(folder.join(format!("workerlib-docs-{version}.zip")));
    process::run(copy, "release-site", zip.arg("docs").current_dir(copy.target()))?;
    Ok(Outcome::Done)
}

/// Writes the sums of all files into SHA256SUMS, in the form that `sha256sum --check` reads.
pub(super) fn sums(target: &Path) -> Result<String> {
    let file = target.join("SHA256SUMS");
    let _ = fs::remove_file(&file);
    let mut text = String::new();
    for path in files_under(target)? {
        let name = path.strip_prefix(target).context("the file is below its folder")?;
        if name != Path::new("NOTES.md") {
            let sum = sha256_of(&path)?;
            text.push_str(&format!("{sum}  {}\n", name.display()));
        }
    }
    fs::write(&file, &text)?;
    Ok(text)
}
