//! What has been followed already, where a text can be read in very many ways.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::trace::{Goal, Trace, Way};

/// Fewer steps than this are cheaper to repeat than to remember.
const FREE_STEPS: u32 = 64;

/// Two traces that differ only in how they came to a place end alike there, so that the second need not be followed. Without
/// this, a run of quotes has twice as many readings with each quote.
#[derive(Debug, Default)]
pub(super) struct Followed {
    steps: u32,
    /// What was followed, with the start and the gap of the trace: a later start masks nothing more, and a longer gap ends earlier.
    known: HashMap<Key, (u64, u8)>,
    /// Behind the last place of a known trace.
    end: u64,
}

type Key = (u64, Way, Goal, u32, Option<u64>);

impl Followed {
    /// The traces of another place come next.
    #[inline]
    pub(super) fn begin(&mut self, at: u64) {
        self.steps = 0;
        if self.end != 0 && at >= self.end {
            self.known.clear();
            self.end = 0;
        }
    }

    /// Whether a trace has to be followed.
    #[inline]
    pub(super) fn is_new(&mut self, trace: &Trace) -> bool {
        self.steps += 1;
        (self.steps <= FREE_STEPS && self.end == 0) || self.is_unknown(trace)
    }

    #[cold]
    fn is_unknown(&mut self, trace: &Trace) -> bool {
        // The start decides what a window can be, and what a leader stands for.
        let decisive = trace.start.filter(|_| trace.leads || matches!(trace.goal, Goal::Window(_)));
        let key = (trace.at, trace.way, trace.goal, trace.symbols, decisive);
        let start = trace.start.unwrap_or(u64::MAX);
        self.end = self.end.max(trace.at + 1);
        match self.known.entry(key) {
            Entry::Occupied(known) if known.get().0 <= start && known.get().1 <= trace.gap => false,
            entry => {
                entry.insert_entry((start, trace.gap));
                true
            }
        }
    }
}
