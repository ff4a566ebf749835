//! The one loop that watches a running child.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{Sleep, sleep_until};

use crate::latch::Latch;
use crate::output::Output;
use crate::process::{Process, Read};
use crate::state::{Running, Stop};
use crate::types::Stream;

use super::outcome::{Ending, Outcome};
use super::terminate::Termination;
use super::{Job, Times};

/// The longest drain after the leader has gone, however much a leftover still writes.
const LONGEST_DRAIN: Duration = Duration::from_secs(2);
/// A listener that takes nothing must not cost the command its last words: this much is read after its exit whatever the
/// listener does. It is the most that a pipe holds.
const EXEMPT_AFTER_EXIT: usize = 1024 * 1024;
/// An optional deadline that is not set.
const FAR_FUTURE: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);

/// What happened; [`Watch::decide`] says what follows.
#[derive(Clone, Copy)]
enum Event {
    Exited,
    Stop(Stop),
    Readable(Stream),
    /// The listener has taken something, or the child has read its input.
    Progress,
    Tick,
}

/// Where a running execution stands.
///
/// | from | to | by |
/// | --- | --- | --- |
/// | `Alive` | `Draining` | the leader exited |
/// | `Alive`, `Draining` | `Ending` | somebody wants it to end, or a time is up |
/// | `Ending` | `Draining` | the tree is gone |
/// | `Draining` | over | the pipes have ended, were silent for long, or took too long |
enum Phase {
    Alive,
    Ending(Termination),
    Draining { since: Instant, ended: Option<Termination> },
}

pub(super) struct Watch {
    times: Times,
    stop: Arc<Latch<Stop>>,
    running: Running,
    process: Process,
    output: Output,
    phase: Phase,
    exited: bool,
    /// The child's last sign of life: its start or its last output.
    last_output: Instant,
    exempt: usize,
}

impl Watch {
    pub(super) fn new(job: &Job, running: Running, process: Process, output: Output) -> Self {
        Self {
            times: Times::of(job),
            stop: Arc::clone(&job.stop),
            last_output: running.since(),
            running,
            process,
            output,
            phase: Phase::Alive,
            exited: false,
            exempt: EXEMPT_AFTER_EXIT,
        }
    }

    pub(super) async fn run(mut self) -> Outcome {
        let mut timer = Timer::new();
        loop {
            timer.arm(self.deadline());
            let event = self.next(&mut timer).await;
            if self.decide(event) {
                return self.over();
            }
        }
    }

    /// Waits for the first thing that happens. An exit goes before a wish to end: the truth wins a tie.
    async fn next(&mut self, timer: &mut Timer) -> Event {
        let listens = matches!(self.phase, Phase::Alive) || matches!(&self.phase, Phase::Draining { ended: None, .. });
        let may_read = self.process.outputs.is_open() && self.may_read();
        let flow = if may_read { None } else { self.output.flow().cloned() };
        tokio::select! {
            biased;
            () = self.process.leader.exited(), if !self.exited => Event::Exited,
            why = self.stop.wait(), if listens => Event::Stop(*why),
            () = timer.elapsed() => Event::Tick,
            stream = self.process.outputs.readable(), if may_read => Event::Readable(stream),
            () = async { if let Some(flow) = &flow { flow.room().await } }, if flow.is_some() && self.process.outputs.is_open() => Event::Progress,
            () = self.process.input.drive(), if self.process.input.is_open() => Event::Progress,
        }
    }

    fn may_read(&self) -> bool {
        let room = self.output.flow().is_none_or(|flow| !flow.is_full());
        room || (self.exited && self.exempt > 0)
    }

    /// The one place that decides. `true`: it is over.
    fn decide(&mut self, event: Event) -> bool {
        let now = Instant::now();
        match event {
            Event::Exited => {
                self.exited = true;
                if matches!(self.phase, Phase::Alive) {
                    self.phase = Phase::Draining { since: now, ended: None };
                }
            }
            Event::Stop(why) => self.end(why),
            Event::Readable(stream) => self.read(stream, now),
            Event::Progress => {}
            Event::Tick => self.tick(now),
        }
        self.is_drained(now)
    }

    fn read(&mut self, stream: Stream, now: Instant) {
        let output = &mut self.output;
        match self.process.outputs.read(stream, |bytes| output.feed(stream, bytes)) {
            Read::Bytes(count) => {
                self.last_output = now;
                if self.exited {
                    self.exempt = self.exempt.saturating_sub(count);
                }
            }
            Read::Nothing => {}
            Read::End => self.output.finish(stream),
        }
    }

    fn tick(&mut self, now: Instant) {
        self.output.tick(now);
        match &mut self.phase {
            Phase::Alive => {
                if now >= self.running.since() + self.times.timeout {
                    self.end(Stop::Timeout);
                } else if self.idle_deadline().is_some_and(|deadline| now >= deadline) {
                    self.end(Stop::IdleTimeout);
                }
            }
            Phase::Ending(termination) => {
                if termination.deadline(self.exited) <= now && termination.tick(&self.process.leader, self.exited, now)
                {
                    let Phase::Ending(ended) = std::mem::replace(&mut self.phase, Phase::Alive) else { unreachable!() };
                    self.phase = Phase::Draining { since: now, ended: Some(ended) };
                }
            }
            Phase::Draining { .. } => {}
        }
    }

    fn end(&mut self, why: Stop) {
        self.phase = Phase::Ending(Termination::begin(&self.process.leader, why, self.times.grace));
    }

    fn idle_deadline(&self) -> Option<Instant> {
        self.times.idle.map(|idle| self.last_output + idle)
    }

    /// When the drain ends although a pipe is still held.
    fn drain_deadline(&self, since: Instant) -> Instant {
        (self.last_output.max(since) + self.times.drain).min(since + LONGEST_DRAIN)
    }

    fn is_drained(&self, now: Instant) -> bool {
        match &self.phase {
            Phase::Draining { since, .. } => !self.process.outputs.is_open() || now >= self.drain_deadline(*since),
            Phase::Alive | Phase::Ending(_) => false,
        }
    }

    fn deadline(&self) -> Instant {
        let phase = match &self.phase {
            Phase::Alive => {
                let total = self.running.since() + self.times.timeout;
                self.idle_deadline().map_or(total, |idle| idle.min(total))
            }
            Phase::Ending(termination) => termination.deadline(self.exited),
            Phase::Draining { since, .. } => self.drain_deadline(*since),
        };
        self.output.deadline().map_or(phase, |partial| partial.min(phase))
    }

    fn over(mut self) -> Outcome {
        let leaked = self.process.outputs.is_open();
        if leaked {
            for stream in [Stream::Stdout, Stream::Stderr] {
                self.output.finish(stream);
            }
        }
        let exit = self.process.leader.reap();
        let pid = Some(self.process.leader.id());
        let ended = match self.phase {
            Phase::Draining { ended, .. } => ended,
            Phase::Alive | Phase::Ending(_) => None,
        };
        let (ending, killed) = match ended {
            Some(termination) => (Ending::Stopped(termination.why, exit), Some(termination.into_killed())),
            None => (Ending::Exited(exit.unwrap_or_default()), None),
        };
        Outcome { ending, over: self.running.over(), output: self.output, pid, killed, leaked }
    }
}

/// One timer for all deadlines. It is set anew only when a deadline comes nearer: one that moved away is found out when
/// the timer fires, which is rare, while reads are not.
struct Timer {
    sleep: Pin<Box<Sleep>>,
    armed: Instant,
}

impl Timer {
    fn new() -> Self {
        let armed = Instant::now() + FAR_FUTURE;
        Self { sleep: Box::pin(sleep_until(armed.into())), armed }
    }

    fn arm(&mut self, deadline: Instant) {
        if deadline < self.armed || self.armed <= Instant::now() {
            self.armed = deadline;
            self.sleep.as_mut().reset(deadline.into());
        }
    }

    async fn elapsed(&mut self) {
        self.sleep.as_mut().await;
    }
}
