//! Runs jobs in lanes side by side, then those that must run alone.
//!
//! The longest job starts first, so that the lanes end at about the same time. Two jobs that use the same thing never run at the
//! same time; a job waits for the set-up, or for the build behind it, if it needs that. Jobs report by themselves: nothing is
//! collected here.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Where a job may run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// Beside any other.
    Beside,
    /// With no other at the same time, behind all others: it measures time.
    Alone,
}

/// Something of which one job at a time makes use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Resource {
    /// cargo's locks on the folders that it builds into.
    Cargo,
}

/// Something to run.
pub(super) struct Job<'a> {
    /// About how long it takes: it decides the order only.
    pub(super) seconds: u32,
    pub(super) place: Place,
    pub(super) uses: Option<Resource>,
    pub(super) step: Step,
    /// Does the work. The set-up and the build return whether the jobs that wait for them may start.
    pub(super) work: Box<dyn FnOnce() -> bool + Send + 'a>,
}

/// How a job depends on the set-up and the build, which are jobs as well.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Step {
    /// The job waits for nothing.
    NeedsNothing,
    /// The job waits for the set-up.
    NeedsSetup,
    /// The job waits for the build.
    NeedsBuilt,
    /// The job is the build, which waits for the set-up. There is one such job at most, and it starts before other jobs.
    Builds,
    /// The job is the set-up. There is one such job at most, and it starts before all others.
    SetsUp,
}

struct State<'a> {
    waiting: Vec<Job<'a>>,
    used: Vec<Resource>,
    /// Whether the set-up succeeded; `None` until it ends.
    is_set_up: Option<bool>,
    /// Whether the build succeeded; `None` until it ends.
    is_built: Option<bool>,
}

impl<'a> State<'a> {
    /// Takes the next job that may start now.
    fn next(&mut self) -> Option<Job<'a>> {
        let is_free = |job: &Job<'_>| !job.uses.is_some_and(|resource| self.used.contains(&resource));
        let may_start = |job: &Job<'_>| match job.step {
            Step::SetsUp | Step::NeedsNothing => true,
            Step::Builds | Step::NeedsSetup => self.is_set_up == Some(true),
            Step::NeedsBuilt => self.is_built == Some(true),
        };
        let ready = self.waiting.iter().enumerate().filter(|(_, job)| is_free(job) && may_start(job));
        // The set-up and the build are first, since most jobs wait for them.
        let (index, _) = ready.max_by_key(|(_, job)| (job.step.max(Step::NeedsBuilt), job.seconds))?;
        let job = self.waiting.swap_remove(index);
        self.used.extend(job.uses);
        Some(job)
    }
}

/// Runs the jobs; if the set-up or the build fails, the jobs that need it do not run.
pub(super) fn run(jobs: Vec<Job<'_>>, lanes: usize) {
    let (alone, beside): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.place == Place::Alone);
    let has = |step| beside.iter().any(|job| job.step == step);
    let (is_set_up, is_built) = ((!has(Step::SetsUp)).then_some(true), (!has(Step::Builds)).then_some(true));
    let state = Mutex::new(State { waiting: beside, used: Vec::new(), is_set_up, is_built });
    let changed = Condvar::new();
    thread::scope(|scope| {
        for _ in 0..lanes.max(1) {
            scope.spawn(|| run_lane(&state, &changed));
        }
    });
    let mut now = lock(&state);
    now.waiting = alone;
    drop(now);
    run_lane(&state, &changed);
}

/// Does a job's work. A panic, whose message has been printed, ends the job and not the lane, for which others may wait.
fn carry_out(job: Job<'_>) -> bool {
    catch_unwind(AssertUnwindSafe(job.work)).unwrap_or(false)
}

/// Runs one job after the other, until none is left that may ever start.
fn run_lane<'a>(state: &Mutex<State<'a>>, changed: &Condvar) {
    let mut now = lock(state);
    while !now.waiting.is_empty() {
        let Some(job) = now.next() else {
            if (now.is_set_up == Some(false) || now.is_built == Some(false)) && now.used.is_empty() {
                return;
            }
            now = changed.wait(now).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        drop(now);
        let (uses, step) = (job.uses, job.step);
        let succeeded = carry_out(job);
        now = lock(state);
        now.used.retain(|resource| Some(*resource) != uses);
        match step {
            Step::SetsUp => now.is_set_up = Some(succeeded),
            Step::Builds => now.is_built = Some(succeeded),
            Step::NeedsNothing | Step::NeedsSetup | Step::NeedsBuilt => {}
        }
        changed.notify_all();
    }
}

fn lock<'s, 'a>(state: &'s Mutex<State<'a>>) -> MutexGuard<'s, State<'a>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    fn job<'a>(
        seconds: u32,
        step: Step,
        uses: Option<Resource>,
        work: impl FnOnce() -> bool + Send + 'a,
    ) -> Job<'a> {
        Job { seconds, place: Place::Beside, uses, step, work: Box::new(work) }
    }

    /// The longest starts first, the set-up and the build before all, and a job that runs alone after all.
    #[test]
    fn the_order_is_set_up_then_build_then_longest_then_alone() {
        let order = Mutex::new(Vec::new());
        let note = |name: &'static str| {
            let order = &order;
            move || {
                order.lock().expect("no panic").push(name);
                true
            }
        };
        let mut alone = job(99, Step::NeedsBuilt, None, note("alone"));
        alone.place = Place::Alone;
        run(
            vec![
                alone,
                job(1, Step::NeedsNothing, None, note("short")),
                job(9, Step::NeedsBuilt, None, note("long")),
                job(0, Step::Builds, None, note("build")),
                job(0, Step::SetsUp, None, note("set-up")),
            ],
            1,
        );
        assert_eq!(*order.lock().expect("no panic"), ["set-up", "build", "long", "short", "alone"]);
    }

    /// Without the set-up or the build only the jobs run that do not need it, and the lanes end.
    #[test]
    fn a_failure_leaves_out_what_needs_it() {
        for (sets_up, expected) in [(true, 2), (false, 1)] {
            let ran = AtomicUsize::new(0);
            let count = || {
                ran.fetch_add(1, Ordering::Relaxed);
                true
            };
            let mut alone = job(1, Step::NeedsBuilt, None, count);
            alone.place = Place::Alone;
            run(
                vec![
                    job(0, Step::SetsUp, None, move || sets_up),
                    job(0, Step::Builds, None, || false),
                    job(1, Step::NeedsBuilt, None, count),
                    job(1, Step::NeedsSetup, None, count),
                    job(1, Step::NeedsNothing, None, count),
                    alone,
                ],
                2,
            );
            assert_eq!(ran.into_inner(), expected);
        }
    }

    /// A job that needs nothing runs beside the set-up.
    #[test]
    fn the_set_up_has_company() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let met = AtomicUsize::new(0);
        run(
            vec![
                job(0, Step::SetsUp, None, {
                    let met = &met;
                    move || {
                        let has_met = receiver.recv_timeout(Duration::from_secs(60)).is_ok();
                        met.store(usize::from(has_met), Ordering::Relaxed);
                        true
                    }
                }),
                job(1, Step::NeedsNothing, None, move || sender.send(()).is_ok()),
            ],
            2,
        );
        assert_eq!(met.into_inner(), 1);
    }

    /// Two users of cargo never meet, though two lanes are free.
    #[test]
    fn a_resource_is_used_by_one_job_at_a_time() {
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = || {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(20));
            now.fetch_sub(1, Ordering::SeqCst);
            true
        };
        let jobs = (0..4).map(|_| job(1, Step::NeedsNothing, Some(Resource::Cargo), work)).collect();
        run(jobs, 2);
        assert_eq!(most.into_inner(), 1);
    }
}
