//! Runs other programs: quietly, with their output kept in `target/logs` and shown only when they fail.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;

/// The longest that a program may take that has no limit of its own: a cold build on a slow machine and network.
const LONGEST: Duration = Duration::from_secs(1800);

/// Runs `command` and returns all that it wrote; `name` names its log.
///
/// # Errors
/// If the program cannot be started or fails; the error then carries what it wrote.
pub(crate) fn run(workspace: &Workspace, name: &str, command: &mut Command) -> Result<String> {
    let (succeeded, output) = capture(workspace, name, command)?;
    if !succeeded {
        bail!("{}\nfailed; it wrote:\n\n{}", line_of(command), output.trim_end());
    }
    Ok(output)
}

/// Runs `command` and returns whether it succeeded, and all that it wrote.
///
/// # Errors
/// If the program cannot be started.
pub(crate) fn capture(workspace: &Workspace, name: &str, command: &mut Command) -> Result<(bool, String)> {
    capture_within(workspace, name, command, LONGEST)
}

/// Does the same, and ends a program that does not end by itself in time.
///
/// # Errors
/// If the program cannot be started.
pub(crate) fn capture_within(
    workspace: &Workspace,
    name: &str,
    command: &mut Command,
    limit: Duration,
) -> Result<(bool, String)> {
    let path = log_path(workspace, name)?;
    let mut log = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    writeln!(log, "$ {}", line_of(command))?;
    let start = fs::metadata(&path)?.len();
    // One file for both streams keeps the lines in the order in which they were written.
    let mut child = command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))?;
    let status = wait(&mut child, limit)?;
    let bytes = fs::read(&path)?;
    let mut output =
        String::from_utf8_lossy(bytes.get(usize::try_from(start)?..).unwrap_or_default()).into_owned();
    if status.is_none() {
        let _ = writeln!(output, "it did not end within {} s, and was ended", limit.as_secs());
    }
    Ok((status.is_some_and(|status| status.success()), output))
}

/// Waits for a program; `None` if it had to be ended.
fn wait(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let end = Instant::now() + limit;
    while Instant::now() < end {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(Duration::from_millis(20));
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

/// Runs `command` and returns what it wrote to its standard output, or `None` if it is missing or fails.
pub(crate) fn ask(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Finds a program on the PATH.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| is_program(file))
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
