//! Inputs that the benches and the guard's counters share, and that are the same every time.

use execution_engine::{Command, ExecutionRequest};

/// The largest read of a pipe.
const READ: usize = 64 * 1024;

/// Bytes of one mebibyte.
pub const MIB: usize = 1024 * 1024;

/// Returns lines as programs write them: of many lengths, most of them short, some that end with `\r\n`, some of
/// several bytes a character.
#[must_use]
pub fn lines(bytes: usize) -> Vec<u8> {
    const WORDS: [&str; 8] = ["info", "compiled", "src/main.rs", "ok", "warning:", "größe", "…", "GET /health 200"];
    let mut text = String::with_capacity(bytes + 256);
    let mut random = Random(1);
    while text.len() < bytes {
        for _ in 0..=random.below(16) {
            text.push_str(WORDS[random.below(WORDS.len())]);
            text.push(' ');
        }
        text.push_str(if random.below(16) == 0 { "\r\n" } else { "\n" });
    }
    let mut bytes = text.into_bytes();
    bytes.shrink_to_fit();
    bytes
}

/// Returns a stream in the parts in which it is read from a pipe.
#[must_use]
pub fn reads(stream: &[u8]) -> Vec<&[u8]> {
    stream.chunks(READ).collect()
}

/// Returns a command that does nothing.
#[must_use]
pub fn nothing() -> ExecutionRequest {
    ExecutionRequest::new(Command::Exec { program: "true".into(), args: Vec::new() })
}

/// Numbers that only look random.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        // Xorshift: any will do, as long as it is the same on every machine.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or_default() % bound
    }
}
