//! The one loop that watches a running child.

use std::future::{pending, ready};
use std::sync::Arc;
use std::time::Duration;

use crate::guardian::Guard;
use crate::output::Output;
use crate::platform::Sight;
use crate::platform::clock::{Instant, Timer};
use crate::process::{Fed, Process, Read};
use crate::state::{Running, Stop, StopRequest};
use crate::types::{Diagnosis, ErrorInfo, Leftovers, Stream};

use super::outcome::{self, Ending, Outcome};
use super::terminate::{Cause, Termination};
use super::{Degraded, Job, Times};

/// The longest drain after the leader has gone, however much a leftover still writes.
const LONGEST_DRAIN: Duration = Duration::from_secs(2);
/// A listener that takes nothing must not cost the command its last words: this much is read after its exit whatever the
/// listener does. It is the most that a pipe holds.
const EXEMPT_AFTER_EXIT: usize = 1024 * 1024;
/// So many events are handled before others have their turn.
const TURNS: u32 = 32;

/// What happened; [`Watch::decide`] says what follows.
enum Event {
    Exited,
    Stop(Stop),
    Readable(Stream),
    Scanned(Option<Sight>),
    /// Something was wrong with the guardian.
    Degraded(Arc<str>),
    /// A caller wants the tree killed sooner.
    KillSooner,
    /// The listener or the disk has taken something: the child can be read again.
    Room,
    /// Bytes of a log or an overflow file are missing.
    Lost,
    /// The child's input has come to its end.
    Fed(Fed),
    Tick,
}

/// Where a running execution stands.
///
/// | from | to | by |
/// | --- | --- | --- |
/// | `Alive` | `Draining` | the leader exited |
/// | `Alive`, `Draining` | `Ending` | somebody wants it to end, a time is up, or leftovers are to go |
/// | `Ending` | `Draining` | the tree is gone |
/// | `Draining` | over | the pipes have ended, were silent for long, or took too long |
enum Phase {
    Alive,
    Ending(Termination),
    Draining { since: Instant, ended: Option<Termination> },
}

pub(super) struct Watch {
    times: Times,
    stop: Arc<StopRequest>,
    running: Running,
    process: Process,
    guard: Option<Guard>,
    output: Output,
    phase: Phase,
    exited: bool,
    /// The child's last sign of life: its start or its last output.
    last_output: Instant,
    exempt: usize,
    /// Since when the listener or the disk holds the child up: its output is not read.
    held_up: Option<Instant>,
    leftovers: Leftovers,
    /// A pipe was still held when the command had exited and its drain was over.
    leaked: bool,
    /// How long it had been silent when it was ended.
    silent: Duration,
    /// Why its input broke off, if it was ended for that.
    input_error: Option<ErrorInfo>,
}

impl Watch {
    pub(super) fn new(job: &Job, running: Running, process: Process, guard: Option<Guard>, output: Output) -> Self {
        Self {
            times: Times::of(job),
            stop: Arc::clone(&job.stop),
            last_output: running.since(),
            running,
            process,
            guard,
            output,
            phase: Phase::Alive,
            exited: false,
            exempt: EXEMPT_AFTER_EXIT,
            held_up: None,
            leftovers: job.options.leftovers,
            leaked: false,
            silent: Duration::ZERO,
            input_error: None,
        }
    }

    /// Supervises to the end. `degraded` reports what the execution has to do without.
    pub(super) async fn run(mut self, degraded: &Degraded<'_>) -> Outcome {
        let mut timer = Timer::new();
        let mut turns: u32 = 0;
        loop {
            let event = self.next(&mut timer).await;
            turns = turns.wrapping_add(1);
            if turns.is_multiple_of(TURNS) {
                // A child that always has something to read must not keep a thread.
                tokio::task::yield_now().await;
            }
            if let Event::Degraded(message) = &event {
                degraded(&mut self.output, message.to_string());
            }
            if self.decide(event) {
                return self.over();
            }
            if let (Phase::Ending(termination), Some(guard)) = (&mut self.phase, &self.guard)
                && let Some(grace) = termination.take_announcement()
            {
                guard.kills_after(grace);
            }
        }
    }

    /// Waits for the first thing that happens. An exit goes before a wish to end: the truth wins a tie.
    async fn next(&mut self, timer: &mut Timer) -> Event {
        self.notice_hold_up();
        let deadline = self.deadline();
        let is_due = deadline.is_some_and(|deadline| deadline <= Instant::now());
        let listens = self.may_be_ended();
        let is_open = self.process.outputs.is_open();
        let may_read = is_open && self.may_read();
        let output = &self.output;
        let may_lose = output.may_lose();
        let ending = match &mut self.phase {
            Phase::Ending(termination) => Some(termination),
            Phase::Alive | Phase::Draining { .. } => None,
        };
        let is_ending = ending.is_some();
        tokio::select! {
            biased;
            () = self.process.leader.exited(), if !self.exited => Event::Exited,
            why = self.stop.requested(), if listens => Event::Stop(why),
            () = self.stop.kills_sooner(), if is_ending => Event::KillSooner,
            sight = async { match ending { Some(termination) => termination.scanned().await, None => pending().await } },
                if is_ending => Event::Scanned(sight),
            () = ready(()), if is_due => Event::Tick,
            stream = self.process.outputs.readable(), if may_read => Event::Readable(stream),
            () = output.room(), if !may_read && is_open => Event::Room,
            fed = self.process.input.drive(), if self.process.input.is_open() => Event::Fed(fed),
            () = output.lost(), if may_lose => Event::Lost,
            message = notice(&mut self.guard) => Event::Degraded(message),
            // Last: most waits are over before a timer is needed, and setting one may wake a thread.
            () = timer.reaches(deadline) => Event::Tick,
        }
    }

    /// Whether nobody has begun to end it.
    fn may_be_ended(&self) -> bool {
        matches!(self.phase, Phase::Alive | Phase::Draining { ended: None, .. })
    }

    /// What the listener or the disk held up was no silence of the command.
    fn notice_hold_up(&mut self) {
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

    /// The one place that decides. `true`: it is over.
    fn decide(&mut self, event: Event) -> bool {
        let now = Instant::now();
        match event {
            Event::Exited => self.exited(now),
            // A command that has exited has its outcome; a wish to end it still reaches what it left behind.
            Event::Stop(why) => {
                self.notice_exit(now);
                self.end(if self.exited { Cause::Leftovers } else { Cause::Stop(why) }, now);
            }
            // Meanwhile the others may have taken the room that there was.
            Event::Readable(stream) if self.may_read() => {
                let output = &mut self.output;
                let read = self.process.outputs.read(stream, |bytes| output.feed(stream, bytes));
                self.take(stream, read, now);
            }
            Event::KillSooner => {
                if let (Phase::Ending(termination), Some(at)) = (&mut self.phase, self.stop.kill_at()) {
                    termination.kill_sooner(at);
                }
            }
            Event::Scanned(sight) => {
                if let Phase::Ending(termination) = &mut self.phase
                    && termination.take(sight, self.exited, now)
                {
                    self.tree_is_gone(now);
                }
            }
            Event::Room | Event::Readable(_) | Event::Fed(Fed::Done) | Event::Degraded(_) => {}
            Event::Fed(Fed::Failed(reason)) => self.break_off(&reason, now),
            Event::Lost => self.output.report_loss(),
            Event::Tick => self.tick(now),
        }
        self.is_over(now)
    }

    /// Follows up on a read.
    fn take(&mut self, stream: Stream, read: Read, now: Instant) {
        match read {
            Read::Bytes(count) => {
                self.last_output = now;
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

    /// Reads a stream once although the runtime has not reported it: after a time in which the host was stopped, or had no
    /// processor, a timer can come first.
    fn read_unreported(&mut self, stream: Stream, now: Instant) -> Read {
        let output = &mut self.output;
        let read = self.process.outputs.read_unreported(stream, |bytes| output.feed(stream, bytes));
        self.take(stream, read, now);
        read
    }

    /// Shows unfinished lines of streams that are silent, when that is due.
    fn show_unfinished(&mut self, now: Instant) {
        if self.may_read() && self.output.deadline().is_some_and(|deadline| deadline <= now) {
            self.look(now);
            self.output.tick(now);
        }
    }

    /// Reads both streams once: only what gives nothing is silent.
    fn look(&mut self, now: Instant) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            if self.may_read() {
                self.read_unreported(stream, now);
            }
        }
    }

    /// Reads what there is, up to what may be read after an exit.
    fn read_rest(&mut self, now: Instant) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            while self.exempt > 0 && matches!(self.read_unreported(stream, now), Read::Bytes(_)) {}
        }
    }

    /// There is no more input although there should be. What exits by itself or is being ended anyway needs none.
    fn break_off(&mut self, reason: &str, now: Instant) {
        if matches!(self.phase, Phase::Alive) {
            self.input_error = Some(outcome::input_failed(reason));
            self.end(Cause::Stop(Stop::Aborted), now);
        }
    }

    fn tick(&mut self, now: Instant) {
        self.show_unfinished(now);
        match &mut self.phase {
            Phase::Alive => {
                if self.overdue(now).is_none() {
                    return;
                }
                // The host may have been stopped: what the command has done meanwhile comes first.
                self.look(now);
                self.notice_exit(now);
                if let (Phase::Alive, Some(why)) = (&self.phase, self.overdue(now)) {
                    self.end(Cause::Stop(why), now);
                }
            }
            Phase::Ending(termination) => {
                if termination.tick(self.exited, now) {
                    self.tree_is_gone(now);
                }
            }
            Phase::Draining { .. } => {}
        }
    }

    /// The time that is up, if one is.
    fn overdue(&self, now: Instant) -> Option<Stop> {
        if now >= self.running.attempted() + self.times.timeout {
            return Some(Stop::Timeout);
        }
        self.idle_deadline().is_some_and(|deadline| now >= deadline).then_some(Stop::IdleTimeout)
    }

    /// Looks for an exit that the runtime has not reported yet.
    fn notice_exit(&mut self, now: Instant) {
        if !self.exited && self.process.leader.has_exited() {
            self.exited(now);
        }
    }

    fn exited(&mut self, now: Instant) {
        self.exited = true;
        match &mut self.phase {
            Phase::Alive => self.phase = Phase::Draining { since: now, ended: None },
            Phase::Ending(termination) => termination.leader_exited(now),
            Phase::Draining { .. } => {}
        }
    }

    fn end(&mut self, cause: Cause, now: Instant) {
        self.silent = now - self.last_output;
        let plan = self.times.stop_plan;
        self.phase = Phase::Ending(Termination::begin(&self.process.leader, cause, plan, self.stop.kill_at()));
    }

    fn tree_is_gone(&mut self, now: Instant) {
        let before = std::mem::replace(&mut self.phase, Phase::Alive);
        if let Phase::Ending(ended) = before {
            self.phase = Phase::Draining { since: now, ended: Some(ended) };
        }
    }

    fn idle_deadline(&self) -> Option<Instant> {
        // A command that is not read cannot show that it is alive.
        let idle = self.times.idle.filter(|_| self.may_read())?;
        Some(self.last_output + idle)
    }

    /// When the drain ends although a pipe is still held.
    fn drain_deadline(&self, since: Instant) -> Instant {
        (self.last_output.max(since) + self.times.drain).min(since + LONGEST_DRAIN)
    }

    fn is_over(&mut self, now: Instant) -> bool {
        if !self.is_drained(now) {
            return false;
        }
        if self.process.outputs.is_open() {
            // The host may have been stopped for longer than a drain lasts: what was written meanwhile is read.
            self.read_rest(now);
            if !self.is_drained(now) {
                return false;
            }
        }
        self.leaked |= self.process.outputs.is_open();
        let is_ended = !matches!(self.phase, Phase::Draining { ended: None, .. });
        if !is_ended && self.leftovers == Leftovers::Kill {
            self.end(Cause::Leftovers, now);
            return false;
        }
        true
    }

    fn is_drained(&self, now: Instant) -> bool {
        let Phase::Draining { since, .. } = self.phase else { return false };
        !self.process.outputs.is_open() || now >= self.drain_deadline(since)
    }

    fn deadline(&self) -> Option<Instant> {
        let phase = match &self.phase {
            Phase::Alive => {
                let total = self.running.attempted() + self.times.timeout;
                Some(self.idle_deadline().map_or(total, |idle| idle.min(total)))
            }
            Phase::Ending(termination) => Some(termination.deadline()),
            Phase::Draining { since, .. } => Some(self.drain_deadline(*since)),
        };
        phase.into_iter().chain(self.output.deadline().filter(|_| self.may_read())).min()
    }

    fn over(mut self) -> Outcome {
        if self.process.outputs.is_open() {
            for stream in [Stream::Stdout, Stream::Stderr] {
                self.output.finish(stream);
            }
        }
        // Before the number can become somebody else's: the guardian must not kill that one.
        drop(self.guard.take());
        let exit = self.process.leader.reap();
        let pid = Some(self.process.leader.id());
        let ended = match self.phase {
            Phase::Draining { ended, .. } => ended,
            Phase::Alive | Phase::Ending(_) => None,
        };
        let (mut killed, mut diagnosis) = (None, None);
        let ending = match ended.map(|termination| (termination.cause, termination.into_report())) {
            Some((Cause::Stop(why), (told, processes, more_processes))) => {
                if matches!(why, Stop::Timeout | Stop::IdleTimeout) {
                    let silent_ms = self.silent.as_secs_f64() * 1_000.0;
                    diagnosis = Some(Diagnosis { silent_ms, processes, more_processes });
                }
                killed = Some(told);
                match self.input_error {
                    Some(error) => Ending::InputFailed(error, exit),
                    None => Ending::Stopped(why, exit),
                }
            }
            Some((Cause::Leftovers, (told, ..))) => {
                killed = (!told.pids.is_empty()).then_some(told);
                Ending::Exited(exit.unwrap_or_default())
            }
            None => Ending::Exited(exit.unwrap_or_default()),
        };
        // What came after the exit, while others were ended or at the very end, counts too; an earlier reason stays.
        let ending = match ending {
            Ending::Exited(exit) if self.output.is_beyond_cap() => Ending::Stopped(Stop::OutputLimit, Some(exit)),
            other => other,
        };
        let leaked = self.leaked;
        Outcome { ending, over: self.running.over(), output: self.output, pid, killed, diagnosis, leaked }
    }
}

async fn notice(guard: &mut Option<Guard>) -> Arc<str> {
    match guard {
        Some(guard) => guard.notice().await,
        None => pending().await,
    }
}
