//! Starts programs in process groups of their own, and ends them with everything that they started.
//!
//! A test run starts pytest, which starts browsers, which start helpers. Such a tree must end with its part, and with this
//! program: after Ctrl-C, after a `kill`, and even after a `kill -9`, which no program can answer. For the last case a *warden*
//! watches, a second process of this program: it reads a pipe that only this process writes to. When the pipe ends, this process
//! has ended, and the warden ends the groups that are left.
//!
//! A group alone does not reach every process, because browsers make groups of their own. Therefore the processes are also
//! found by their parents. This works on every system; groups exist on Unix only. A process whose parent has ended and that has left its
//! group is not found.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::io::{self, BufRead as _, Write as _};
use std::process::{Child, ChildStdin, Command, ExitCode, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, Signal, System};

/// The variable that makes this program act as the warden.
pub(crate) const WARDEN: &str = "WORKERLIB_WARDEN";

/// The time that processes may take to end by themselves after they were asked to.
const GRACE: Duration = Duration::from_secs(5);

/// The exit code of a program that Ctrl-C ended, as shells have it.
const INTERRUPTED: i32 = 130;

/// The groups that run now.
static RUNNING: Mutex<Running> =
    Mutex::new(Running { leaders: BTreeSet::new(), warden: None, is_ending: false });

struct Running {
    leaders: BTreeSet<u32>,
    /// The pipe to the warden, which is started with the first group.
    warden: Option<ChildStdin>,
    /// Whether this program is about to end, so that nothing may start any more.
    is_ending: bool,
}

impl Running {
    /// Tells the warden of a change: `+7` starts group 7, `-7` ends it.
    ///
    /// In unit tests there is no warden: this program is the test runner there, and would run all tests again as the warden.
    fn tell_warden(&mut self, sign: char, leader: u32) -> Result<()> {
        if cfg!(test) {
            return Ok(());
        }
        if self.warden.is_none() {
            self.warden = Some(start_warden()?);
        }
        let pipe = self.warden.as_mut().context("the warden has just been started")?;
        writeln!(pipe, "{sign}{leader}")
            .context("the process that ends programs after this one has ended itself")
    }
}

fn running() -> MutexGuard<'static, Running> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A program and everything that it started. Dropping it ends what is left of them.
pub(crate) struct Group {
    leader: Child,
}

impl Group {
    /// Starts a program as the leader of a group. While this program is ending, it waits for that end.
    ///
    /// # Errors
    /// If the program cannot be started.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        into_group_of_its_own(command);
        let mut running = running();
        if running.is_ending {
            drop(running);
            // An error would be told as that of a part of the test run, and kept as its failure.
            loop {
                thread::park();
            }
        }
        let leader = command
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))?;
        running.leaders.insert(leader.id());
        // From here on, dropping ends the program.
        let group = Self { leader };
        running.tell_warden('+', group.leader.id())?;
        Ok(group)
    }

    /// Returns how the program ended, or `None` while it runs. The end of a program that ends with this one is not told: it would
    /// count as a failure.
    ///
    /// # Errors
    /// If the system does not tell.
    pub(crate) fn poll(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.leader.try_wait()?;
        Ok(status.filter(|_| !running().is_ending))
    }

    /// Waits for the program's end.
    ///
    /// # Errors
    /// If the system does not tell.
    pub(crate) fn wait(&mut self) -> io::Result<ExitStatus> {
        self.leader.wait()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let leader = self.leader.id();
        end(&[leader], || {
            // Reaps the leader, which would count as a process that is left. If that fails, nothing is left to do.
            let _ = self.leader.try_wait();
        });
        let mut running = running();
        running.leaders.remove(&leader);
        // If the warden has ended, the next start of a program reports it.
        let _ = running.tell_warden('-', leader);
    }
}

/// Ends all groups when Ctrl-C is pressed or this program is asked to end.
///
/// # Errors
/// If the system refuses a handler of signals.
pub(crate) fn end_with_this_program() -> Result<()> {
    ctrlc::set_handler(|| {
        let leaders: Vec<u32> = {
            let mut running = running();
            running.is_ending = true;
            running.leaders.iter().copied().collect()
        };
        if !leaders.is_empty() {
            eprintln!("\ninterrupted: ending the programs that run");
        }
        // The threads that started the leaders reap them.
        end(&leaders, || {});
        std::process::exit(INTERRUPTED);
    })
    .context("cannot watch for Ctrl-C")
}

/// Acts as the warden: reads of groups until the other process ends, then ends those that are left.
///
/// # Errors
/// If the pipe cannot be read.
pub(crate) fn guard() -> Result<ExitCode> {
    let mut leaders = BTreeSet::new();
    for line in io::stdin().lock().lines() {
        let line = line?;
        match line.split_at_checked(1).map(|(sign, leader)| (sign, leader.parse::<u32>())) {
            Some(("+", Ok(leader))) => drop(leaders.insert(leader)),
            Some(("-", Ok(leader))) => drop(leaders.remove(&leader)),
            _ => anyhow::bail!("{line:?} is not a message to the warden"),
        }
    }
    end(&leaders.into_iter().collect::<Vec<_>>(), || {});
    Ok(ExitCode::SUCCESS)
}

fn start_warden() -> Result<ChildStdin> {
    if env::var_os(WARDEN).is_some() {
        anyhow::bail!("a warden starts no programs");
    }
    let mut warden = Command::new(env::current_exe()?);
    warden.env(WARDEN, "1").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // Ctrl-C in a terminal reaches a whole group, and must not reach the warden.
    into_group_of_its_own(&mut warden);
    let child = warden.spawn().context("cannot start the process that ends programs after this one")?;
    child.stdin.context("a pipe was asked for")
}

/// Ends groups: asks their processes to end, and kills those that do not in time. `reap` is called again and again.
fn end(leaders: &[u32], mut reap: impl FnMut()) {
    reap();
    let mut left = Left::of(leaders);
    if left.is_empty() {
        return;
    }
    left.signal(Signal::Term);
    let deadline = Instant::now() + GRACE;
    while Instant::now() < deadline {
        thread::sleep(Duration::from_millis(20));
        reap();
        left.update();
        if left.is_empty() {
            return;
        }
    }
    left.signal(Signal::Kill);
    thread::sleep(Duration::from_millis(20));
    reap();
}

/// The processes of some groups that have not ended.
struct Left {
    leaders: Vec<u32>,
    system: System,
    /// The leaders' descendants and when each started: a number is given to another process later.
    descendants: BTreeMap<Pid, u64>,
}

impl Left {
    fn of(leaders: &[u32]) -> Self {
        let mut left =
            Self { leaders: leaders.to_vec(), system: System::new(), descendants: BTreeMap::new() };
        left.refresh();
        let processes = left.system.processes();
        let mut found: BTreeSet<Pid> = leaders.iter().map(|&leader| Pid::from_u32(leader)).collect();
        loop {
            let children = processes.iter().filter(|(pid, process)| {
                !found.contains(pid) && process.parent().is_some_and(|parent| found.contains(&parent))
            });
            let children: Vec<Pid> = children.map(|(&pid, _)| pid).collect();
            if children.is_empty() {
                break;
            }
            found.extend(children);
        }
        left.descendants = found
            .into_iter()
            .filter_map(|pid| processes.get(&pid).map(|process| (pid, process.start_time())))
            .collect();
        left.update();
        left
    }

    fn refresh(&mut self) {
        let nothing_else = ProcessRefreshKind::nothing().without_tasks();
        self.system.refresh_processes_specifics(ProcessesToUpdate::All, true, nothing_else);
    }

    /// Forgets the processes that have ended.
    fn update(&mut self) {
        self.refresh();
        let system = &self.system;
        self.descendants.retain(|pid, start| {
            system.process(*pid).is_some_and(|process| {
                process.start_time() == *start && process.status() != sysinfo::ProcessStatus::Zombie
            })
        });
    }

    fn is_empty(&self) -> bool {
        self.descendants.is_empty() && !self.leaders.iter().any(|&leader| group_has_processes(leader))
    }

    fn signal(&self, signal: Signal) {
        for &leader in &self.leaders {
            signal_group(leader, signal);
        }
        for process in self.descendants.keys().filter_map(|pid| self.system.process(*pid)) {
            // Windows cannot ask a process to end. A process that has ended meanwhile needs no signal.
            if process.kill_with(signal).is_none() {
                process.kill();
            }
        }
    }
}

#[cfg(unix)]
fn into_group_of_its_own(command: &mut Command) {
    use std::os::unix::process::CommandExt as _;
    command.process_group(0);
}

#[cfg(not(unix))]
fn into_group_of_its_own(_: &mut Command) {}

#[cfg(unix)]
fn signal_group(leader: u32, signal: Signal) {
    let signal = if signal == Signal::Kill { nix::sys::signal::SIGKILL } else { nix::sys::signal::SIGTERM };
    if let Ok(leader) = i32::try_from(leader) {
        // A group that has ended meanwhile needs no signal.
        let _ = nix::sys::signal::killpg(nix::unistd::Pid::from_raw(leader), signal);
    }
}

#[cfg(not(unix))]
fn signal_group(_: u32, _: Signal) {}

#[cfg(unix)]
fn group_has_processes(leader: u32) -> bool {
    i32::try_from(leader)
        .is_ok_and(|leader| nix::sys::signal::killpg(nix::unistd::Pid::from_raw(leader), None).is_ok())
}

#[cfg(not(unix))]
fn group_has_processes(_: u32) -> bool {
    false
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::fs;

    fn is_running(pid: Pid) -> bool {
        let left = Left::of(&[pid.as_u32()]);
        left.descendants.contains_key(&pid)
    }

    /// A browser that pytest started makes a group of its own, and must end with the part all the same.
    #[test]
    fn programs_that_left_the_group_end_with_it() {
        let file = env::temp_dir().join(format!("xtask group {}", std::process::id()));
        let mut sh = Command::new("sh");
        // With job control, each job has a group of its own.
        sh.args(["-c", "set -m; sleep 300 & echo $! > \"$FILE\"; wait"]).env("FILE", &file);
        let group = Group::start(&mut sh).expect("there is a shell");
        let deadline = Instant::now() + Duration::from_secs(60);
        let pid = loop {
            let text = fs::read_to_string(&file).unwrap_or_default();
            if let Ok(pid) = text.trim().parse() {
                break Pid::from_u32(pid);
            }
            assert!(Instant::now() < deadline, "the shell did not start its job");
            thread::sleep(Duration::from_millis(20));
        };
        assert!(is_running(pid));
        drop(group);
        assert!(!is_running(pid), "the job outlived the part");
        fs::remove_file(file).expect("the file is ours");
    }
}
