//! Makes a release: the files of one version, checked, with their sums; then the commit and the tag.
//!
//! The files are made from a copy of the sources that says the new version. So `--dry-run` makes them all and changes nothing
//! in the checkout, and a release changes it only behind the last check. Nothing is published here: a person pushes the tag, and
//! the workflow `release` publishes the same files.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{self as this, Command, ExitCode};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};

pub(crate) use self::artefacts::CRATES;
use self::project::Project;
use self::version::Version;
use crate::setup::{self, need::Need, node::FETCHED};
use crate::steps::{Outcome, Steps};
use crate::wheel::{self, Kind};
use crate::workspace::Workspace;
use crate::{folder, process, reproducible};

mod artefacts;
pub(crate) mod checks;
mod project;
pub(crate) mod version;

/// The arguments of `cargo xtask release`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The version: three numbers, such as 0.2.0
    #[arg(long, value_name = "X.Y.Z")]
    version: Version,
    /// Makes and checks all files, and neither commits nor tags
    #[arg(long)]
    dry_run: bool,
    /// For the workflow: makes the files of the commit that the tag of the version names
    #[arg(long, conflicts_with = "dry_run")]
    tagged: bool,
}

/// Makes the release.
///
/// # Errors
/// If the checkout is not ready for the version, or a step fails.
pub(crate) fn main(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let version = options.version;
    let notes = check_checkout(workspace, options)?;
    let head = &git(workspace, &["rev-parse", "HEAD"])?;
    let project = &Project::of(workspace)?;
    if project.repository.is_none() && !options.dry_run {
        bail!(
            "a release names the repository: write repository = \"https://example.org/owner/workerlib\", with its \
             address, under [workspace.metadata.project] of Cargo.toml, and commit it"
        );
    }
    let audit_python = checks::python_for_audit()?;
    if audit_python.is_none() && !options.dry_run {
        bail!(
            "a release needs Python 3.12 or later, for pyodide-build's audit of the wheels; install one, or name it by {}",
            checks::OVERRIDE
        );
    }
    let target = &workspace.target().join(format!("release-{version}"));
    let place = env::temp_dir().join(format!("workerlib {version} is made here {}", this::id()));
    let copy = &Workspace::at(place.clone());
    // The commit of the release gets this date, so that its wheel can be reproduced from it.
    let epoch = &if options.tagged { wheel::epoch(workspace) } else { seconds_now()? };
    let mut steps = Steps::default();
    let needs = [Need::PythonTools, Need::DocsTools, Need::WasmCompiler, Need::NodePackages];
    setup::add(&mut steps, workspace, &needs);
    steps.add("installing what checks a release", || checks::ensure_tools(workspace));
    steps.add("copying the sources", || {
        copy_sources(workspace, copy, version, &date_of(workspace, epoch)?)?;
        project.write_address(copy)?;
        folder::empty(target)?;
        fs::write(target.join("NOTES.md"), format!("{notes}\n"))?;
        Ok(Outcome::Done)
    });
    steps.add("building the wheel for Pyodide", || wheel::build_of(copy, copy, Kind::Wasm, epoch));
    steps.add("checking it", || wheel::check(copy, Kind::Wasm).map(Outcome::Note));
    steps.add("building the native wheel", || wheel::build_of(copy, copy, Kind::Native, epoch));
    steps.add("checking it", || wheel::check(copy, Kind::Native).map(Outcome::Note));
    steps.add("collecting the wheels", || artefacts::wheels(copy, project, target, epoch));
    steps.add("making the source archive", || artefacts::source_archive(copy, project, target, epoch));
    steps.add("making the npm package", || artefacts::npm(copy, target));
    steps.add("packaging the crates", || artefacts::crates(copy, target, options.dry_run));
    steps.add("building the documentation site", || artefacts::site(copy, target, &version.to_string()));
    steps.add("checking what PyPI gets", || checks::pypi(workspace, target));
    steps.add("checking what npm gets", || checks::npm(workspace, target));
    steps.add("auditing the wheels by pyodide-build", || match &audit_python {
        Some(python) => checks::audit(workspace, &artefacts::pyodide_wheels(target)?, python),
        None => Ok(Outcome::Note("left out: there is no Python 3.12 or later here".into())),
    });
    steps.add("building the wheel again in another folder", || reproducible::check_dated(copy, epoch));
    if !options.dry_run && !options.tagged {
        steps.add("committing and tagging", || {
            check_unchanged(workspace, head)?;
            write_version(workspace, version, &date_of(workspace, epoch)?)?;
            commit(workspace, version, epoch).map(|()| Outcome::Note(format!("v{version}")))
        });
    }
    let result = steps.run();
    // A temporary folder that cannot be removed is no reason to fail.
    let _ = fs::remove_dir_all(&place);
    result?;
    print!("\n{}", artefacts::sums(target)?);
    println!("\nthese files are in {}", target.display());
    if !options.dry_run && !options.tagged {
        println!("publish them: git push origin HEAD v{version}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Checks that the checkout can become the version, and returns what the changelog tells of it.
fn check_checkout(workspace: &Workspace, options: &Options) -> Result<String> {
    let version = options.version;
    let tag = format!("v{version}");
    let changed = git(workspace, &["status", "--porcelain"])?;
    if !changed.is_empty() {
        bail!("the work tree has changes that are not committed; commit or remove them:\n{changed}");
    }
    let tagged = git(workspace, &["tag", "--list", &tag])?;
    let now = version::of(workspace)?;
    if options.tagged {
        let tags = git(workspace, &["tag", "--points-at", "HEAD"])?;
        if !tags.lines().any(|line| line == tag) || now != version {
            bail!(
                "HEAD is not the release {version}: its tags are {tags:?}, and Cargo.toml says {now}; check out {tag}, \
                 which the same command without --tagged makes"
            );
        }
    } else {
        if !tagged.is_empty() {
            bail!("the version {version} exists: git has the tag {tag}; choose a later one");
        }
        if version < now {
            bail!("{version} is before {now}, which Cargo.toml says; choose a later one");
        }
    }
    let wrong = version::disagreements(workspace)?;
    if !wrong.is_empty() {
        bail!("the files have several versions; write that of Cargo.toml into each:\n{}", wrong.join("\n"));
    }
    version::notes(workspace, version)
}

/// Checks that nobody has edited the checkout while the files were made, which takes minutes.
fn check_unchanged(workspace: &Workspace, head: &str) -> Result<()> {
    let changed = git(workspace, &["status", "--porcelain"])?;
    if !changed.is_empty() || git(workspace, &["rev-parse", "HEAD"])? != head {
        bail!("the checkout changed while the files were made; start the command again\n{changed}");
    }
    Ok(())
}

/// Copies the sources, with the version in all its places and the date in the changelog. The tools are those of `workspace`.
fn copy_sources(workspace: &Workspace, copy: &Workspace, version: Version, date: &str) -> Result<()> {
    folder::empty(copy.root())?;
    for file in reproducible::sources(workspace)? {
        folder::copy_file(&workspace.root().join(&file), &copy.root().join(&file))?;
    }
    write_version(copy, version, date)?;
    fs::create_dir_all(copy.target())?;
    link_tools(workspace, copy)
}

/// Links the tools into the copy: among them the Node that npm has fetched, where the system's is too old.
fn link_tools(workspace: &Workspace, copy: &Workspace) -> Result<()> {
    let fetched = workspace.target().join(FETCHED).exists().then_some(FETCHED);
    for name in ["venv", "docs-venv", "npm"].into_iter().chain(fetched) {
        link(&workspace.target().join(name), &copy.target().join(name))
            .with_context(|| format!("cannot link target/{name} into the copy"))?;
    }
    Ok(())
}

#[cfg(unix)]
fn link(original: &Path, place: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(original, place)
}

#[cfg(windows)]
fn link(original: &Path, place: &Path) -> std::io::Result<()> {
    std::os::windows::fs::symlink_dir(original, place)
}

/// Writes the version into all its places, and the date into the changelog.
fn write_version(workspace: &Workspace, version: Version, date: &str) -> Result<()> {
    version::set(workspace, version)?;
    version::date_changelog(workspace, version, date)
}

/// Commits the version, and tags the commit.
fn commit(workspace: &Workspace, version: Version, epoch: &str) -> Result<()> {
    let title = format!("release: {version}");
    let date = format!("{epoch} +0000");
    let tag = format!("v{version}");
    for arguments in [
        ["commit", "--all", "--allow-empty", "--message", &title].as_slice(),
        &["tag", "--annotate", "--message", &title, &tag],
    ] {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(workspace.root());
        command.env("GIT_AUTHOR_DATE", &date).env("GIT_COMMITTER_DATE", &date);
        process::run(workspace, "release-git", &mut command)?;
    }
    Ok(())
}

fn git(workspace: &Workspace, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new("git");
    command.args(arguments).current_dir(workspace.root());
    process::ask(&mut command)
        .with_context(|| format!("git {} failed: is this a checkout?", arguments.join(" ")))
}

fn seconds_now() -> Result<String> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    Ok(since.as_secs().to_string())
}

/// The date of some seconds since 1970, in UTC, as a changelog has it.
fn date_of(workspace: &Workspace, epoch: &str) -> Result<String> {
    let script =
        "import datetime as d, sys; print(d.datetime.fromtimestamp(int(sys.argv[1]), d.timezone.utc).date())";
    process::ask(Command::new(workspace.python()).args(["-c", script, epoch])).context("Python knows no date")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A checkout of its own, with the files that have the version, for tests that commit and tag.
    fn checkout(name: &str) -> Workspace {
        let copy = Workspace::at(env::temp_dir().join(format!("xtask {name} {}", this::id())));
        folder::empty(copy.root()).expect("the folder is ours");
        let ours = Workspace::of_this_program();
        for file in version::files() {
            let (from, to) = (ours.root().join(file), copy.root().join(file));
            folder::copy_file(&from, &to).expect("the file is there");
        }
        for arguments in [
            ["init", "--quiet"].as_slice(),
            &["config", "user.name", "nobody"],
            &["config", "user.email", "nobody@example.org"],
            &["add", "--all"],
            &["commit", "--quiet", "--message", "first"],
        ] {
            git(&copy, arguments).expect("git is here");
        }
        copy
    }

    fn refusal(checkout: &Workspace, version: &str, tagged: bool) -> String {
        let version = version.parse().expect("it is a version");
        let options = Options { version, dry_run: false, tagged };
        check_checkout(checkout, &options).map_or_else(|error| format!("{error:#}"), |_| String::new())
    }

    /// The copy has the tools of the checkout, and the fetched Node if there is one.
    #[test]
    fn the_copy_has_the_tools() {
        let (ours, copy) = (checkout("with tools"), checkout("without tools"));
        for name in ["venv", "docs-venv", "npm"] {
            fs::create_dir_all(ours.target().join(name)).expect("the folder is ours");
        }
        fs::create_dir_all(copy.target()).expect("the folder is ours");
        link_tools(&ours, &copy).expect("there is nothing yet");
        assert!(copy.target().join("npm").is_dir() && !copy.target().join(FETCHED).exists());
        let again = checkout("without tools, again");
        fs::create_dir_all(again.target()).expect("the folder is ours");
        fs::create_dir_all(ours.target().join(FETCHED)).expect("the folder is ours");
        link_tools(&ours, &again).expect("there is nothing yet");
        assert!(again.target().join(FETCHED).is_dir());
        for checkout in [ours, copy, again] {
            fs::remove_dir_all(checkout.root()).expect("the folder is ours");
        }
    }

    /// A release that is too early fails before the first file is built, and the error says what to do.
    #[test]
    fn a_checkout_that_is_not_ready_is_refused() {
        let checkout = checkout("not ready");
        let now = version::of(&checkout).expect("it has one").to_string();
        assert_eq!(refusal(&checkout, &now, false), "");
        assert!(refusal(&checkout, "0.0.1", false).contains("choose a later one"));
        assert!(refusal(&checkout, &now, true).contains("is not the release"));
        git(&checkout, &["tag", &format!("v{now}")]).expect("git is here");
        assert!(refusal(&checkout, &now, false).contains("the version"), "the tag exists");
        assert_eq!(refusal(&checkout, &now, true), "");
        fs::write(checkout.root().join("more"), "").expect("the folder is ours");
        assert!(refusal(&checkout, "7.0.0", false).contains("commit or remove"));
        fs::remove_file(checkout.root().join("more")).expect("it was there");
        fs::write(checkout.root().join("CHANGELOG.md"), "# Changelog\n\n## Unreleased\n")
            .expect("it is ours");
        git(&checkout, &["commit", "--quiet", "--all", "--message", "nothing new"]).expect("git is here");
        assert!(refusal(&checkout, "7.0.0", false).contains("has nothing to tell of 7.0.0"));
        fs::remove_dir_all(checkout.root()).expect("the folder is ours");
    }

    /// A release must not commit an edit that its files do not have.
    #[test]
    fn a_checkout_that_changes_meanwhile_is_not_committed() {
        let checkout = checkout("changing");
        let head = git(&checkout, &["rev-parse", "HEAD"]).expect("git is here");
        check_unchanged(&checkout, &head).expect("nothing changed");
        fs::write(checkout.root().join("CHANGELOG.md"), "# Another\n").expect("the folder is ours");
        assert!(check_unchanged(&checkout, &head).is_err(), "a file is edited");
        git(&checkout, &["commit", "--quiet", "--all", "--message", "another"]).expect("git is here");
        assert!(check_unchanged(&checkout, &head).is_err(), "HEAD is another commit");
        fs::remove_dir_all(checkout.root()).expect("the folder is ours");
    }

    /// The release is a commit of the chosen date with an annotated tag, and the tree is clean behind it.
    #[test]
    fn a_release_is_a_commit_with_a_tag() {
        let checkout = checkout("to tag");
        let version = "7.8.9".parse().expect("it is a version");
        let unreleased = wheel::epoch(&checkout);
        write_version(&checkout, version, "2033-05-18").expect("the files are ours");
        commit(&checkout, version, "2000000000").expect("git is here");
        assert_eq!(wheel::epoch(&checkout), "2000000000");
        assert_eq!(git(&checkout, &["describe"]).expect("it has a tag"), "v7.8.9");
        assert_eq!(refusal(&checkout, "7.8.9", true), "");
        let log = fs::read_to_string(checkout.root().join("CHANGELOG.md")).expect("it is there");
        assert!(log.contains("## 7.8.9 - 2033-05-18\n"));
        git(&checkout, &["commit", "--quiet", "--allow-empty", "--message", "later"]).expect("git is here");
        assert_eq!(wheel::epoch(&checkout), unreleased, "what is not a release has a date of its own");
        fs::remove_dir_all(checkout.root()).expect("the folder is ours");
    }
}
