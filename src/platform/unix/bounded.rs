//! Reads that may hang, on a separate thread: a read that hangs costs the caller a bounded wait, and one thread until the kernel
//! ends it.

use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use super::procs::Proc;
use crate::runtime::thread_channel::{ThreadSender, thread_channel};

type BoundedRead = Box<dyn FnOnce() + Send>;

/// A thread that reads. It is replaced when it hangs.
#[derive(Debug, Default)]
pub(super) struct Bounded {
    reader: Option<ThreadSender<BoundedRead>>,
}

impl Bounded {
    /// Calls `read` for each process, for at most `limit` in all. Returns the results, and the processes whose read hung.
    pub(super) fn map<T: Send + 'static>(
        &mut self,
        procs: &[Proc],
        limit: Duration,
        read: impl Fn(&Proc) -> T + Copy + Send + 'static,
    ) -> (Vec<(Proc, T)>, Vec<Proc>) {
        let mut deadline = Instant::now() + limit;
        let (mut answers, mut hanging) = (Vec::with_capacity(procs.len()), Vec::new());
        let mut rest = procs;
        while !rest.is_empty() {
            let (give, given) = thread_channel();
            let procs = rest.to_vec();
            let is_started = self.start(Box::new(move || {
                for proc in procs {
                    // The receiver has given up; another thread reads the others.
                    if give.send((proc, read(&proc))).is_err() {
                        return;
                    }
                }
            }));
            if !is_started {
                return (answers, hanging);
            }
            loop {
                match given.recv(deadline.saturating_duration_since(Instant::now())) {
                    Ok(answer) => {
                        answers.push(answer);
                        rest = &rest[1..];
                    }
                    // The host was stopped meanwhile, and this thread with it.
                    Err(RecvTimeoutError::Timeout) if deadline.elapsed() > limit => deadline = Instant::now() + limit,
                    Err(RecvTimeoutError::Timeout) => {
                        hanging.extend(rest.first());
                        self.reader = None;
                        return (answers, hanging);
                    }
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            // The read of this one has panicked: it is skipped.
            rest = rest.get(1..).unwrap_or_default();
        }
        (answers, hanging)
    }

    /// Returns `false` if the system has no room for a thread.
    fn start(&mut self, work: BoundedRead) -> bool {
        let work = match &self.reader {
            None => work,
            Some(reader) => match reader.send(work) {
                Ok(()) => return true,
                Err(work) => work,
            },
        };
        let (give, given) = thread_channel::<BoundedRead>();
        let run = move || {
            while let Ok(work) = given.recv(Duration::MAX) {
                work();
            }
        };
        if std::thread::Builder::new().name("escher-proc".into()).stack_size(256 * 1024).spawn(run).is_err() {
            return false;
        }
        let is_given = give.send(work).is_ok();
        self.reader = Some(give);
        is_given
    }
}

#[cfg(test)]
mod tests;
