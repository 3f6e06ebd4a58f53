//! Chooses the one Rust compiler and linker that build for wasm32-unknown-emscripten.
//!
//! The choice is explicit, and does not depend on the compiler that runs the rest of the workspace:
//! 1. the rustc that the variable `WORKERLIB_WASM_RUSTC` names,
//! 2. Debian's `rustc-web` with its library sources, from which the target's `std` is built,
//! 3. the active toolchain, if rustup installed the target (or the library sources) for it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{ask, find_program};

/// The target's name for rustc.
pub(crate) const TARGET: &str = "wasm32-unknown-emscripten";

/// The variable that names the compiler to use.
pub(crate) const OVERRIDE: &str = "WORKERLIB_WASM_RUSTC";

/// Wasm exceptions are the target's way of unwinding since this version.
const OLDEST: (u32, u32) = (1, 93);

/// A compiler for the target.
#[derive(Clone, Debug)]
pub(crate) struct Compiler {
    pub(crate) rustc: PathBuf,
    pub(crate) cargo: PathBuf,
    /// The output of `rustc -vV`.
    pub(crate) version: String,
    /// The folder of the library sources, or where it would be.
    pub(crate) library_source: PathBuf,
    /// Whether the target's `std` has to be built from them.
    pub(crate) builds_std: bool,
    /// `wasm-ld`, or rustup's `rust-lld`.
    pub(crate) linker: PathBuf,
}

/// Why there is no compiler.
#[derive(Debug)]
pub(crate) enum Missing {
    /// No rustc can build for the target; one line for each that was looked at.
    Rustc(Vec<String>),
    /// There is a rustc, but no linker of its LLVM's version or later.
    Linker(u32),
}

/// Finds the compiler and its linker.
///
/// # Errors
/// If one of them is missing.
pub(crate) fn find() -> Result<Compiler, Missing> {
    let candidates: Vec<PathBuf> = match env::var_os(OVERRIDE) {
        Some(path) => vec![path.into()],
        // cargo tells which rustc it uses only by being the one next to it.
        None => [
            Some("/usr/bin/rustc".into()),
            env::var_os("CARGO").map(|cargo| Path::new(&cargo).with_file_name("rustc")),
            find_program("rustc"),
        ]
        .into_iter()
        .flatten()
        .collect(),
    };
    let mut refusals = Vec::new();
    for rustc in candidates {
        match examine(&rustc) {
            Ok(mut compiler) => {
                let llvm = llvm_version(&compiler.version);
                compiler.linker = find_linker(&rustc, llvm).ok_or(Missing::Linker(llvm))?;
                return Ok(compiler);
            }
            Err(reason) => {
                let refusal = format!("{}: {reason}", rustc.display());
                if !refusals.contains(&refusal) {
                    refusals.push(refusal);
                }
            }
        }
    }
    Err(Missing::Rustc(refusals))
}

/// Tells whether `rustc` can build for the target, and how; the linker is left empty.
fn examine(rustc: &Path) -> Result<Compiler, String> {
    let version = ask(Command::new(rustc).arg("-vV")).ok_or("it is not there")?;
    let release = line_of(&version, "release: ");
    if parse_version(release) < OLDEST {
        return Err(format!(
            "it is {release}; {}.{} is the oldest that unwinds by wasm exceptions",
            OLDEST.0, OLDEST.1
        ));
    }
    let sysroot = sysroot(rustc).ok_or("it does not tell its sysroot")?;
    let cargo = sysroot.join("bin").join(format!("cargo{}", env::consts::EXE_SUFFIX));
    if !cargo.is_file() {
        return Err(format!("there is no cargo at {}", cargo.display()));
    }
    let library_source = sysroot.join("lib/rustlib/src/rust/library");
    let has_std = sysroot.join("lib/rustlib").join(TARGET).join("lib").is_dir();
    if !has_std && !library_source.join("std/Cargo.toml").is_file() {
        return Err(format!("it has neither the target {TARGET} nor the library sources to build it from"));
    }
    // The path behind rustup's shim: a shim would choose its toolchain anew in every folder.
    let rustc = sysroot.join("bin").join(format!("rustc{}", env::consts::EXE_SUFFIX));
    Ok(Compiler { rustc, cargo, version, library_source, builds_std: !has_std, linker: PathBuf::new() })
}

fn sysroot(rustc: &Path) -> Option<PathBuf> {
    ask(Command::new(rustc).args(["--print", "sysroot"])).map(PathBuf::from)
}

/// Finds a wasm linker that reads the objects of LLVM `llvm`.
fn find_linker(rustc: &Path, llvm: u32) -> Option<PathBuf> {
    let on_path = (llvm..llvm + 5).map(|version| format!("wasm-ld-{version}")).chain(["wasm-ld".to_owned()]);
    let of_rustup =
        [Some(rustc.to_path_buf()), find_program("rustc")].into_iter().flatten().filter_map(|rustc| {
            let host = line_of(&ask(Command::new(&rustc).arg("-vV"))?, "host: ").to_owned();
            let program = format!("rust-lld{}", env::consts::EXE_SUFFIX);
            Some(sysroot(&rustc)?.join("lib/rustlib").join(host).join("bin").join(program))
        });
    on_path
        .filter_map(|name| find_program(&name))
        .chain(of_rustup)
        .find(|linker| lld_version(linker) >= Some(llvm))
}

/// Tells the major version of a linker, of whichever flavour.
fn lld_version(linker: &Path) -> Option<u32> {
    let flavour: &[&str] =
        if linker.to_string_lossy().contains("rust-lld") { &["-flavor", "wasm"] } else { &[] };
    let answer = ask(Command::new(linker).args(flavour).arg("--version"))?;
    let version = answer.split_whitespace().skip_while(|&word| word != "LLD").nth(1)?;
    version.split('.').next()?.parse().ok()
}

fn llvm_version(version: &str) -> u32 {
    parse_version(line_of(version, "LLVM version: ")).0
}

fn line_of<'a>(text: &'a str, start: &str) -> &'a str {
    text.lines().find_map(|line| line.strip_prefix(start)).unwrap_or_default()
}

fn parse_version(version: &str) -> (u32, u32) {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert_eq!(parse_version("1.96.0-nightly"), (1, 96));
        assert!(parse_version("1.100.0") > OLDEST);
        assert!(parse_version("1.63.0") < OLDEST);
        assert_eq!(llvm_version("rustc 1.96.0\nhost: x\nLLVM version: 22.1.8"), 22);
    }
}
