//! The one loop that supervises a running command.

use std::future::{pending, ready};
use std::sync::Arc;
use std::time::Duration;

use crate::guardian::Guard;
use crate::output::Output;
use crate::platform::clock::{Instant, Timer};
use crate::platform::{Look, Sight};
use crate::process::{Fed, Process, Read};
use crate::state::{EndControl, Running, Stop};
use crate::types::{Diagnosis, ErrorInfo, Leftovers, Stream};

use super::job::{Job, Times};
use super::outcome::{self, Ending, Outcome};
use super::terminate::{Cause, Termination};
use super::waiting::InputWatch;

mod reports;

/// The longest drain after the exit of the command, however much a background process still writes.
const LONGEST_DRAIN: Duration = Duration::from_secs(2);
/// The bytes that are read after the exit of the command although the listener takes nothing: its last output must not
/// be lost. A pipe holds no more.
const EXEMPT_AFTER_EXIT: usize = 1024 * 1024;
/// The number of events that are handled before the task yields to others.
const EVENTS_BEFORE_YIELD: u32 = 32;

/// Reports what an execution has to do without.
pub(crate) type Degraded<'a> = dyn Fn(&mut Output, String) + Send + Sync + 'a;

/// The event that woke the loop; [`Supervision::decide`] decides what follows.
enum Wakeup {
    Exited,
    Stop(Stop),
    Readable(Stream),
    Scanned(Option<Sight>),
    /// The guardian has failed.
    Degraded(Arc<str>),
    /// A caller has shortened the grace period.
    KillSooner,
    /// The listener or the disk has room again: the child can be read.
    Room,
    /// Bytes of a log or an overflow file are missing.
    Lost,
    /// The input of the child has ended.
    Fed(Fed),
    /// A caller has moved the deadline.
    Moved,
    /// A look whether the command waits for input is done.
    Looked(Option<Look>),
    Tick,
}

/// The phase of a running execution.
///
/// | from | to | by |
/// | --- | --- | --- |
/// | `Alive` | `Draining` | the leader exited |
/// | `Alive`, `Draining` | `Ending` | it is stopped, a deadline has passed, or leftovers are ended |
/// | `Ending` | `Draining` | the tree is gone |
/// | `Draining` | over | the pipes have ended, were silent for the drain timeout, or the longest drain is over |
enum SupervisionPhase {
    Alive,
    Ending(Termination),
    Draining { since: Instant, ended: Option<Termination> },
}

/// An execution while its command runs, until its tree has ended and its pipes are read.
pub(super) struct Supervision {
    times: Times,
    end: Arc<EndControl>,
    running: Running,
    process: Process,
    guard: Option<Guard>,
    output: Box<Output>,
    phase: SupervisionPhase,
    exited: bool,
    /// The time when the child started, or wrote last.
    last_output: Instant,
    /// The bytes that may still be read after the exit although the listener takes nothing.
    exempt: usize,
    /// The time since when the output is not read, because the listener or the disk has no room.
    held_up: Option<Instant>,
    leftovers: Leftovers,
    /// A pipe was still open when the command had exited and its drain was over.
    leaked: bool,
    /// The silence of the command when it was ended.
    silent: Duration,
    /// Watches whether it waits for input, while that is open.
    watch: Option<InputWatch>,
    /// The stream that it wrote to last.
    last_stream: Stream,
    /// Why its input failed, if it was ended for that.
    input_error: Option<ErrorInfo>,
}

impl Supervision {
    pub(super) fn new(
        job: &Job,
        running: Running,
        mut process: Process,
        guard: Option<Guard>,
        output: Box<Output>,
    ) -> Self {
        if !job.secrets.is_empty() {
            process.outputs.are_masked();
        }
        let after = Duration::from_millis(job.config.waiting_after_ms);
        let watch = process.input.is_open().then(|| InputWatch::new(after, running.since()));
        Self {
            times: Times::of(job),
            end: Arc::clone(&job.end),
            last_output: running.since(),
            running,
            process,
            guard,
            output,
            phase: SupervisionPhase::Alive,
            exited: false,
            exempt: EXEMPT_AFTER_EXIT,
            held_up: None,
            leftovers: job.options.leftovers.unwrap_or(job.config.leftovers),
            leaked: false,
            silent: Duration::ZERO,
            watch,
            last_stream: Stream::Stdout,
            input_error: None,
        }
    }

    /// Supervises to the end. `degraded` is called with what the execution has to do without.
    pub(super) async fn run(mut self: Box<Self>, degraded: &Degraded<'_>) -> Outcome {
        let mut timer = Timer::new();
        let mut events: u32 = 0;
        loop {
            let event = self.next(&mut timer).await;
            events = events.wrapping_add(1);
            if let Wakeup::Degraded(message) = &event {
                degraded(&mut self.output, message.to_string());
            }
            if self.decide(event) {
                return self.over();
            }
            if let (SupervisionPhase::Ending(termination), Some(guard)) = (&mut self.phase, &self.guard)
                && let Some(grace) = termination.take_announcement()
            {
                guard.kills_after(grace);
            }
            if self.process.outputs.end_turn() || events.is_multiple_of(EVENTS_BEFORE_YIELD) {
                // A child with constant output, or with output that takes long to mask, must not occupy a thread.
                tokio::task::yield_now().await;
            }
        }
    }

    /// Waits for the next event. If an exit and a request to stop are both ready, the exit takes precedence.
    async fn next(&mut self, timer: &mut Timer) -> Wakeup {
        self.note_hold_up();
        let deadline = self.deadline();
        let is_due = deadline.is_some_and(|deadline| deadline <= Instant::now());
        let may_be_ended = self.may_be_ended();
        let is_open = self.process.outputs.is_open();
        let may_read = is_open && self.may_read();
        let output = &self.output;
        let may_lose = output.may_lose();
        let ending = match &mut self.phase {
            SupervisionPhase::Ending(termination) => Some(termination),
            SupervisionPhase::Alive | SupervisionPhase::Draining { .. } => None,
        };
        let is_ending = ending.is_some();
        let is_alive = !self.exited && !is_ending;
        let has_watch = is_alive && self.watch.is_some();
        tokio::select! {
            biased;
            () = self.process.leader.exited(), if !self.exited => Wakeup::Exited,
            why = self.end.stop.requested(), if may_be_ended => Wakeup::Stop(why),
            () = self.end.deadline.moved(), if is_alive => Wakeup::Moved,
            () = self.end.stop.kills_sooner(), if is_ending => Wakeup::KillSooner,
            sight = async { match ending { Some(termination) => termination.scanned().await, None => pending().await } },
                if is_ending => Wakeup::Scanned(sight),
            () = ready(()), if is_due => Wakeup::Tick,
            stream = self.process.outputs.readable(), if may_read => Wakeup::Readable(stream),
            () = output.room(), if !may_read && is_open => Wakeup::Room,
            fed = self.process.input.drive(), if self.process.input.is_open() => Wakeup::Fed(fed),
            () = output.lost(), if may_lose => Wakeup::Lost,
            look = async { match &mut self.watch { Some(watch) => watch.looked().await, None => pending().await } },
                if has_watch => Wakeup::Looked(look),
            message = guard_failure(&mut self.guard) => Wakeup::Degraded(message),
            // The timer is the last branch: most waits are over before a timer is needed, and to set one may wake a
            // thread.
            () = timer.reaches(deadline) => Wakeup::Tick,
        }
    }

    /// Whether its end has not begun.
    fn may_be_ended(&self) -> bool {
        matches!(self.phase, SupervisionPhase::Alive | SupervisionPhase::Draining { ended: None, .. })
    }

    /// Notes from when to when the output is not read: that is no silence of the command.
    fn note_hold_up(&mut self) {
        if !self.may_read() {
            self.held_up.get_or_insert_with(Instant::now);
        } else if let Some(since) = self.held_up.take() {
            let now = Instant::now();
            self.last_output = now;
            self.output.was_held_up(since, now);
        }
    }

    fn may_read(&self) -> bool {
        !self.output.is_full() || (self.exited && self.exempt > 0)
    }

    /// Decides what follows an event; the only place that does. `true`: the execution is over.
    fn decide(&mut self, event: Wakeup) -> bool {
        let now = Instant::now();
        match event {
            Wakeup::Exited => self.exited(now),
            // A command that has exited has its outcome; a stop request ends what it left running.
            Wakeup::Stop(why) => {
                self.check_exit(now);
                self.end(if self.exited { Cause::Leftovers } else { Cause::Stop(why) }, now);
            }
            // Other executions may have used the room meanwhile.
            Wakeup::Readable(stream) if self.may_read() => {
                let output = &mut self.output;
                let read = self.process.outputs.read(stream, |bytes| output.feed(stream, bytes));
                self.take(stream, read, now);
            }
            Wakeup::KillSooner => {
                if let (SupervisionPhase::Ending(termination), Some(at)) = (&mut self.phase, self.end.stop.kill_at()) {
                    termination.kill_sooner(at);
                }
            }
            Wakeup::Scanned(sight) => {
                if let SupervisionPhase::Ending(termination) = &mut self.phase
                    && termination.take(sight, self.exited, now)
                {
                    self.tree_is_gone(now);
                }
            }
            Wakeup::Fed(Fed::Done) => self.watch = None,
            Wakeup::Moved | Wakeup::Room | Wakeup::Readable(_) | Wakeup::Degraded(_) | Wakeup::Fed(Fed::Part) => {}
            Wakeup::Fed(Fed::Failed(reason)) => self.fail_input(&reason, now),
            Wakeup::Looked(look) => self.looked(look, now),
            Wakeup::Lost => self.output.report_loss(),
            Wakeup::Tick => self.tick(now),
        }
        self.is_over(now)
    }

    /// Handles the result of a read.
    fn take(&mut self, stream: Stream, read: Read, now: Instant) {
        match read {
            Read::Bytes(count) => {
                self.last_output = now;
                self.last_stream = stream;
                if let Some(watch) = &mut self.watch {
                    watch.has_written(now);
                }
                if self.exited {
                    self.exempt = self.exempt.saturating_sub(count);
                }
            }
            Read::Nothing => {}
            Read::End => self.output.finish(stream),
        }
        if self.may_be_ended() && self.output.is_beyond_cap() {
            self.end(Cause::Stop(Stop::OutputLimit), now);
        }
    }

    /// Reads a stream once although the runtime has not reported it ready: after a time in which the host was stopped, or had no
    /// processor, a timer can fire first.
    fn read_unreported(&mut self, stream: Stream, now: Instant) -> Read {
        let output = &mut self.output;
        let read = self.process.outputs.read_unreported(stream, |bytes| output.feed(stream, bytes));
        self.take(stream, read, now);
        read
    }

    /// Shows unfinished lines of streams that are silent, when that is due.
    fn show_unfinished(&mut self, now: Instant) {
        if self.may_read() && self.output.deadline().is_some_and(|deadline| deadline <= now) {
            self.read_once(now);
            self.output.tick(now);
        }
    }

    /// Reads both streams once: a stream is silent only if a read finds nothing.
    fn read_once(&mut self, now: Instant) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            if self.may_read() {
                self.read_unreported(stream, now);
            }
        }
    }

    /// Reads what the pipes hold, up to [`EXEMPT_AFTER_EXIT`]. Returns whether that was all: after a read that took long to handle, others
    /// have their turn first.
    fn read_rest(&mut self, now: Instant) -> bool {
        for stream in [Stream::Stdout, Stream::Stderr] {
            while self.exempt > 0 && matches!(self.read_unreported(stream, now), Read::Bytes(_)) {
                if self.process.outputs.is_turn_over() {
                    return false;
                }
            }
        }
        true
    }

    /// Ends a command whose input has failed. One that has exited, or is being ended, needs no input.
    fn fail_input(&mut self, reason: &str, now: Instant) {
        if matches!(self.phase, SupervisionPhase::Alive) {
            self.input_error = Some(outcome::input_failed(reason));
            self.end(Cause::Stop(Stop::Aborted), now);
        }
    }

    fn tick(&mut self, now: Instant) {
        self.show_unfinished(now);
        self.watch_input(now);
        match &mut self.phase {
            SupervisionPhase::Alive => {
                if self.overdue(now).is_none() {
                    return;
                }
                // The host may have been stopped: what the command has done meanwhile takes precedence.
                self.read_once(now);
                self.check_exit(now);
                if let (SupervisionPhase::Alive, Some(why)) = (&self.phase, self.overdue(now)) {
                    self.end(Cause::Stop(why), now);
                }
            }
            SupervisionPhase::Ending(termination) => {
                if termination.tick(self.exited, now) {
                    self.tree_is_gone(now);
                }
            }
            SupervisionPhase::Draining { .. } => {}
        }
    }

    /// Returns the deadline that has passed, if one has.
    fn overdue(&self, now: Instant) -> Option<Stop> {
        if self.end.deadline.at().is_some_and(|at| now >= at) {
            return Some(Stop::Timeout);
        }
        self.idle_deadline().is_some_and(|deadline| now >= deadline).then_some(Stop::IdleTimeout)
    }

    /// Checks for an exit that the runtime has not reported yet.
    fn check_exit(&mut self, now: Instant) {
        if !self.exited && self.process.leader.has_exited() {
            self.exited(now);
        }
    }

    fn exited(&mut self, now: Instant) {
        self.exited = true;
        self.process.outputs.command_exited();
        self.end.deadline.close();
        self.report_exit();
        match &mut self.phase {
            SupervisionPhase::Alive => self.phase = SupervisionPhase::Draining { since: now, ended: None },
            SupervisionPhase::Ending(termination) => termination.leader_exited(now),
            SupervisionPhase::Draining { .. } => {}
        }
    }

    fn end(&mut self, cause: Cause, now: Instant) {
        self.silent = now - self.last_output;
        self.end.deadline.close();
        let plan = self.times.stop_plan;
        self.phase =
            SupervisionPhase::Ending(Termination::begin(&self.process.leader, cause, plan, self.end.stop.kill_at()));
    }

    fn tree_is_gone(&mut self, now: Instant) {
        let before = std::mem::replace(&mut self.phase, SupervisionPhase::Alive);
        if let SupervisionPhase::Ending(ended) = before {
            self.phase = SupervisionPhase::Draining { since: now, ended: Some(ended) };
        }
    }

    fn idle_deadline(&self) -> Option<Instant> {
        // A command whose output is not read cannot show activity.
        let idle = self.times.idle.filter(|_| self.may_read())?;
        Some(self.last_output + idle)
    }

    /// Returns when the drain ends although a pipe is still open.
    fn drain_deadline(&self, since: Instant) -> Instant {
        (self.last_output.max(since) + self.times.drain).min(since + LONGEST_DRAIN)
    }

    fn is_over(&mut self, now: Instant) -> bool {
        if !self.is_drained(now) {
            return false;
        }
        if self.process.outputs.is_open() {
            // The host may have been stopped for longer than the drain: what was written meanwhile is read.
            if !self.read_rest(now) || !self.is_drained(now) {
                return false;
            }
        }
        self.leaked |= self.process.outputs.is_open();
        let is_ended = !matches!(self.phase, SupervisionPhase::Draining { ended: None, .. });
        if !is_ended && self.leftovers == Leftovers::Kill {
            self.end(Cause::Leftovers, now);
            return false;
        }
        true
    }

    fn is_drained(&self, now: Instant) -> bool {
        let SupervisionPhase::Draining { since, .. } = self.phase else { return false };
        !self.process.outputs.is_open() || now >= self.drain_deadline(since)
    }

    fn deadline(&self) -> Option<Instant> {
        let phase = match &self.phase {
            SupervisionPhase::Alive => {
                let watch = self.watch.as_ref().and_then(InputWatch::deadline);
                self.end.deadline.at().into_iter().chain(self.idle_deadline()).chain(watch).min()
            }
            SupervisionPhase::Ending(termination) => Some(termination.deadline()),
            SupervisionPhase::Draining { since, .. } => Some(self.drain_deadline(*since)),
        };
        phase.into_iter().chain(self.output.deadline().filter(|_| self.may_read())).min()
    }

    fn over(mut self: Box<Self>) -> Outcome {
        if self.process.outputs.is_open() {
            for stream in [Stream::Stdout, Stream::Stderr] {
                self.output.finish(stream);
            }
        }
        // This comes before the pid can be reused: the guardian must not kill another process.
        drop(self.guard.take());
        let exit = self.process.leader.reap();
        let pid = Some(self.process.leader.id());
        let ended = match self.phase {
            SupervisionPhase::Draining { ended, .. } => ended,
            SupervisionPhase::Alive | SupervisionPhase::Ending(_) => None,
        };
        let (mut killed, mut diagnosis) = (None, None);
        let ending = match ended.map(|termination| (termination.cause, termination.into_report())) {
            Some((Cause::Stop(why), (report, processes, more_processes))) => {
                if matches!(why, Stop::Timeout | Stop::IdleTimeout) {
                    let silent_ms = self.silent.as_secs_f64() * 1_000.0;
                    diagnosis = Some(Diagnosis { silent_ms, processes, more_processes });
                }
                killed = Some(report);
                match self.input_error {
                    Some(error) => Ending::InputFailed(error, exit),
                    None => Ending::Stopped(why, exit),
                }
            }
            Some((Cause::Leftovers, (report, ..))) => {
                killed = (!report.pids.is_empty()).then_some(report);
                Ending::Exited(exit.unwrap_or_default())
            }
            None => Ending::Exited(exit.unwrap_or_default()),
        };
        // Output after the exit counts for the cap too; an earlier reason has precedence.
        let ending = match ending {
            Ending::Exited(exit) if self.output.is_beyond_cap() => Ending::Stopped(Stop::OutputLimit, Some(exit)),
            other => other,
        };
        let leaked = self.leaked;
        Outcome { ending, over: self.running.over(), output: self.output, pid, killed, diagnosis, leaked }
    }
}

async fn guard_failure(guard: &mut Option<Guard>) -> Arc<str> {
    match guard {
        Some(guard) => guard.notice().await,
        None => pending().await,
    }
}
