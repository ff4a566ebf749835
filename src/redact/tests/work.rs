//! Tests how much work the redactor does for a text: counted, not timed.

use super::*;

/// Returns how many steps are taken for each byte of a text.
pub(super) fn steps_for_each_byte(secrets: &Arc<Secrets>, text: &str, chunk: usize) -> usize {
    let mut redactor = Redactor::new(Arc::clone(secrets));
    for bytes in text.as_bytes().chunks(chunk) {
        redactor.feed(bytes, |_| {});
    }
    redactor.finish(|_| {});
    redactor.rows.work / text.len()
}

/// Counted, not timed. If readings were not merged, each of these would take thousands of times as many steps.
#[test]
fn the_work_for_each_byte_is_bounded() {
    for part in ["'", "\"", "\\", "\"\"", "'\"", "\\'", "'$", "$'\\", "\\\"", "\r\n", "\n ", "%'", "&'"] {
        for (count, end) in [(60, ""), (60, "end"), (300, ""), (300, "end")] {
            let secret = part.repeat(count) + end;
            // The secrets are made ready once, which takes longer than some of the texts.
            let secrets = secrets(&[&secret]);
            for run in [part, "'", "\"", "\\", "\\'", "'\"'\"'", "'\\''"] {
                let text = run.repeat(1000 / run.len());
                for chunk in [1, text.len()] {
                    let steps = steps_for_each_byte(&secrets, &text, chunk);
                    assert!(
                        steps <= 100 + 8 * secret.len(),
                        "{count} times {part:?} in {run:?} in pieces of {chunk}: {steps} steps for each byte"
                    );
                }
            }
        }
    }
}

/// `n` begins the Base64 of a secret with `g`, and `\n` may stand between its characters: behind each place is a long gap.
#[test]
fn a_run_of_escaped_line_ends_is_read_once_for_each_place() {
    for (secret, run) in [("ghp_0123456789abcdef", "\\n"), ("key-0123456789", "\\r"), ("ghp_0123456789abcdef", "n\n\n")]
    {
        for (chunk, most) in [(1, 100), (7, 100), (200, 10), (5_000, 10)] {
            let steps = steps_for_each_byte(&secrets(&[secret]), &run.repeat(1_000), chunk);
            assert!(steps <= most, "{secret} in {run:?} in pieces of {chunk}: {steps} steps for each byte");
        }
    }
}

/// The worst runs that are known: the work grows with the secret, and not with the text.
#[test]
fn more_text_is_no_more_work_for_each_byte() {
    for (part, run) in [("'", "''$''"), ("'", "'$'''"), ("$", "'$''")] {
        for len in [7, 20] {
            let secrets = secrets(&[part.repeat(len)]);
            let steps = |count| steps_for_each_byte(&secrets, &run.repeat(count), 5 * count);
            let (few, many) = (steps(250), steps(1_000));
            assert!(few <= 400 * len && many <= few + few / 10, "{part:?} in {run:?}: {few}, then {many}");
        }
    }
}
