//! Names the folders and files of the repository and of its `target` folder.
//!
//! Every path that two commands share is named here once. Nothing is read.

use std::env;
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result};

/// The variable that tells Python where to keep bytecode, so that nothing is left beside the sources.
pub(crate) const BYTECODE: &str = "PYTHONPYCACHEPREFIX";

/// The variable that tells Python to keep no bytecode. Images for containers often set it.
pub(crate) const NO_BYTECODE: &str = "PYTHONDONTWRITEBYTECODE";

/// Names the folders of one checkout.
#[derive(Clone, Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// Finds the checkout that this program was built from.
    pub(crate) fn of_this_program() -> Self {
        // cargo sets the variable when it runs us, so that a moved checkout still works.
        let manifest = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
        let root = manifest.ancestors().nth(2).unwrap_or(&manifest).to_path_buf();
        Self { root }
    }

    /// Names another checkout, at `root`.
    pub(crate) fn at(root: PathBuf) -> Self {
        Self { root }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The crate and Python package of the library.
    pub(crate) fn package(&self) -> PathBuf {
        self.root.join("workerlib-py")
    }

    pub(crate) fn packaging(&self, name: &str) -> PathBuf {
        self.root.join("packaging").join(name)
    }

    pub(crate) fn tests(&self, name: &str) -> PathBuf {
        self.root.join("tests").join(name)
    }

    pub(crate) fn target(&self) -> PathBuf {
        self.root.join("target")
    }

    /// The wheels of this project, native and wasm.
    pub(crate) fn wheels(&self) -> PathBuf {
        self.target().join("wheels")
    }

    /// The pure wheels of others that are installed in Pyodide.
    pub(crate) fn pure_wheels(&self) -> PathBuf {
        self.target().join("pyodide-wheels")
    }

    /// dask's wheels and those of what it needs, for the lock file of the site's Pyodide.
    pub(crate) fn dask_wheels(&self) -> PathBuf {
        self.target().join("pyodide-dask-wheels")
    }

    /// The pure wheels that are built here, for the lock file of the site's Pyodide.
    pub(crate) fn built_wheels(&self) -> PathBuf {
        self.target().join("pyodide-built-wheels")
    }

    /// The folder of the tool that builds wheels.
    pub(crate) fn builder(&self) -> PathBuf {
        self.target().join("builder")
    }

    /// The wheels of others, compiled ones among them, that tests install in Pyodide 314.
    pub(crate) fn wheels_of_314(&self) -> PathBuf {
        self.target().join("pyodide-314-wheels")
    }

    /// Makes the folder for the results of a benchmark: the committed one for a full run, one below `target` for a quick one.
    ///
    /// # Errors
    /// If it cannot be made.
    pub(crate) fn results(&self, quick: bool) -> Result<PathBuf> {
        let folder =
            if quick { self.target().join("bench") } else { self.root.join("benches").join("results") };
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(folder)
    }

    pub(crate) fn node_modules(&self) -> PathBuf {
        self.target().join("npm").join("node_modules")
    }

    /// A program of the npm packages. npm makes a script of another kind for Windows.
    pub(crate) fn npm_program(&self, name: &str) -> PathBuf {
        program_in(&self.node_modules(), name)
    }

    /// The virtual environment of the tools.
    pub(crate) fn venv(&self) -> PathBuf {
        self.target().join("venv")
    }

    /// The folder of the bytecode that Python makes of modules when they are first imported, wherever those lie (`process.rs`).
    pub(crate) fn bytecode(&self) -> PathBuf {
        self.target().join("bytecode")
    }

    /// The part of that folder for modules below another folder.
    pub(crate) fn bytecode_of(&self, folder: &Path) -> PathBuf {
        let names = folder.components().filter(|component| matches!(component, Component::Normal(_)));
        self.bytecode().join(names.collect::<PathBuf>())
    }

    /// The folder of libraries that users have and the package does not need.
    pub(crate) fn optional(&self) -> PathBuf {
        self.target().join("optional")
    }

    /// The folder of pandas 2, beside the tools.
    pub(crate) fn pandas_2(&self) -> PathBuf {
        self.target().join("pandas-2")
    }

    /// The Python of the virtual environment of the tools.
    pub(crate) fn python(&self) -> PathBuf {
        python_of(&self.venv())
    }

    /// A program of the virtual environment of the tools.
    pub(crate) fn tool(&self, name: &str) -> PathBuf {
        program_of(&self.venv(), name)
    }

    /// The virtual environment of the builder of the documentation site.
    pub(crate) fn docs_venv(&self) -> PathBuf {
        self.target().join("docs-venv")
    }
}

/// Names a program of the packages in a folder `node_modules`.
pub(crate) fn program_in(node_modules: &Path, name: &str) -> PathBuf {
    let suffix = if cfg!(windows) { ".cmd" } else { "" };
    node_modules.join(".bin").join(format!("{name}{suffix}"))
}

/// Names a program of a virtual environment.
pub(crate) fn program_of(venv: &Path, name: &str) -> PathBuf {
    let (folder, suffix) = if cfg!(windows) { ("Scripts", ".exe") } else { ("bin", "") };
    venv.join(folder).join(format!("{name}{suffix}"))
}

/// Names the Python of a virtual environment.
pub(crate) fn python_of(venv: &Path) -> PathBuf {
    if cfg!(windows) { venv.join("Scripts").join("python.exe") } else { venv.join("bin").join("python") }
}
