//! Runs other programs. Their output goes to `target/logs`, and is shown only if they fail.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::groups::Group;
use crate::workspace::{BYTECODE, NO_BYTECODE, Workspace};

/// The time for which a program may write nothing before it counts as stuck, if its caller names no limit: a cold build with a slow
/// machine and network.
const LONGEST_SILENCE: Duration = Duration::from_secs(3600);

/// When a program is ended that does not end by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    /// After this time.
    Total(Duration),
    /// When its log has not grown for this time: it is stuck, however long it takes in all.
    Silence(Duration),
}

/// The end of a program, and its output.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) succeeded: bool,
    /// Its exit code; `None` if a signal or its limit ended it.
    pub(crate) code: Option<i32>,
    /// Everything that it wrote, and why it was ended if it was.
    pub(crate) output: String,
}

/// Runs `command` and returns all that it wrote; `name` names its log.
///
/// # Errors
/// If the program cannot be started or fails; the error then carries what it wrote.
pub(crate) fn run(workspace: &Workspace, name: &str, command: &mut Command) -> Result<String> {
    let run = capture(workspace, name, command)?;
    if !run.succeeded {
        bail!("{}\nfailed; it wrote:\n\n{}", line_of(command), run.output.trim_end());
    }
    Ok(run.output)
}

/// Runs `command` and returns how it ended, and all that it wrote. Any Python that it starts keeps bytecode below `target`.
///
/// # Errors
/// If the program cannot be started.
pub(crate) fn capture(workspace: &Workspace, name: &str, command: &mut Command) -> Result<Run> {
    capture_within(workspace, name, command, Limit::Silence(LONGEST_SILENCE))
}

/// Runs `command`, ends it if it reaches its limit, and returns how it ended and all that it wrote.
///
/// # Errors
/// If the program cannot be started.
pub(crate) fn capture_within(
    workspace: &Workspace,
    name: &str,
    command: &mut Command,
    limit: Limit,
) -> Result<Run> {
    let path = log_path(workspace, name)?;
    let mut log = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    writeln!(log, "$ {}", line_of(command)).with_context(|| format!("cannot write {}", path.display()))?;
    let start = fs::metadata(&path).with_context(|| format!("cannot look at {}", path.display()))?.len();
    // A Python that keeps no bytecode compiles the standard library at each start, which takes a second.
    command.env(BYTECODE, workspace.bytecode()).env_remove(NO_BYTECODE);
    // Both streams go to one file, so that the lines keep the order in which they were written.
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let status = wait(command, &path, limit)?;
    let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut output =
        String::from_utf8_lossy(bytes.get(usize::try_from(start)?..).unwrap_or_default()).into_owned();
    if status.is_none() {
        let ending = ending(limit, &output);
        let _ = write!(output, "\n{ending}\n");
    }
    let succeeded = status.is_some_and(|status| status.success());
    Ok(Run { succeeded, code: status.and_then(|status| status.code()), output })
}

/// Runs a program whose output the user sees, and returns how it ended.
///
/// # Errors
/// If the program cannot be started.
pub(crate) fn show(command: &mut Command) -> Result<ExitStatus> {
    Ok(Group::start(command)?.wait()?)
}

/// Starts a program and waits for it; `None` if it had to be ended.
fn wait(command: &mut Command, log: &Path, limit: Limit) -> Result<Option<ExitStatus>> {
    let mut group = Group::start(command)?;
    let (mut since, mut length) = (Instant::now(), 0);
    loop {
        if let Some(status) = group.poll()? {
            return Ok(Some(status));
        }
        let longest = match limit {
            Limit::Total(longest) => longest,
            Limit::Silence(longest) => {
                let about = fs::metadata(log).with_context(|| format!("cannot look at {}", log.display()))?;
                let now = about.len();
                if now != length {
                    (since, length) = (Instant::now(), now);
                }
                longest
            }
        };
        if since.elapsed() > longest {
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Tells why a program was ended, and which test it was running, as far as its output names it.
fn ending(limit: Limit, output: &str) -> String {
    let reason = match limit {
        Limit::Total(longest) => format!("it did not end within {} s", longest.as_secs()),
        Limit::Silence(longest) => format!("it wrote nothing for {} s", longest.as_secs()),
    };
    let mut lines = output.lines().rev().map(str::trim).filter(|line| !line.is_empty());
    let place = match lines.next() {
        // pytest names a test before it runs it, and writes behind the name how it ended.
        Some(line) if line.contains("::") => format!("the test that ran: {line}"),
        Some(line) => format!("its last line: {line}"),
        None => "it had written nothing".to_owned(),
    };
    format!("{reason}, and was ended; {place}")
}

/// Runs `command` and returns what it wrote to its standard output, or `None` if it is missing or fails.
pub(crate) fn ask(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Finds a program on the PATH.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    find_program_in(name, std::env::split_paths(&std::env::var_os("PATH")?))
}

/// Finds a program in the first of these folders that has it.
pub(crate) fn find_program_in(name: &str, folders: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
    // npm and its relatives are scripts on Windows.
    let suffixes: &[&str] = if cfg!(windows) { &[".exe", ".cmd", ""] } else { &[""] };
    folders
        .flat_map(|folder| suffixes.iter().map(move |suffix| folder.join(format!("{name}{suffix}"))))
        .find(|file| is_program(file))
}

#[cfg(unix)]
fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(file: &Path) -> bool {
    file.is_file()
}

/// The cargo that runs this program.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn log_path(workspace: &Workspace, name: &str) -> Result<PathBuf> {
    let folder = workspace.target().join("logs");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder.join(format!("{name}.log")))
}

fn line_of(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        let _ = write!(line, " {}", argument.to_string_lossy());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each start of a Python would compile the standard library again, if the user's own setting reached it.
    #[cfg(unix)]
    #[test]
    fn pythons_keep_bytecode_whatever_the_user_has_set() {
        let folder = std::env::temp_dir().join(format!("xtask bytecode {}", std::process::id()));
        let workspace = Workspace::at(folder.clone());
        let mut sh = Command::new("sh");
        sh.args(["-c", "echo \"$PYTHONPYCACHEPREFIX ${PYTHONDONTWRITEBYTECODE-unset}\""])
            .env(NO_BYTECODE, "1");
        let output = run(&workspace, "told", &mut sh).expect("there is a shell");
        assert_eq!(output.trim_end(), format!("{} unset", workspace.bytecode().display()));
        fs::remove_dir_all(folder).expect("the folder is ours");
    }

    /// A full disk is met at the first line of a log: the error names the log.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_log_that_cannot_be_written_is_named() {
        let folder = std::env::temp_dir().join(format!("xtask full log {}", std::process::id()));
        let workspace = Workspace::at(folder.clone());
        let path = log_path(&workspace, "told").expect("it can be made");
        std::os::unix::fs::symlink("/dev/full", &path).expect("it can be made");
        let error = run(&workspace, "told", &mut Command::new("true")).expect_err("the disk is full");
        let error = format!("{error:#}");
        assert!(error.contains(&path.display().to_string()) && error.contains("No space left"), "{error}");
        fs::remove_dir_all(folder).expect("the folder is ours");
    }

    /// A program that is stuck is ended for its silence, with the name of its last test; one that is slow is not.
    #[cfg(unix)]
    #[test]
    fn silence_ends_a_program_and_slowness_does_not() {
        let folder = std::env::temp_dir().join(format!("xtask silence {}", std::process::id()));
        let workspace = Workspace::at(folder.clone());
        let run = |name: &str, script: &str| {
            let mut sh = Command::new("sh");
            // A busy machine may keep a shell from its next word for seconds.
            let limit = Limit::Silence(Duration::from_secs(3));
            capture_within(&workspace, name, sh.args(["-c", script]), limit).expect("there is a shell")
        };
        let slow =
            run("slow", "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do echo $i; sleep 0.2; done");
        assert!(slow.succeeded, "{}", slow.output);
        let stuck = run("stuck", "printf 'a.py::one PASSED\\na.py::two '; sleep 60");
        assert!(!stuck.succeeded);
        assert!(stuck.output.contains("the test that ran: a.py::two"), "{}", stuck.output);
        fs::remove_dir_all(folder).expect("the folder is ours");
    }
}
