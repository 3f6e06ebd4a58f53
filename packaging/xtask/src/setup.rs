//! Puts in place what a command needs: the system's programs, the Python tools, the npm packages, the wheels for Pyodide.
//!
//! Each is done once and stamped, so that a second run takes no time. Nothing is fetched but from the registries of Debian, PyPI
//! and npm by their own clients, at the versions and hashes of the lock files.

use self::need::Need;
use crate::steps::Steps;
use crate::workspace::Workspace;

pub(crate) mod browser;
pub(crate) mod need;
pub(crate) mod node;
pub(crate) mod python;
pub(crate) mod system;

/// Adds the steps that put the given things in place.
pub(crate) fn add<'a>(steps: &mut Steps<'a>, workspace: &'a Workspace, needs: &[Need]) {
    add_programs(steps, workspace, needs);
    add_python_tools(steps, workspace, needs);
    add_wheels(steps, workspace, needs);
    add_packages(steps, workspace, needs);
}

/// Adds the step that looks for the system's programs, which comes before all others.
pub(crate) fn add_programs<'a>(steps: &mut Steps<'a>, workspace: &'a Workspace, needs: &[Need]) {
    let needs = needs.to_vec();
    steps.add("looking for the system's programs", move || system::ensure(workspace, &needs));
}

/// Adds the steps that install the tools that are written in Python.
pub(crate) fn add_python_tools<'a>(steps: &mut Steps<'a>, workspace: &'a Workspace, needs: &[Need]) {
    if needs.contains(&Need::PythonTools) {
        steps.add("installing the Python tools", || python::ensure_tools(workspace));
    }
    if needs.contains(&Need::DocsTools) {
        steps.add("installing the builder of the documentation", || python::ensure_docs_tools(workspace));
    }
}

/// Adds the step that fetches the wheels for Pyodide by the Python tools.
pub(crate) fn add_wheels<'a>(steps: &mut Steps<'a>, workspace: &'a Workspace, needs: &[Need]) {
    if needs.contains(&Need::PyodideWheels) {
        steps.add("fetching wheels for Pyodide", || python::ensure_pyodide_wheels(workspace));
    }
}

/// Adds the steps that fetch packages from npm.
pub(crate) fn add_packages<'a>(steps: &mut Steps<'a>, workspace: &'a Workspace, needs: &[Need]) {
    if needs.contains(&Need::ReleasePackages) || needs.contains(&Need::NodePackages) {
        steps.add("looking for a Node that is new enough", || node::ensure_new_enough(workspace));
    }
    if needs.contains(&Need::ReleasePackages) {
        steps.add("fetching what checks workflows and releases", || node::ensure_release_packages(workspace));
    }
    if needs.contains(&Need::NodePackages) {
        steps.add("fetching Pyodide, PyScript and data", || node::ensure_packages(workspace));
    }
}
