//! Stands in for `emcc` as rustc's linker: translates its arguments to those of `wasm-ld`.
//!
//! A side module of Pyodide needs nothing from the Emscripten SDK but its command line: `wasm-ld` alone links it, and all that it
//! calls in Python and C is imported from the main module. An argument that is not known here is an error, never ignored.
//! Programs (main modules) cannot be linked this way.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::relocations;

/// The variable that makes this program act as a linker; its value is the path of `wasm-ld` or `rust-lld`.
pub(crate) const WASM_LD: &str = "WORKERLIB_WASM_LD";

/// The arguments that rustc gives to the linker, understood.
#[derive(Debug, Default, PartialEq)]
struct Request {
    output: String,
    inputs: Vec<String>,
    exports: Vec<String>,
    is_side_module: bool,
}

/// Links with `wasm_ld` what the arguments of this process ask for.
///
/// # Errors
/// If the arguments are not those of a side module, or the linker cannot be started.
pub(crate) fn main(wasm_ld: &OsString) -> Result<ExitCode> {
    let request = parse(expand(env::args().skip(1))?)?;
    let mut command = Command::new(wasm_ld);
    if wasm_ld.to_string_lossy().contains("rust-lld") {
        command.args(["-flavor", "wasm"]);
    }
    let status = command
        .args(arguments(&request))
        .status()
        .with_context(|| format!("cannot start {}", wasm_ld.display()))?;
    if !status.success() {
        return Ok(ExitCode::FAILURE);
    }
    let module = fs::read(&request.output)?;
    fs::write(&request.output, relocations::compact(&module).context("the relocations of the module")?)?;
    Ok(ExitCode::SUCCESS)
}

/// Replaces each `@file` by the arguments in it.
fn expand(arguments: impl Iterator<Item = String>) -> Result<Vec<String>> {
    let mut expanded = Vec::new();
    for argument in arguments {
        if let Some(path) = argument.strip_prefix('@') {
            let content =
                fs::read_to_string(path).with_context(|| format!("cannot read the arguments in {path}"))?;
            // rustc writes one argument a line, with a backslash before each blank, quote and backslash.
            expanded.extend(content.lines().map(unescape));
        } else {
            expanded.push(argument);
        }
    }
    Ok(expanded)
}

fn unescape(line: &str) -> String {
    let mut text = String::new();
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        text.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    text
}

fn parse(arguments: Vec<String>) -> Result<Request> {
    let mut request = Request::default();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let mut next = || arguments.next().with_context(|| format!("{argument} lacks its value"));
        match argument.as_str() {
            "-o" => request.output = next()?,
            "-s" => setting(&mut request, &next()?)?,
            // Libraries are the main module's: what they define is imported from it.
            "-l" | "-L" => drop(next()?),
            _ if argument.starts_with("-s") => setting(&mut request, &argument[2..])?,
            _ if argument.starts_with("-l") || argument.starts_with("-L") => {}
            // Optimisation, debug information and target were settled when the objects were made.
            _ if ["-O", "-g", "-f", "--target="].iter().any(|flag| argument.starts_with(flag)) => {}
            _ if argument.starts_with('-') => {
                bail!("the linker of a Pyodide side module does not know {argument}")
            }
            _ => request.inputs.push(argument),
        }
    }
    if !request.is_side_module || request.output.is_empty() {
        bail!("only side modules can be linked without the Emscripten SDK; rustc did not ask for one");
    }
    Ok(request)
}

/// Applies one of emcc's settings (`-sNAME=VALUE`).
fn setting(request: &mut Request, setting: &str) -> Result<()> {
    let (name, value) = setting.split_once('=').unwrap_or((setting, "1"));
    match name {
        "SIDE_MODULE" => request.is_side_module = true,
        "EXPORTED_FUNCTIONS" => {
            let names: Vec<String> = serde_json::from_str(value)
                .with_context(|| format!("EXPORTED_FUNCTIONS is not a list of names: {value}"))?;
            // Emscripten writes the C name `f` as `_f`.
            request
                .exports
                .extend(names.iter().map(|name| name.strip_prefix('_').unwrap_or(name).to_owned()));
        }
        // They concern the JavaScript that emcc would write for a main module.
        "WASM_BIGINT" | "ABORTING_MALLOC" | "DISABLE_EXCEPTION_CATCHING" | "EXPORT_ES6" => {}
        _ => bail!("the linker of a Pyodide side module does not know the setting {setting}"),
    }
    Ok(())
}

fn arguments(request: &Request) -> Vec<String> {
    let mut arguments: Vec<String> = [
        "-shared",
        "--experimental-pic",
        "-Bsymbolic",
        "--gc-sections",
        "--strip-all",
        "--no-export-dynamic",
        "--unresolved-symbols=import-dynamic",
        "--export-if-defined=__wasm_apply_data_relocs",
        "--export-if-defined=__wasm_call_ctors",
    ]
    .map(String::from)
    .into();
    arguments.extend(request.exports.iter().map(|name| format!("--export={name}")));
    arguments.extend(["-o".to_owned(), request.output.clone()]);
    arguments.extend(request.inputs.iter().cloned());
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(arguments: &[&str]) -> Vec<String> {
        arguments.iter().map(|&argument| argument.to_owned()).collect()
    }

    #[test]
    fn arguments_of_rustc_become_a_request() {
        let request = parse(owned(&[
            "-s",
            "EXPORTED_FUNCTIONS=[\"_PyInit__native\"]",
            "a.o",
            "b.rlib",
            "-l",
            "python3.14",
            "-lc",
            "-fwasm-exceptions",
            "-sSIDE_MODULE=2",
            "-O3",
            "-g0",
            "--target=wasm32-unknown-emscripten",
            "-o",
            "out.wasm",
        ]));
        let expected = Request {
            output: "out.wasm".into(),
            inputs: owned(&["a.o", "b.rlib"]),
            exports: owned(&["PyInit__native"]),
            is_side_module: true,
        };
        assert_eq!(request.expect("these are rustc's own arguments"), expected);
    }

    #[test]
    fn an_unknown_argument_is_refused_by_name() {
        for argument in ["--emit-symbol-map", "-sSHARED_MEMORY=1"] {
            let error =
                parse(owned(&["-sSIDE_MODULE=2", "-o", "x", argument])).expect_err("it must be refused");
            assert!(error.to_string().contains(argument.trim_start_matches("-s")), "{error}");
        }
    }

    #[test]
    fn a_main_module_is_refused() {
        assert!(parse(owned(&["a.o", "-o", "x"])).is_err());
    }

    #[test]
    fn escaped_characters_of_an_argument_file_are_restored() {
        assert_eq!(unescape(r#"/a\ folder/x\\y.o"#), r"/a folder/x\y.o");
    }
}
