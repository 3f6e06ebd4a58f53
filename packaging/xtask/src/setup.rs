//! Puts in place what a command needs: the system's programs, the Python tools, the npm packages, the wheels for Pyodide.
//!
//! Each is done once and stamped, so that a second run takes no time. Nothing is fetched but from the registries of Debian, PyPI
//! and npm by their own clients, at the versions and hashes of the lock files.

use crate::steps::Steps;
use crate::workspace::Workspace;

pub(crate) mod browser;
pub(crate) mod node;
pub(crate) mod python;
pub(crate) mod system;

/// Something that a command needs before its own work.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Need {
    /// Python and the tools in `target/venv`.
    PythonTools,
    /// Compiler and linker for the wasm target.
    WasmCompiler,
    /// Node and the npm packages.
    NodePackages,
    /// The pure wheels that go into Pyodide.
    PyodideWheels,
    /// A Chromium to drive.
    Browser,
    /// A Firefox to drive, where one can be had.
    Firefox,
    /// A WebKit to drive, where one can be had.
    WebKit,
    /// rustfmt and clippy.
    RustLints,
    /// A C++ compiler, which builds libFuzzer.
    CxxCompiler,
    /// Valgrind, which watches the memory of the native tests.
    Valgrind,
}

impl Need {
    /// Whether what needs it goes on without it, and says so.
    fn is_optional(self) -> bool {
        matches!(self, Self::Firefox | Self::WebKit)
    }
}

/// Adds the steps that put the given things in place.
pub(crate) fn add<'a>(steps: &mut Steps<'a>, workspace: &'a Workspace, needs: &[Need]) {
    let needs = needs.to_vec();
    let has = |need| needs.contains(&need);
    let (python, node, wheels) = (has(Need::PythonTools), has(Need::NodePackages), has(Need::PyodideWheels));
    steps.add("looking for the system's programs", move || system::ensure(workspace, &needs));
    if python {
        steps.add("installing the Python tools", || python::ensure_tools(workspace));
    }
    if wheels {
        steps.add("fetching wheels for Pyodide", || python::ensure_pyodide_wheels(workspace));
    }
    if node {
        steps.add("fetching Pyodide, PyScript and data", || node::ensure_packages(workspace));
    }
}
