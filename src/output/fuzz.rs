//! Checks what must hold for any bytes in any pieces; the fuzzer and a test run it.

use super::head_tail_buffer::{HeadTailBuffer, Keep};
use super::lines::{Flags, Splitter};
use crate::redact::Secrets;
use crate::redact::fuzz::{mask, pieces_of};

/// Overlapping, nested, of several lines, and with characters of several bytes.
const SECRETS: [&str; 6] = ["abcabc", "bcabcab", "aaaaaaaa", "ab\r\nabcab", "a€uro€a", "abcabcabcabc"];

/// Reads the input as settings, the lengths of pieces, and a stream. Panics if the pieces make a difference.
#[cfg_attr(not(fuzzing), expect(unreachable_pub, reason = "the fuzzer is another crate"))]
pub fn check(data: &[u8]) {
    let Some((settings, rest)) = data.split_first_chunk::<4>() else { return };
    let [max, cap, keep, chosen] = settings.map(usize::from);
    let (lengths, stream) = rest.split_at(rest.len().min(cap % 32));
    let pieces = pieces_of(stream, lengths);

    let is_chosen = |at: usize| chosen >> at & 1 == 1;
    let chosen: Vec<_> = (0..SECRETS.len()).filter(|at| is_chosen(*at)).map(|at| SECRETS[at].as_bytes()).collect();
    if let Some(secrets) = Secrets::new(chosen.iter().copied()) {
        let masked = mask(&secrets, [stream]);
        assert_eq!(mask(&secrets, pieces.iter().copied()), masked, "the pieces change what is masked");
        let is_left = chosen.iter().any(|secret| masked.windows(secret.len()).any(|part| part == *secret));
        assert!(!is_left, "a secret is left");
    }

    let lines = split(max % 64, &[stream]);
    assert_eq!(split(max % 64, &pieces), lines, "the pieces change the lines");

    let keep = [Keep::Head, Keep::Tail, Keep::Both][keep % 3];
    let mut limit = HeadTailBuffer::new(cap, keep);
    for piece in &pieces {
        limit.push(piece);
    }
    let kept = limit.freeze();
    assert_eq!(kept.written, stream.len() as u64);
    assert_eq!(kept.truncated, stream.len() > cap);
    let marker = format!("\n[... output truncated: {} of {} bytes omitted ...]\n", kept.omitted, kept.written);
    let marker = if kept.truncated { marker.len() } else { 0 };
    assert_eq!((kept.bytes.len() - marker) as u64 + kept.omitted, kept.written, "kept and omitted are not all");
}

fn split(max: usize, pieces: &[&[u8]]) -> Vec<(Vec<u8>, Flags)> {
    let mut lines = Vec::new();
    let mut splitter = Splitter::new(max);
    let mut emit = |text: &[u8], flags| lines.push((text.to_vec(), flags));
    for piece in pieces {
        splitter.feed(piece, &mut emit);
    }
    splitter.finish(&mut emit);
    lines
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_corpus_holds() {
        crate::redact::fuzz::check_corpus("output", super::check);
    }
}
