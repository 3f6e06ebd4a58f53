//! Makes the folder that serves workerlib as a remote package of PyScript's: the wheel, and a `workerlib.toml` that names it.
//! The interpreter module, with which PyScript's Pythons start from a snapshot, is served beside them.
//!
//! PyScript (0.7.31) does not resolve a relative path of a wheel inside a remote package, so the folder is made for one address.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::folder;
use crate::javascript;
use crate::setup::{self, need::Need};
use crate::steps::{Outcome, Steps};
use crate::wheel::{self, Kind};
use crate::workspace::Workspace;

/// The arguments of `cargo xtask publish`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The address at which the folder will be served, such as https://example.org/workerlib/
    #[arg(long, value_name = "URL", value_parser = check)]
    address: String,
}

/// Builds the wheel and writes the folder `target/publish`.
///
/// # Errors
/// If a step fails.
pub(crate) fn main(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let address = &options.address;
    let target = workspace.target().join("publish");
    let mut steps = Steps::default();
    setup::add(&mut steps, workspace, &[Need::PythonTools, Need::WasmCompiler, Need::NodePackages]);
    steps.add("building the wheel for Pyodide", || wheel::build(workspace, Kind::Wasm));
    steps.add("writing target/publish", || write(workspace, &target, address).map(|()| Outcome::Done));
    steps.run()?;
    println!(
        "serve target/publish as {address}; pages then say\n  experimental_remote_packages = true\n  packages = [\"{}\"]",
        beside(address, "workerlib.toml")
    );
    Ok(ExitCode::SUCCESS)
}

/// Writes the folder for one address: `workerlib.toml`, the wheel, the starter `workerlib.py`, and PyScript's interpreter module.
///
/// # Errors
/// If there is no wheel, or the folder cannot be written.
pub(crate) fn write(workspace: &Workspace, target: &Path, address: &str) -> Result<()> {
    let wheel = wheel::find(workspace, Kind::Wasm)?;
    let name = wheel.file_name().context("a wheel has a name")?;
    folder::empty(target)?;
    folder::copy_file(&wheel, &target.join(name))?;
    folder::copy_file(&starter(workspace).join("workerlib.py"), &target.join("workerlib.py"))?;
    javascript::build_interpreter(workspace, target)?;
    let config =
        format!("name = \"workerlib\"\npackages = [\"{}\"]\n", beside(address, &name.to_string_lossy()));
    fs::write(target.join("workerlib.toml"), config)?;
    Ok(())
}

/// The folder of the file that users put beside their page.
pub(crate) fn starter(workspace: &Workspace) -> PathBuf {
    workspace.package().join("python").join("workerlib").join("starter")
}

fn beside(address: &str, name: &str) -> String {
    format!("{}/{name}", address.trim_end_matches('/'))
}

/// Refuses what would not be an absolute address in a line of TOML.
fn check(address: &str) -> Result<String> {
    let rest = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://"));
    if rest.is_none_or(str::is_empty) || address.contains(['"', '\\', '?', '#', ' ', '\n']) {
        bail!("{address} is not the absolute address of a folder, such as https://example.org/workerlib/");
    }
    Ok(address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_absolute_and_of_a_folder() {
        for good in ["https://example.org/workerlib/", "http://localhost:8000/w"] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in
            ["", "https://", "/workerlib/", "./", "ftp://example.org/", "https://a/\"b", "https://a/?b"]
        {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_slash_at_the_end_makes_no_difference() {
        assert_eq!(beside("https://a/b/", "c"), "https://a/b/c");
        assert_eq!(beside("https://a/b", "c"), "https://a/b/c");
    }
}
