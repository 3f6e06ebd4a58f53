//! Builds the two wheels of the library: one for every supported Pyodide, one for the Python of this machine.
//!
//! Both are made from the same crate by maturin, and work for CPython's stable ABI. The wasm wheel of a commit has the same bytes
//! wherever it is built (see `reproducible`).

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};

use crate::compiler::{self, Compiler};
use crate::setup::node;
use crate::stamp::{self, Fingerprint};
use crate::steps::Outcome;
use crate::workspace::Workspace;
use crate::{folder, javascript, linker, process};

/// The most bytes that the wasm module may have: it grows with features, not with accidents.
const LARGEST_MODULE: u64 = 620_000;

/// The npm package of the Pyodide whose bytecode the wheel has.
const BYTECODE_OF: &str = "pyodide-314";

/// The platforms of the one wheel: Pyodide 0.29 (its first releases knew only the first name), 314 and 315.
const PLATFORMS: [&str; 4] = [
    "pyodide_2025_0_wasm32",
    "pyemscripten_2025_0_wasm32",
    "pyemscripten_2026_0_wasm32",
    "pyemscripten_2026_5_wasm32",
];

/// The names of these that PyPI takes: PEP 783 knows `pyemscripten` only.
pub(crate) fn platforms_of_pypi() -> Vec<&'static str> {
    PLATFORMS.into_iter().filter(|name| name.starts_with("pyemscripten_")).collect()
}

/// The date of the wheel's files where no released commit tells one: 2026-01-01.
const FALLBACK_EPOCH: &str = "1767225600";

/// The compiled module's name in the wheel for Pyodide.
const MODULE: &str = "_native.abi3.so";

/// The largest size, in LLVM's units, of a function that is copied to where it is called from. LLVM's own number is 225, which makes
/// the module a tenth larger and no faster (ADR 78). Functions that say `#[inline]` may be larger.
const INLINED: u32 = 120;

/// The same for a call that seldom runs, such as the dropping of values when something fails. LLVM's own number is 45, which it
/// forgets where it is told the one above (ADR 87); this one takes another 180 bytes off (ADR 109).
const INLINED_SELDOM: u32 = 20;

/// The features that rustc's code needs beyond WebAssembly's first version, by binaryen's names. The linker strips the section
/// that says so, and nothing else may be used: an old browser that runs Pyodide has to run the module.
const WASM_FEATURES: [&str; 5] =
    ["bulk-memory", "exception-handling", "mutable-globals", "nontrapping-float-to-int", "sign-ext"];

/// Which wheel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Wasm,
    Native,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Wasm => "wasm",
            Self::Native => "native",
        }
    }

    fn owns(self, file_name: &str) -> bool {
        file_name.ends_with(".whl") && (self == Self::Wasm) == file_name.contains("wasm32")
    }
}

/// Builds one wheel, if its sources changed.
///
/// # Errors
/// If a tool fails.
pub(crate) fn build(workspace: &Workspace, kind: Kind) -> Result<Outcome> {
    build_of(workspace, workspace, kind, &epoch(workspace))
}

/// Builds one wheel with the tools of `tools` from the sources of `workspace`, if they changed; `epoch` dates its files.
///
/// # Errors
/// If a tool fails.
pub(crate) fn build_of(workspace: &Workspace, tools: &Workspace, kind: Kind, epoch: &str) -> Result<Outcome> {
    let compiler = compiler_of(kind)?;
    let stamped = workspace.wheels().join(kind.name());
    let fingerprint = fingerprint(workspace, compiler.as_ref(), epoch)?;
    if stamp::is_fresh(&stamped, &fingerprint) && find(workspace, kind).is_ok() {
        return describe(workspace, tools, kind);
    }
    let packed = workspace.target().join(kind.name()).join("packed");
    stamp::clear(&stamped);
    folder::empty(&packed)?;
    folder::empty(&stamped)?;
    let mut maturin = Command::new(tools.tool("maturin"));
    maturin.args(["build", "--release", "--locked", "--quiet", "--manifest-path"]);
    maturin.arg(workspace.package().join("Cargo.toml")).arg("--out").arg(&packed);
    maturin
        .arg("--interpreter")
        .arg(tools.python())
        .env("SOURCE_DATE_EPOCH", epoch)
        .current_dir(workspace.root());
    match &compiler {
        Some(compiler) => configure_wasm(&mut maturin, workspace, compiler)?,
        None => configure_native(&mut maturin),
    }
    process::run(workspace, &format!("maturin-{}", kind.name()), &mut maturin)?;
    if kind == Kind::Wasm {
        complete_wasm(workspace, tools, &packed, epoch)?;
        let mut retag = Command::new(tools.python());
        retag
            .args(["-m", "wheel", "tags", "--remove"])
            .arg(format!("--platform-tag={}", PLATFORMS.join(".")));
        process::run(
            workspace,
            "wheel-tags",
            retag.arg(only_file(&packed)?).env("SOURCE_DATE_EPOCH", epoch),
        )?;
        let mut order = Command::new(tools.python());
        order.arg(tools.packaging("python").join("order_wheel.py")).arg(only_file(&packed)?);
        process::run(workspace, "wheel-order", &mut order)?;
    }
    let wheel = only_file(&packed)?;
    fs::rename(&wheel, stamped.join(wheel.file_name().context("a wheel has a name")?))?;
    let outcome = describe(workspace, tools, kind)?;
    stamp::set(&stamped, &fingerprint)?;
    Ok(outcome)
}

/// Makes the module of the wheel that lies in `packed` smaller, puts the JavaScript into the wheel (its worker's script, and the
/// module for pages), and the Python modules into two files with their bytecode.
fn complete_wasm(workspace: &Workspace, tools: &Workspace, packed: &Path, epoch: &str) -> Result<()> {
    let wheel = only_file(packed)?;
    let unpacked = workspace.target().join("wasm").join("unpacked");
    folder::empty(&unpacked)?;
    let python = || {
        let mut command = Command::new(tools.python());
        command.args(["-m", "wheel"]).env("SOURCE_DATE_EPOCH", epoch);
        command
    };
    process::run(workspace, "wheel-unpack", python().args(["unpack", "--dest"]).arg(&unpacked).arg(&wheel))?;
    let mut trees = fs::read_dir(&unpacked)?;
    let tree = trees.next().context("an unpacked wheel is a folder")??.path();
    let package = tree.join("workerlib");
    optimize(tools, &package.join(MODULE))?;
    javascript::build_for_wheel(workspace, tools, &package.join("javascript"))?;
    let mut bundle = Command::new(node::find(tools)?);
    bundle.arg(tools.packaging("python").join("bundle_modules.mjs"));
    bundle.arg(tools.node_modules().join(BYTECODE_OF)).arg(&package);
    process::run(workspace, "wheel-modules", &mut bundle)?;
    fs::remove_file(&wheel)?;
    process::run(workspace, "wheel-pack", python().args(["pack", "--dest-dir"]).arg(packed).arg(&tree))?;
    Ok(())
}

/// Has binaryen optimize the wasm module, in its place.
///
/// LLVM's code for a stack machine is larger than it must be: by a seventh here.
fn optimize(tools: &Workspace, module: &Path) -> Result<()> {
    let optimized = module.with_extension("optimized");
    let mut wasm_opt = javascript::tool(tools, "wasm-opt");
    // No object of Emscripten's lies in the first kilobyte, so a sum of an address and a small number can become the offset of
    // a load: it does not wrap around.
    wasm_opt.arg(module).args(["-Oz", "--low-memory-unused", "--mvp-features"]);
    wasm_opt.args(WASM_FEATURES.map(|feature| format!("--enable-{feature}")));
    process::run(tools, "wasm-opt", wasm_opt.arg("--output").arg(&optimized))?;
    fs::rename(&optimized, module)?;
    Ok(())
}

/// Tells whether the wheel of `workspace` was built from the same sources as lie in `other`.
///
/// # Errors
/// If they cannot be read.
pub(crate) fn is_built_from(
    workspace: &Workspace,
    other: &Workspace,
    kind: Kind,
    epoch: &str,
) -> Result<bool> {
    let fingerprint = fingerprint(other, compiler_of(kind)?.as_ref(), epoch)?;
    Ok(stamp::is_fresh(&workspace.wheels().join(kind.name()), &fingerprint))
}

/// Finds a wheel that was built.
///
/// # Errors
/// If it was not.
pub(crate) fn find(workspace: &Workspace, kind: Kind) -> Result<PathBuf> {
    let wheel = only_file(&workspace.wheels().join(kind.name()))?;
    let name = wheel.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if !kind.owns(&name) {
        bail!("{} is not a {} wheel; remove it", wheel.display(), kind.name());
    }
    Ok(wheel)
}

/// Tells a wheel's name and size.
fn describe(workspace: &Workspace, tools: &Workspace, kind: Kind) -> Result<Outcome> {
    let name = find(workspace, kind)?.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Outcome::Note(format!("{name}: {}", inspect(workspace, tools, kind, &[])?)))
}

/// Checks all that a wheel holds, and tells its size.
///
/// # Errors
/// If something is missing, wrong or too large.
pub(crate) fn check(workspace: &Workspace, kind: Kind) -> Result<String> {
    let limit = LARGEST_MODULE.to_string();
    let flags: &[&str] =
        if kind == Kind::Wasm { &["--complete", "--largest", &limit] } else { &["--complete"] };
    inspect(workspace, workspace, kind, flags)
}

/// Runs `packaging/python/inspect_wheel.py`.
fn inspect(workspace: &Workspace, tools: &Workspace, kind: Kind, flags: &[&str]) -> Result<String> {
    let wheel = find(workspace, kind)?;
    let mut inspect = Command::new(tools.python());
    inspect.arg(tools.packaging("python").join("inspect_wheel.py")).arg(&wheel).args(flags);
    if kind == Kind::Wasm {
        // A path of this machine in the module would tell where it was built, and make its bytes depend on that.
        inspect.args([
            "--without",
            &workspace.root().to_string_lossy(),
            "--without",
            &cargo_home().to_string_lossy(),
        ]);
    }
    let output = process::run(workspace, "inspect-wheel", &mut inspect)?;
    let facts: serde_json::Value =
        serde_json::from_str(&output).context("inspect_wheel.py did not write JSON")?;
    let number = |name: &str| {
        facts.get(name).and_then(serde_json::Value::as_u64).with_context(|| format!("no {name}"))
    };
    let (raw, gzipped) = (number("module_bytes")?, number("module_gzipped_bytes")?);
    Ok(format!("module of {} kB, {} kB gzipped", raw.div_ceil(1000), gzipped.div_ceil(1000)))
}

/// Tells the date that the files in the wheel get: that of the commit, if it is a release.
///
/// Other wheels have a fixed date, since a commit that changes none of their files shall not change the wheel: the tests make
/// memory snapshots for each wheel.
pub(crate) fn epoch(workspace: &Workspace) -> String {
    if let Ok(epoch) = env::var("SOURCE_DATE_EPOCH") {
        return epoch;
    }
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.args(arguments).current_dir(workspace.root());
        process::ask(&mut git).filter(|answer| !answer.is_empty())
    };
    git(&["tag", "--points-at", "HEAD"])
        .and_then(|_| git(&["log", "-1", "--format=%ct"]))
        .unwrap_or_else(|| FALLBACK_EPOCH.to_owned())
}

/// The compiler of a wheel, where it is not the one that runs the rest of the workspace.
fn compiler_of(kind: Kind) -> Result<Option<Compiler>> {
    match kind {
        Kind::Wasm => {
            compiler::find().map(Some).map_err(|_| anyhow!("there is no compiler for {}", compiler::TARGET))
        }
        Kind::Native => Ok(None),
    }
}

fn configure_wasm(maturin: &mut Command, workspace: &Workspace, compiler: &Compiler) -> Result<()> {
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        // cargo has set variables for this program, and flags for the native build; neither may reach the build for wasm.
        if text.starts_with("CARGO_PKG_")
            || text.starts_with("CARGO_MANIFEST_")
            || text.ends_with("RUSTFLAGS")
            || text.starts_with("RUSTUP_TOOLCHAIN")
        {
            maturin.env_remove(&name);
        }
    }
    let home = cargo_home();
    let source_of_std = &compiler.library_source;
    let flags = [
        // Debian's compiler would else link its own start-up objects, which it does not have for this target.
        "-Clink-self-contained=no".to_owned(),
        format!("-Cllvm-args=-inline-threshold={INLINED}"),
        format!("-Cllvm-args=-inlinecold-threshold={INLINED_SELDOM}"),
        // rustc applies the last prefix that fits, so the checkout comes last: it may lie below the others.
        format!("--remap-path-prefix={}=rust", source_of_std.display()),
        format!("--remap-path-prefix={}=cargo", home.display()),
        format!("--remap-path-prefix={}=workerlib", workspace.root().display()),
    ];
    let mut path = vec![compiler.rustc.parent().context("rustc is in a folder")?.to_path_buf()];
    path.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    maturin
        .args(["--target", compiler::TARGET])
        .env("PATH", env::join_paths(path)?)
        .env("RUSTC", &compiler.rustc)
        .env("CARGO", &compiler.cargo)
        .env("CARGO_TARGET_DIR", workspace.target().join("wasm"))
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .env("CARGO_TARGET_WASM32_UNKNOWN_EMSCRIPTEN_LINKER", env::current_exe()?)
        .env(linker::WASM_LD, &compiler.linker)
        // With a platform version, maturin does not ask emcc for one.
        .env("MATURIN_PYEMSCRIPTEN_PLATFORM_VERSION", "2026_0");
    if compiler.builds_std {
        maturin.env("RUSTC_BOOTSTRAP", "1").env("CARGO_UNSTABLE_BUILD_STD", "std,panic_unwind");
    }
    Ok(())
}

fn configure_native(maturin: &mut Command) {
    if cfg!(target_os = "linux") {
        // The wheel is for this machine; one for PyPI is built in an old system and says `manylinux`.
        maturin.args(["--compatibility", "linux"]);
    }
}

fn fingerprint(workspace: &Workspace, compiler: Option<&Compiler>, epoch: &str) -> Result<String> {
    let version = match compiler {
        Some(compiler) => format!("{compiler:?}"),
        None => process::ask(process::cargo().arg("-vV")).unwrap_or_default(),
    };
    let mut fingerprint = Fingerprint::new().text(&version).text(epoch).text(&packers(workspace)?);
    for path in inputs(workspace)? {
        let name = path.strip_prefix(workspace.root()).unwrap_or(&path).to_string_lossy().into_owned();
        fingerprint = fingerprint.text(&name).path(&path)?;
    }
    Ok(fingerprint.finish())
}

/// The files and folders that a wheel is made from. Tests, benchmarks, fuzz targets and their corpora are not among them, and
/// neither are documents: the wheel's description is that of `pyproject.toml`, which names the file if there is one.
fn inputs(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let root = workspace.root();
    let mut inputs = vec![root.join("Cargo.toml"), root.join("Cargo.lock")];
    for package in ["workerlib-core", "workerlib-codec", "workerlib-py"] {
        let sources = ["Cargo.toml", "build.rs", "pyproject.toml", "src", "python", "javascript"];
        let licences = ["LICENSE-APACHE", "LICENSE-MIT"];
        inputs.extend(sources.iter().chain(&licences).map(|part| root.join(package).join(part)));
    }
    let project = workspace.package().join("pyproject.toml");
    let text = fs::read_to_string(&project).with_context(|| format!("cannot read {}", project.display()))?;
    inputs.extend(readme(&text).map(|name| workspace.package().join(name)));
    inputs.push(workspace.packaging("npm").join("package-lock.json"));
    let sources = workspace.packaging("xtask").join("src");
    inputs.extend(
        ["wheel.rs", "linker.rs", "relocations.rs", "compiler.rs", "javascript.rs"]
            .map(|name| sources.join(name)),
    );
    let tools = workspace.packaging("python");
    inputs.extend(["order_wheel.py", "bundle_modules.mjs", "bundle_modules.py"].map(|name| tools.join(name)));
    // No package has all of the parts.
    inputs.retain(|path| path.exists());
    Ok(inputs)
}

/// The file that `pyproject.toml` names as the package's description.
fn readme(project: &str) -> Option<&str> {
    let value =
        project.lines().find_map(|line| line.strip_prefix("readme"))?.trim_start().strip_prefix('=')?;
    // The value is the name, or a table such as `{ file = "README.md", … }`.
    let value = value.split_once("file").map_or(value, |(_, value)| value);
    value.split('"').nth(1)
}

/// The locked versions of the Python tools that make a wheel.
fn packers(workspace: &Workspace) -> Result<String> {
    let file = workspace.packaging("python").join("requirements.txt");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let is_packer = |line: &&str| line.starts_with("maturin==") || line.starts_with("wheel==");
    let lines: Vec<&str> = text.lines().filter(is_packer).collect();
    if lines.len() != 2 {
        bail!("{} should name one maturin and one wheel, and has {lines:?}", file.display());
    }
    Ok(lines.join("\n"))
}

fn cargo_home() -> PathBuf {
    let home = || env::home_dir().unwrap_or_default().join(".cargo");
    env::var_os("CARGO_HOME").map_or_else(home, PathBuf::from)
}

fn only_file(folder: &Path) -> Result<PathBuf> {
    let files = stamp::files_under(folder)?;
    match files.as_slice() {
        [file] => Ok(file.clone()),
        _ => bail!("{} should hold one wheel, and holds {}", folder.display(), files.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Editing a test or the corpus of a fuzz target must not cost a build for wasm; editing what is packed must.
    #[test]
    fn a_wheel_is_made_from_sources_and_not_from_tests() {
        let workspace = Workspace::of_this_program();
        let inputs = inputs(&workspace).expect("this is a checkout");
        let is_input = |name: &str| {
            let path = workspace.root().join(name);
            assert!(path.exists(), "{name} has moved");
            inputs.iter().any(|input| path.starts_with(input))
        };
        for name in [
            "Cargo.lock",
            "workerlib-core/src/lib.rs",
            "workerlib-py/python/workerlib/__init__.py",
            "workerlib-py/pyproject.toml",
            "workerlib-py/README.md",
            "workerlib-py/LICENSE-MIT",
            "workerlib-py/javascript/README.md",
        ] {
            assert!(is_input(name), "{name}");
        }
        for name in
            ["README.md", "workerlib-core/tests", "workerlib-codec/tests", "workerlib-codec/fuzz", "benches"]
        {
            assert!(!is_input(name), "{name}");
        }
    }

    /// The description is in the wheel's metadata, so the file belongs to what the wheel is made from.
    #[test]
    fn the_description_is_found_in_both_forms() {
        assert_eq!(readme("name = \"x\"\nreadme = \"../README.md\"\n"), Some("../README.md"));
        assert_eq!(readme("readme = { file = \"a.md\", content-type = \"text/markdown\" }"), Some("a.md"));
        assert_eq!(readme("name = \"readme\""), None);
    }
}
