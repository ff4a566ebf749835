//! The readings of a text that has very many, ordered by place, so that equal ones are merged.

use std::collections::btree_map::{BTreeMap, Entry};
use std::collections::vec_deque::VecDeque;

use super::decode::Quoting;
use super::trace::{Decoding, Goal, LONGEST_GAP, Trace};

/// The state that readings have in common. Those with as many symbols and as long a gap end alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RowKey {
    /// The first field: rows are read in the order of their places.
    pub(super) at: u64,
    pub(super) goal: Goal,
    pub(super) way: Decoding,
    pub(super) leads: bool,
    pub(super) window: Window,
}

/// The rest of the key of a reading without a pattern; empty if there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Window {
    pub(super) symbols: u32,
    /// The start of the reading, if it can become Base64 or hexadecimal: the byte in front of it counts then.
    start: Option<u64>,
}

/// A reading: the number of its symbols so far, and its start; `u64::MAX` if its first symbol is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RowEntry {
    pub(super) symbols: u32,
    pub(super) start: u64,
}

/// Readings of one state, the longest gap first.
#[derive(Debug, Clone, Default)]
pub(super) struct TraceRow {
    /// The gaps of all parts grow together.
    clock: u32,
    /// The parts, each with the value of the clock at which its gap began, and its readings in the order of their
    /// symbols.
    parts: VecDeque<(u32, Vec<RowEntry>)>,
}

/// All rows of a stream. A run of quotes has twice as many readings with each quote; here they are at most as many as there are
/// states and gaps times symbols of the secret, and a row whose quotes stand for nothing moves as one.
#[derive(Debug)]
pub(super) struct TraceRows {
    rows: BTreeMap<RowKey, TraceRow>,
    /// Counts the steps of traces and readings; a test bounds them.
    pub(super) work: usize,
    /// The number of steps after which nothing is followed any more.
    pub(super) most_work: usize,
}

impl Default for TraceRows {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), work: 0, most_work: usize::MAX }
    }
}

impl RowKey {
    fn of(trace: &Trace) -> Self {
        let window = match (trace.goal, trace.way) {
            (Goal::Pattern(_), _) => Window::default(),
            (_, Decoding::Text(quoting)) if quoting != Quoting::Unknown => {
                Window { symbols: trace.symbols, start: None }
            }
            _ => Window { symbols: trace.symbols, start: trace.start },
        };
        Self { at: trace.at, goal: trace.goal, way: trace.way, leads: trace.leads, window }
    }

    pub(super) fn trace(&self, reading: RowEntry, gap: u8) -> Trace {
        Trace {
            start: (reading.start != u64::MAX).then_some(reading.start),
            at: self.at,
            way: self.way,
            goal: self.goal,
            symbols: reading.symbols,
            gap,
            leads: self.leads,
        }
    }
}

impl TraceRow {
    /// Iterates over the gaps, each with its readings.
    pub(super) fn parts(&self) -> impl Iterator<Item = (u8, &[RowEntry])> {
        self.parts.iter().map(|(began, readings)| (self.gap(*began), &**readings))
    }

    pub(super) fn readings(&self) -> impl Iterator<Item = &RowEntry> {
        self.parts.iter().flat_map(|(_, readings)| readings)
    }

    /// Widens all gaps by a byte that stood for nothing.
    pub(super) fn widen(&mut self) {
        self.clock += 1;
        while self.parts.front().is_some_and(|(began, _)| self.clock - began > LONGEST_GAP.into()) {
            self.parts.pop_front();
        }
    }

    fn gap(&self, began: u32) -> u8 {
        u8::try_from(self.clock - began).expect("longer gaps were removed")
    }

    /// Returns how many readings it touched.
    fn add(&mut self, gap: u8, readings: Vec<RowEntry>) -> usize {
        // Within the longest gap, the clock is never behind one.
        self.clock = self.clock.max(LONGEST_GAP.into());
        let began = self.clock - u32::from(gap);
        let at = self.parts.partition_point(|(other, _)| *other < began);
        match self.parts.get_mut(at) {
            Some((other, known)) if *other == began => {
                merge(known, readings);
                known.len()
            }
            _ => {
                self.parts.insert(at, (began, readings));
                1
            }
        }
    }
}

/// Merges readings in the order of their symbols. Of two with as many symbols, the earlier one masks all that the later one would.
fn merge(known: &mut Vec<RowEntry>, others: Vec<RowEntry>) {
    let mut merged = Vec::with_capacity(known.len() + others.len());
    let mut others = others.into_iter().peekable();
    for mut reading in known.drain(..) {
        while let Some(other) = others.next_if(|other| other.symbols < reading.symbols) {
            merged.push(other);
        }
        if let Some(other) = others.next_if(|other| other.symbols == reading.symbols) {
            reading.start = reading.start.min(other.start);
        }
        merged.push(reading);
    }
    merged.extend(others);
    *known = merged;
}

impl TraceRows {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.rows.clear();
    }

    #[inline]
    pub(super) fn is_beyond(&self) -> bool {
        self.work > self.most_work
    }

    /// Removes the first row whose place is `place` or in front of it.
    pub(super) fn next_until(&mut self, place: u64) -> Option<(RowKey, TraceRow)> {
        if self.is_beyond() {
            self.clear();
        }
        let first = self.rows.first_entry()?;
        (first.key().at <= place).then(|| first.remove_entry())
    }

    pub(super) fn insert(&mut self, trace: &Trace) {
        let reading = RowEntry { symbols: trace.symbols, start: trace.start.unwrap_or(u64::MAX) };
        self.add(RowKey::of(trace), trace.gap, vec![reading]);
    }

    /// Adds readings, in the order of their symbols, that have one gap.
    pub(super) fn add(&mut self, key: RowKey, gap: u8, readings: Vec<RowEntry>) {
        if !readings.is_empty() {
            let row = self.rows.entry(key).or_default();
            self.work += row.add(gap, readings);
        }
    }

    pub(super) fn add_row(&mut self, key: RowKey, mut row: TraceRow) {
        if row.parts.is_empty() {
            return;
        }
        match self.rows.entry(key) {
            Entry::Vacant(place) => {
                place.insert(row);
            }
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                if known.parts.len() < row.parts.len() {
                    std::mem::swap(known, &mut row);
                }
                let TraceRow { clock, parts } = row;
                for (began, readings) in parts {
                    let gap = u8::try_from(clock - began).expect("longer gaps were removed");
                    self.work += known.add(gap, readings);
                }
            }
        }
    }

    /// Returns where the first of all readings began.
    pub(super) fn first_start(&self) -> Option<u64> {
        let starts = self.rows.values().flat_map(TraceRow::readings).map(|reading| reading.start);
        starts.min().filter(|start| *start != u64::MAX)
    }
}
