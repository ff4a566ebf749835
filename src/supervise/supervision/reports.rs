//! Events about a running command besides its lines: `waiting` and `exited`.

use super::{Supervision, SupervisionPhase};
use crate::event::{EventType, ExecutionEvent};
use crate::platform::clock::Instant;
use crate::platform::{Look, signal_name};

impl Supervision {
    /// Looks whether the command waits for input, if that is due.
    pub(super) fn watch_input(&mut self, now: Instant) {
        let Some(watch) = &mut self.watch else { return };
        let input = &self.process.input;
        if !matches!(self.phase, SupervisionPhase::Alive) || !input.is_open() {
            self.watch = None;
            return;
        }
        watch.was_given(input.given(), now);
        let empty = if self.output.wants(EventType::Waiting) { input.is_read_up() } else { None };
        watch.tick(&self.process.leader, empty, now);
    }

    /// Takes what a look has found, and emits `waiting` if the command waits.
    pub(super) fn looked(&mut self, look: Option<Look>, now: Instant) {
        let Some(watch) = &mut self.watch else { return };
        let Some(waits_for) = watch.take(look, now) else { return };
        // The command may have got input since the look began.
        if self.process.input.is_read_up().is_none() {
            watch.has_written(now);
            return;
        }
        let prompt = self.output.unfinished_line(self.last_stream);
        self.output.emit(|execution_id, timestamp, sequence| ExecutionEvent::Waiting {
            execution_id,
            timestamp,
            sequence,
            r#for: waits_for,
            prompt: prompt.into_bytes().into(),
        });
    }

    /// Emits `exited`, if there is a listener.
    pub(super) fn report_exit(&mut self) {
        if self.output.wants(EventType::Exited) {
            let exit = self.process.leader.seen_exit().unwrap_or_default();
            self.output.emit(|execution_id, timestamp, sequence| ExecutionEvent::Exited {
                execution_id,
                timestamp,
                sequence,
                exit_code: exit.code,
                signal: exit.signal.map(signal_name),
            });
        }
    }
}
