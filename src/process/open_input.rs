//! Input that is written while a command runs.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

/// The open input of one execution. Writes are taken in the order of the calls, each when the pipe has accepted the one before.
///
/// | phase | a write | an end |
/// | --- | --- | --- |
/// | `Waiting`: the attempt has not started | waits for the start | takes effect after the writes before it |
/// | `Read` | waits until the pipe has accepted it | the same |
/// | `Unread`: the command has closed its input, or has exited | is refused | does nothing |
/// | `Over` | is refused | does nothing |
///
/// Another attempt begins with `Waiting`.
#[derive(Debug, Default)]
pub(crate) struct OpenInput {
    /// Locked for moves of pointers only.
    state: Mutex<InputState>,
    /// Notified when there is a write or the end. At most one reader waits.
    changed: Notify,
}

#[derive(Debug, Default)]
struct InputState {
    phase: InputPhase,
    writes: VecDeque<Write>,
    is_ended: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum InputPhase {
    #[default]
    Waiting,
    Read,
    Unread,
    Over,
}

#[derive(Debug)]
struct Write {
    bytes: Vec<u8>,
    /// Dropped when the bytes are not accepted.
    accepted: oneshot::Sender<()>,
}

/// Why a write is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WriteRefused {
    #[error("its input was ended: write before `end_input`")]
    Ended,
    #[error("the command does not read its input any more: write before it has closed its input or has exited")]
    Unread,
    #[error("it has ended: write while it runs")]
    Over,
}

/// A write that waits until it is accepted. Dropped before the pipe takes the first of its bytes, it writes nothing.
#[derive(Debug)]
pub(crate) struct PendingWrite {
    accepted: oneshot::Receiver<()>,
    input: Arc<OpenInput>,
}

impl PendingWrite {
    /// Resolves when the pipe has accepted all bytes.
    pub(crate) async fn accepted(self) -> Result<(), WriteRefused> {
        let Self { accepted, input } = self;
        accepted.await.map_err(|_| input.lock().refusal().unwrap_or(WriteRefused::Unread))
    }
}

impl OpenInput {
    /// Takes a place in the order of writes.
    pub(crate) fn write(self: &Arc<Self>, bytes: Vec<u8>) -> Result<PendingWrite, WriteRefused> {
        let (done, accepted) = oneshot::channel();
        let mut state = self.lock();
        if let Some(refused) = state.refusal() {
            return Err(refused);
        }
        state.writes.push_back(Write { bytes, accepted: done });
        drop(state);
        self.changed.notify_one();
        Ok(PendingWrite { accepted, input: Arc::clone(self) })
    }

    /// Ends the input after the writes before this call.
    pub(crate) fn end(&self) {
        self.lock().is_ended = true;
        self.changed.notify_one();
    }

    /// Returns the command's side of the input, when the command has started. There is one at a time.
    pub(super) fn reader(self: &Arc<Self>) -> OpenReader {
        let mut state = self.lock();
        if state.phase != InputPhase::Over {
            state.phase = InputPhase::Read;
        }
        OpenReader { input: Arc::clone(self), current: None }
    }

    /// Begins another attempt, with nothing of the attempt before.
    pub(crate) fn reopen(&self) {
        *self.lock() = InputState::default();
    }

    /// Refuses every further write: the execution is over.
    pub(crate) fn close(&self) {
        *self.lock() = InputState { phase: InputPhase::Over, ..InputState::default() };
    }

    fn lock(&self) -> MutexGuard<'_, InputState> {
        // A panic under the lock leaves a valid value.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InputState {
    fn refusal(&self) -> Option<WriteRefused> {
        match self.phase {
            InputPhase::Over => Some(WriteRefused::Over),
            _ if self.is_ended => Some(WriteRefused::Ended),
            InputPhase::Waiting | InputPhase::Read => None,
            InputPhase::Unread => Some(WriteRefused::Unread),
        }
    }
}

/// The command's side of an [`OpenInput`]. When it is dropped, the command reads no more: waiting writes are refused.
#[derive(Debug)]
pub(super) struct OpenReader {
    input: Arc<OpenInput>,
    /// The write whose bytes were taken last.
    current: Option<oneshot::Sender<()>>,
}

impl OpenReader {
    /// Reports the bytes that were taken last as accepted: the pipe has all of them.
    pub(super) fn accepted(&mut self) {
        if let Some(accepted) = self.current.take() {
            // The caller may not wait for it any more.
            let _ = accepted.send(());
        }
    }

    /// Waits for the next bytes; `None` is the end. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Vec<u8>> {
        // Those of an empty write.
        self.accepted();
        loop {
            {
                let mut state = self.input.lock();
                // A write whose caller has given up waiting is left out.
                while let Some(Write { bytes, accepted }) = state.writes.pop_front() {
                    if !accepted.is_closed() {
                        self.current = Some(accepted);
                        return Some(bytes);
                    }
                }
                if state.is_ended {
                    return None;
                }
            }
            self.input.changed.notified().await;
        }
    }
}

impl Drop for OpenReader {
    fn drop(&mut self) {
        let mut state = self.input.lock();
        if state.phase == InputPhase::Read {
            state.phase = InputPhase::Unread;
            state.writes.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// Polls a future once, and drops it.
    fn once<T>(future: impl Future<Output = T>) -> Option<T> {
        let mut context = Context::from_waker(Waker::noop());
        match std::pin::pin!(future).poll(&mut context) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }

    #[tokio::test]
    async fn a_write_is_accepted_when_the_pipe_has_it() {
        let input = Arc::new(OpenInput::default());
        let one = tokio::spawn(input.write(b"one".to_vec()).unwrap().accepted());
        let two = input.write(b"two".to_vec()).unwrap();
        let mut reader = input.reader();
        assert_eq!(reader.next().await.as_deref(), Some(&b"one"[..]));
        tokio::task::yield_now().await;
        assert!(!one.is_finished(), "the pipe may not have accepted it");
        reader.accepted();
        assert_eq!(one.await.unwrap(), Ok(()));
        assert_eq!(reader.next().await.as_deref(), Some(&b"two"[..]));
        reader.accepted();
        input.end();
        assert_eq!(reader.next().await, None);
        drop(reader);
        assert_eq!(two.accepted().await, Ok(()), "the command has exited since");
        assert_eq!(input.write(Vec::new()).unwrap_err(), WriteRefused::Ended);
    }

    #[tokio::test]
    async fn a_write_that_is_given_up_before_its_turn_writes_nothing() {
        let input = Arc::new(OpenInput::default());
        drop(input.write(b"given up".to_vec()).unwrap());
        let _kept = input.write(b"kept".to_vec()).unwrap();
        let mut reader = input.reader();
        assert_eq!(reader.next().await.as_deref(), Some(&b"kept"[..]));
        assert_eq!(once(reader.next()), None);
    }

    #[tokio::test]
    async fn writes_that_the_command_does_not_take_are_refused() {
        let input = Arc::new(OpenInput::default());
        let [taken, waiting] = ["taken", "waiting"].map(|text| input.write(text.into()).unwrap());
        let mut reader = input.reader();
        reader.next().await;
        drop(reader);
        assert_eq!(taken.accepted().await, Err(WriteRefused::Unread));
        assert_eq!(waiting.accepted().await, Err(WriteRefused::Unread));
        assert_eq!(input.write(Vec::new()).unwrap_err(), WriteRefused::Unread);
        input.end();
        input.reopen();
        let again = input.write(b"again".to_vec()).unwrap();
        input.close();
        assert_eq!(again.accepted().await, Err(WriteRefused::Over));
        assert_eq!(input.write(Vec::new()).unwrap_err(), WriteRefused::Over);
        input.end();
        assert_eq!(input.write(Vec::new()).unwrap_err(), WriteRefused::Over);
    }
}
