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
    let needs = needs.to_vec();
    let has = |need| needs.contains(&need);
    let release = has(Need::ReleasePackages);
    let docs = has(Need::DocsTools);
    let (python, node, wheels) = (has(Need::PythonTools), has(Need::NodePackages), has(Need::PyodideWheels));
    steps.add("looking for the system's programs", move || system::ensure(workspace, &needs));
    if python {
        steps.add("installing the Python tools", || python::ensure_tools(workspace));
    }
    if docs {
        steps.add("installing the builder of the documentation", || python::ensure_docs_tools(workspace));
    }
    if release {
        steps.add("fetching what checks workflows and releases", || node::ensure_release_packages(workspace));
    }
    if wheels {
        steps.add("fetching wheels for Pyodide", || python::ensure_pyodide_wheels(workspace));
    }
    if node {
        steps.add("fetching Pyodide, PyScript and data", || node::ensure_packages(workspace));
    }
}
