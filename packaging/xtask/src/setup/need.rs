//! The things that a command can need before its own work.

/// A program, or a set of packages, that a command needs before its own work.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Need {
    /// Python and the tools in `target/venv`.
    PythonTools,
    /// The builder of the documentation site in `target/docs-venv`.
    DocsTools,
    /// Compiler and linker for the wasm target.
    WasmCompiler,
    /// Node, also an old one.
    Node,
    /// Node and the npm packages.
    NodePackages,
    /// Node and the npm packages that check a release and the workflows.
    ReleasePackages,
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
    pub(crate) fn is_optional(self) -> bool {
        matches!(self, Self::Firefox | Self::WebKit)
    }
}
