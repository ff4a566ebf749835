//! Reads all readings of a row on at once.

use super::decode::{self, Quoting, Symbol, Token};
use super::follow::is_line_start;
use super::glance::is_special;
use super::rows::{RowEntry, RowKey, TraceRow};
use super::scan::Reader;
use super::trace::{Decoding, Goal, LONGEST_GAP, Tokens};

impl Reader<'_> {
    /// Reads the rows on up to a place, so that all readings that reach it are merged.
    pub(super) fn read_rows_until(&mut self, place: u64) {
        while let Some((key, row)) = self.stream.rows.next_until(place) {
            let at = usize::try_from(key.at - self.base).expect("it is in the buffer");
            self.steps = 0;
            match (key.way, key.goal) {
                _ if at >= self.buffer.len() => self.wait_for_more(key, row),
                (Decoding::Text(quoting), Goal::Pattern(pattern)) => self.pattern_row(key, row, quoting, pattern, at),
                (Decoding::Text(quoting), Goal::Window(bytes)) if quoting != Quoting::Unknown => {
                    self.window_row(key, row, quoting, bytes, at);
                }
                _ => self.each(&row, |reader, reading, gap| reader.step(key.trace(reading, gap), at)),
            }
            self.follow_all();
        }
    }

    fn each(&mut self, row: &TraceRow, mut read: impl FnMut(&mut Self, RowEntry, u8)) {
        for (gap, readings) in row.parts() {
            self.count(readings.len());
            for reading in readings {
                read(self, *reading, gap);
            }
        }
    }

    fn wait_for_more(&mut self, key: RowKey, row: TraceRow) {
        if !self.is_end {
            self.waiting.push((key, row));
        }
    }

    fn tokens(&self, quoting: Quoting, at: usize) -> Tokens {
        let mut tokens = Tokens::default();
        decode::decode(quoting, &self.buffer[at..], self.is_end, |token, quoting| tokens.push(token, quoting));
        tokens
    }

    /// Does what [`Reader::text`] does, for one symbol.
    fn pattern_row(&mut self, key: RowKey, row: TraceRow, quoting: Quoting, pattern: u32, at: usize) {
        let (bytes, tokens) = (&*self.secrets.patterns[pattern as usize].bytes, self.tokens(quoting, at));
        for (symbol, len, quoting) in tokens.symbols() {
            let next = key.behind(len, quoting);
            for (_, readings) in row.parts() {
                self.count(readings.len());
                let mut read = Vec::with_capacity(readings.len());
                for reading in readings {
                    if !bytes[reading.symbols as usize..].starts_with(symbol.bytes()) {
                        continue;
                    }
                    let reading = reading.with(symbol);
                    if reading.symbols as usize == bytes.len() {
                        self.complete(next.trace(reading, 0), pattern);
                    } else {
                        read.push(reading);
                    }
                }
                self.stream.rows.add(next, 0, read);
            }
        }
        let byte = self.buffer[at];
        let is_plain = !is_special(byte) && quoting != Quoting::Gap;
        let is_blank = is_plain && matches!(byte, b' ' | b'\t');
        if is_blank || key.leads {
            for (gap, readings) in row.parts() {
                let mut skipped = Vec::new();
                for reading in readings.iter().filter(|reading| bytes[reading.symbols as usize] != byte) {
                    if is_blank && gap < LONGEST_GAP && is_line_start(&bytes[..reading.symbols as usize]) {
                        skipped.push(*reading);
                    } else {
                        self.ended(&key.trace(*reading, gap));
                    }
                }
                self.stream.rows.add(key.behind(1, quoting), gap + 1, skipped);
            }
        }
        self.move_row(key, row, &tokens);
    }

    /// Does what [`Reader::open_text`] does, for a known quoting.
    fn window_row(&mut self, key: RowKey, row: TraceRow, quoting: Quoting, bytes: u64, at: usize) {
        let tokens = self.tokens(quoting, at);
        for (symbol, len, quoting) in tokens.symbols() {
            let next = key.behind(len, quoting);
            self.each(&row, |reader, reading, _| reader.open(next.trace(reading, 0), bytes, symbol.bytes()));
        }
        if self.secrets.index.text.has_beginning(bytes, key.window.symbols) {
            self.move_row(key, row, &tokens);
        }
    }

    /// Moves a row past what stands for nothing.
    fn move_row(&mut self, key: RowKey, mut row: TraceRow, tokens: &Tokens) {
        let mut moves = tokens.all().filter(|(token, _)| !matches!(token, Token::Symbol(..))).peekable();
        while let Some(&(token, quoting)) = moves.next() {
            self.count(1);
            let mut row = if moves.peek().is_some() { row.clone() } else { std::mem::take(&mut row) };
            if let Token::Switch(len) = token {
                row.widen();
                self.stream.rows.add_row(key.behind(len, quoting), row);
            } else {
                self.wait_for_more(key.behind(0, quoting), row);
            }
        }
    }
}

impl RowKey {
    /// Returns the state a few bytes further.
    fn behind(self, len: usize, quoting: Quoting) -> Self {
        Self { at: self.at + len as u64, way: Decoding::Text(quoting), ..self }
    }
}

impl RowEntry {
    fn with(self, symbol: Symbol) -> Self {
        Self { symbols: self.symbols + u32::try_from(symbol.bytes().len()).expect("a character"), ..self }
    }
}
