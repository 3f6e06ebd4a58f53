//! Runs jobs in lanes side by side.
//!
//! The longest job starts first, so that the lanes end at about the same time. Two jobs that use the same thing never run at the
//! same time; a job waits for the set-up, or for a build behind it, if it needs that. Jobs report by themselves: nothing is
//! collected here.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// A resource that one job at a time uses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Resource {
    /// cargo's locks on the folders that it builds into.
    Cargo,
}

/// A part of the test run, or the making of a stage.
pub(super) struct Job<'a> {
    /// About how long it takes: it decides the order only.
    pub(super) seconds: u32,
    pub(super) uses: Option<Resource>,
    /// The stages that the job waits for.
    pub(super) needs: Vec<Stage>,
    /// The stage that the job makes. There is one such job for each stage at most, and it starts before all that make none.
    pub(super) makes: Option<Stage>,
    /// Does the work. A job that makes a stage returns whether the jobs that wait for it may start.
    pub(super) work: Box<dyn FnOnce() -> bool + Send + 'a>,
}

/// A state of the set-up that one job makes and others wait for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Stage {
    /// The system's programs are installed.
    Programs,
    /// The Python tools are installed.
    Tools,
    /// The npm packages are installed.
    Packages,
    /// The native wheel is built and installed.
    Installed,
    /// The wheel for Pyodide, and all that is made of it, is built.
    Built,
}

impl Stage {
    /// All stages; each stands behind those that it waits for.
    pub(super) const ALL: [Self; 5] =
        [Self::Programs, Self::Tools, Self::Packages, Self::Installed, Self::Built];

    /// The stages that have to be reached before this one is made.
    pub(super) fn needs(self) -> &'static [Self] {
        match self {
            Self::Programs => &[],
            Self::Tools | Self::Packages => &[Self::Programs],
            Self::Installed => &[Self::Tools],
            Self::Built => &[Self::Installed, Self::Packages],
        }
    }

    /// Tells whether this stage is another one, or has to be reached before it.
    pub(super) fn leads_to(self, other: Self) -> bool {
        self == other || other.needs().iter().any(|stage| self.leads_to(*stage))
    }
}

struct State<'a> {
    waiting: Vec<Job<'a>>,
    used: Vec<Resource>,
    /// Whether the job of each stage succeeded; a stage that has no job counts as reached, and one whose job has not ended is
    /// not here.
    reached: BTreeMap<Stage, bool>,
}

impl<'a> State<'a> {
    /// Takes the next job that may start now.
    fn next(&mut self) -> Option<Job<'a>> {
        let is_free = |job: &Job<'_>| !job.uses.is_some_and(|resource| self.used.contains(&resource));
        let may_start = |job: &Job<'_>| job.needs.iter().all(|stage| self.has_reached(*stage));
        let ready = self.waiting.iter().enumerate().filter(|(_, job)| is_free(job) && may_start(job));
        // Stages are first, since most jobs wait for them.
        let (index, _) = ready.max_by_key(|(_, job)| (job.makes.is_some(), job.seconds))?;
        let job = self.waiting.swap_remove(index);
        self.used.extend(job.uses);
        Some(job)
    }

    /// Tells whether a stage, and with it those that it needs, succeeded.
    fn has_reached(&self, stage: Stage) -> bool {
        Stage::ALL
            .into_iter()
            .filter(|one| one.leads_to(stage))
            .all(|one| self.reached.get(&one) == Some(&true))
    }
}

/// Runs the jobs; if a stage fails, the jobs that need it do not run.
pub(super) fn run(jobs: Vec<Job<'_>>, lanes: usize) {
    let has = |stage| jobs.iter().any(|job| job.makes == Some(stage));
    let reached = Stage::ALL.into_iter().filter(|stage| !has(*stage)).map(|stage| (stage, true));
    let reached = reached.collect();
    let state = Mutex::new(State { waiting: jobs, used: Vec::new(), reached });
    let changed = Condvar::new();
    thread::scope(|scope| {
        for _ in 0..lanes.max(1) {
            scope.spawn(|| run_lane(&state, &changed));
        }
    });
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
            if now.reached.values().any(|succeeded| !succeeded) && now.used.is_empty() {
                return;
            }
            now = changed.wait(now).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        drop(now);
        let (uses, makes) = (job.uses, job.makes);
        let succeeded = carry_out(job);
        now = lock(state);
        now.used.retain(|resource| Some(*resource) != uses);
        if let Some(stage) = makes {
            now.reached.insert(stage, succeeded);
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
    use std::sync::mpsc;
    use std::time::Duration;

    fn job<'a>(seconds: u32, needs: &[Stage], work: impl FnOnce() -> bool + Send + 'a) -> Job<'a> {
        let needs = needs.to_vec();
        Job { seconds, uses: None, needs, makes: None, work: Box::new(work) }
    }

    fn making<'a>(stage: Stage, work: impl FnOnce() -> bool + Send + 'a) -> Job<'a> {
        Job { makes: Some(stage), ..job(0, stage.needs(), work) }
    }

    /// The names of jobs in the order in which they ended.
    #[derive(Default)]
    struct Order(Mutex<Vec<&'static str>>);

    impl Order {
        fn note(&self, name: &'static str) {
            self.0.lock().expect("no panic").push(name);
        }

        /// The work of a job that notes its name.
        fn noting(&self, name: &'static str) -> impl FnOnce() -> bool + Send {
            move || {
                self.note(name);
                true
            }
        }

        /// The works of two jobs that run side by side: the first waits for the second, and fails if it does not come.
        fn meeting(
            &self,
            first: &'static str,
            second: &'static str,
        ) -> (impl FnOnce() -> bool + Send, impl FnOnce() -> bool + Send) {
            let (sender, receiver) = mpsc::channel();
            let wait = move || {
                let has_met = receiver.recv_timeout(Duration::from_secs(60)).is_ok();
                self.note(first);
                has_met
            };
            let come = move || {
                self.note(second);
                sender.send(()).is_ok()
            };
            (wait, come)
        }

        fn names(self) -> Vec<&'static str> {
            self.0.into_inner().expect("no panic")
        }
    }

    /// The longest starts first, the set-up and the build before all.
    #[test]
    fn the_order_is_set_up_then_build_then_longest() {
        let order = Order::default();
        run(
            vec![
                job(1, &[], order.noting("short")),
                job(9, &[Stage::Built], order.noting("long")),
                making(Stage::Built, order.noting("build")),
                making(Stage::Programs, order.noting("set-up")),
            ],
            1,
        );
        assert_eq!(order.names(), ["set-up", "build", "long", "short"]);
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
            run(
                vec![
                    making(Stage::Programs, move || sets_up),
                    making(Stage::Built, || false),
                    job(1, &[Stage::Built], count),
                    job(1, &[Stage::Programs], count),
                    job(1, &[], count),
                ],
                2,
            );
            assert_eq!(ran.into_inner(), expected);
        }
    }

    /// A job that needs nothing runs beside the set-up.
    #[test]
    fn the_set_up_has_company() {
        let order = Order::default();
        let (set_up, beside) = order.meeting("set-up", "beside");
        run(vec![making(Stage::Programs, set_up), job(1, &[], beside)], 2);
        assert_eq!(order.names(), ["beside", "set-up"]);
    }

    /// A job that needs the native wheel runs beside the build of the other wheel, which comes after the native one.
    #[test]
    fn the_second_build_has_company() {
        let order = Order::default();
        let (built, native) = order.meeting("built", "native");
        run(
            vec![
                making(Stage::Built, built),
                job(1, &[Stage::Built], order.noting("page")),
                job(9, &[Stage::Installed], native),
                making(Stage::Installed, order.noting("installed")),
            ],
            2,
        );
        assert_eq!(order.names(), ["installed", "native", "built", "page"]);
    }

    /// The Python tools and the npm packages are installed side by side; what is built waits for both.
    #[test]
    fn stages_that_do_not_need_each_other_have_company() {
        let order = Order::default();
        let (tools, packages) = order.meeting("tools", "packages");
        run(
            vec![
                making(Stage::Built, order.noting("built")),
                making(Stage::Tools, tools),
                making(Stage::Packages, packages),
            ],
            2,
        );
        assert_eq!(order.names(), ["packages", "tools", "built"]);
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
        let jobs = (0..4).map(|_| Job { uses: Some(Resource::Cargo), ..job(1, &[], work) }).collect();
        run(jobs, 2);
        assert_eq!(most.into_inner(), 1);
    }
}
