//! `cargo xtask fuzz`: runs the fuzz targets of `workerlib-codec/fuzz` by libFuzzer.
//!
//! With a nightly compiler the address sanitizer watches; with the stable one, the assertions of the targets do. The corpus that
//! is committed is read only: what a run finds goes to `target/fuzz`.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process::{self, Limit};
use crate::setup::{self, need::Need};
use crate::steps::{Outcome, Steps};
use crate::workspace::Workspace;

/// The targets: each is a file of the fuzz workspace.
const TARGETS: [&str; 5] = ["decode", "round_trip", "plain", "conversation", "both_ways"];

/// The number of executions of a target if nothing else is said.
const EXECUTIONS: u64 = 1_000_000;

/// The most bytes of an input of a target: where they are a frame, or where they choose what a value is made of, so that
/// more of them only make more values of the same kinds.
fn longest_input(target: &str) -> u32 {
    if target == "decode" { 4096 } else { 512 }
}

/// The most megabytes of one allocation: a thousand times the longest input is out of proportion to it.
const LARGEST_ALLOCATION: u32 = 8;

/// The slowest that a target is on a slow machine, in executions a second.
const SLOWEST: u64 = 200;

/// The compiler flags that make the code report to libFuzzer which branches an input reaches.
const COVERAGE: [&str; 6] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "--cfg=fuzzing",
];

/// The targets of one command, and how they run.
struct Plan {
    executions: u64,
    targets: Vec<&'static str>,
    sanitizer: bool,
}

/// The arguments of `cargo xtask fuzz`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The number of executions of each target; `10_000_000` as well as `10000000`
    #[arg(long, value_name = "N", default_value_t = EXECUTIONS, value_parser = number)]
    executions: u64,
    /// Only these targets
    #[arg(long, value_name = "NAME", num_args = 1.., value_delimiter = ',', value_parser = TARGETS)]
    target: Vec<String>,
    /// Builds without the address sanitizer, which needs a nightly compiler
    #[arg(long)]
    no_sanitizer: bool,
}

/// Builds the targets, and runs each.
///
/// # Errors
/// If the targets cannot be built, or one of them fails.
pub(crate) fn main(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let sanitizer = !options.no_sanitizer && has_nightly();
    let plan = Plan { executions: options.executions, targets: choose(&options.target), sanitizer };
    let mut steps = Steps::default();
    setup::add(&mut steps, workspace, &[Need::CxxCompiler]);
    let watched = if sanitizer { "with" } else { "without" };
    steps.add(format!("building the fuzz targets, {watched} the address sanitizer"), || {
        build(workspace, &plan)
    });
    for target in &plan.targets {
        steps.add(format!("fuzzing {target}"), || fuzz(workspace, &plan, target));
    }
    steps.run()?;
    Ok(ExitCode::SUCCESS)
}

/// Reads a number of executions, `10_000_000` as well as `10000000`.
fn number(text: &str) -> Result<u64> {
    match text.replace('_', "").parse() {
        // libFuzzer takes 0 as no limit at all.
        Ok(number) if number > 0 => Ok(number),
        _ => bail!("{text} is not a number of executions; it should be a number from 1 on"),
    }
}

fn choose(names: &[String]) -> Vec<&'static str> {
    TARGETS.into_iter().filter(|target| names.is_empty() || names.iter().any(|name| name == target)).collect()
}

fn has_nightly() -> bool {
    process::ask(Command::new("rustup").args(["run", "nightly", "cargo", "--version"])).is_some()
}

/// The triple that is built for: naming it keeps the flags away from build scripts and macros.
fn triple(plan: &Plan) -> Result<String> {
    let mut rustc = if plan.sanitizer {
        let mut rustup = Command::new("rustup");
        rustup.args(["run", "nightly", "rustc"]);
        rustup
    } else {
        Command::new("rustc")
    };
    process::ask(rustc.arg("-vV"))
        .and_then(|text| text.lines().find_map(|line| line.strip_prefix("host: ").map(str::to_owned)))
        .context("rustc does not tell what it compiles for; is it installed?")
}

fn folder(workspace: &Workspace) -> PathBuf {
    workspace.root().join("workerlib-codec").join("fuzz")
}

fn target_folder(workspace: &Workspace, plan: &Plan) -> PathBuf {
    workspace.target().join("fuzz").join(if plan.sanitizer { "asan" } else { "plain" })
}

fn build(workspace: &Workspace, plan: &Plan) -> Result<Outcome> {
    let mut flags: Vec<&str> = COVERAGE.to_vec();
    let mut cargo = if plan.sanitizer {
        flags.push("-Zsanitizer=address");
        let mut rustup = Command::new("rustup");
        // The cargo that runs this program has told it which toolchain that is.
        rustup.args(["run", "nightly", "cargo"]).env_remove("RUSTUP_TOOLCHAIN").env_remove("RUSTC");
        rustup
    } else {
        process::cargo()
    };
    cargo.args(["build", "--release", "--locked", "--quiet", "--bins", "--target", &triple(plan)?]);
    cargo
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .env("CARGO_TARGET_DIR", target_folder(workspace, plan))
        .current_dir(folder(workspace));
    process::run(workspace, "fuzz-build", &mut cargo)?;
    Ok(Outcome::Done)
}

fn fuzz(workspace: &Workspace, plan: &Plan, target: &str) -> Result<Outcome> {
    let program = target_folder(workspace, plan).join(triple(plan)?).join("release").join(target);
    let corpus = workspace.target().join("fuzz").join("corpus").join(target);
    let artefacts = workspace.target().join("fuzz").join("artefacts").join(target);
    for folder in [&corpus, &artefacts] {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let mut prefix = OsString::from("-artifact_prefix=");
    // The slash at the end makes it a folder.
    prefix.push(artefacts.join(""));
    let mut fuzzer = Command::new(&program);
    fuzzer
        .arg(format!("-runs={}", plan.executions))
        .arg(format!("-max_len={}", longest_input(target)))
        .arg(format!("-malloc_limit_mb={LARGEST_ALLOCATION}"))
        .args(["-rss_limit_mb=4096", "-timeout=20", "-print_final_stats=1"])
        .arg(prefix)
        .arg(&corpus)
        .arg(folder(workspace).join("corpus").join(target))
        .current_dir(workspace.target());
    let limit = Duration::from_secs(600 + plan.executions / SLOWEST);
    let process::Run { succeeded, output, .. } =
        process::capture_within(workspace, &format!("fuzz-{target}"), &mut fuzzer, Limit::Total(limit))?;
    if !succeeded {
        let place = artefact(&output).unwrap_or("no input was kept: the run itself failed");
        bail!("{target} failed: {place}\n\n{}", end_of(&output));
    }
    match executed(&output) {
        Some(count) if count >= plan.executions => {
            Ok(Outcome::Note(format!("{target}: {count} executions, no failure")))
        }
        count => bail!(
            "{target} ended after {} of {} executions\n\n{}",
            count.unwrap_or(0),
            plan.executions,
            end_of(&output)
        ),
    }
}

/// Reads from libFuzzer's output how often the target ran.
fn executed(output: &str) -> Option<u64> {
    let count = output.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))?;
    count.trim().parse().ok()
}

/// Reads from libFuzzer's output where the input lies that made the target fail.
fn artefact(output: &str) -> Option<&str> {
    output.lines().find_map(|line| line.split_once("Test unit written to ").map(|(_, path)| path.trim()))
}

/// Cuts off the corpus that libFuzzer tells of, and keeps the failure.
fn end_of(output: &str) -> String {
    let lines: Vec<&str> = output.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_of_libfuzzer_is_read() {
        let done =
            "Done 200000 runs in 9 second(s)\nstat::number_of_executed_units: 200000\nstat::peak_rss_mb: 4\n";
        assert_eq!((executed(done), artefact(done)), (Some(200_000), None));
        let failed = "artifact_prefix='x/'; Test unit written to x/crash-da39\nBase64: AA==\n";
        assert_eq!((executed(failed), artefact(failed)), (None, Some("x/crash-da39")));
    }

    #[test]
    fn numbers_and_targets_are_checked() {
        assert_eq!(number("10_000_000").expect("a number"), 10_000_000);
        assert!(number("0").is_err() && number("many").is_err());
        assert_eq!(choose(&[]), TARGETS);
        assert_eq!(choose(&["plain".to_owned()]), ["plain"]);
    }
}
