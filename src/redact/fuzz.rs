//! Checks what must hold for any secret in any notation and any pieces; the fuzzer and a test run it.

use std::fmt::Write as _;
use std::sync::Arc;

use super::{MASK, Redactor, Secrets};

/// The number of notations that [`write`] knows.
const NOTATIONS: u8 = 10;

/// Reads the input as settings, the lengths of pieces, a secret, and text around it. Panics if the pieces make a difference, or if
/// the secret is left in the notation that the settings name.
#[cfg_attr(not(fuzzing), expect(unreachable_pub, reason = "the fuzzer is another crate"))]
pub fn check(data: &[u8]) {
    let Some((settings, rest)) = data.split_first_chunk::<4>() else { return };
    let [notation, variant, cuts, len] = *settings;
    let (lengths, rest) = rest.split_at(rest.len().min(usize::from(cuts % 32)));
    let (secret, around) = rest.split_at(rest.len().min(6 + usize::from(len % 60)));
    let Some(secrets) = Secrets::new([secret]) else { return };

    // Whatever the stream is, its pieces make no difference.
    let is_same = |stream: &[u8]| {
        let whole = mask(&secrets, [stream]);
        assert_eq!(mask(&secrets, pieces_of(stream, lengths)), whole, "the pieces change what is masked");
        whole
    };
    is_same(around);
    let Ok(text) = str::from_utf8(secret) else { return };
    if text.trim_matches(['\r', '\n']).len() != text.len() {
        return;
    }
    let written = write(notation % NOTATIONS, variant, text);
    let (before, after) = around.split_at(around.len() / 2);
    let masked = is_same(&[before, b" |", written.as_bytes(), b"| ", after].concat());
    let masked = String::from_utf8_lossy(&masked);
    assert!(masked.contains(MASK), "{written:?} is left of {text:?}");
    // A secret may occur in the text around as well, and overlap with its notation.
    let is_alone = !before.iter().chain(after).any(|byte| written.as_bytes().contains(byte));
    assert!(!is_alone || !masked.contains(&written), "{written:?} is left of {text:?}");
}

/// Cuts a stream into pieces of these lengths, and the rest.
pub(crate) fn pieces_of<'s>(mut stream: &'s [u8], lengths: &[u8]) -> Vec<&'s [u8]> {
    let mut pieces = Vec::new();
    for length in lengths {
        let (piece, rest) = stream.split_at(stream.len().min(usize::from(*length)));
        pieces.push(piece);
        stream = rest;
    }
    pieces.push(stream);
    pieces
}

/// Masks the secrets in a stream that comes in pieces.
pub(crate) fn mask<'s>(secrets: &Arc<Secrets>, pieces: impl IntoIterator<Item = &'s [u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut redactor = Redactor::new(Arc::clone(secrets));
    for piece in pieces {
        redactor.feed(piece, |clean| out.extend_from_slice(clean));
    }
    redactor.finish(|clean| out.extend_from_slice(clean));
    out
}

/// Writes a secret in one of the notations. The bits of `variant` choose, in turn, between the spellings of a
/// character.
fn write(notation: u8, variant: u8, secret: &str) -> String {
    let mut out = String::new();
    for (at, char) in secret.chars().enumerate() {
        let choice = variant.rotate_left(u32::try_from(at % 8).unwrap_or_default());
        let is_first = choice & 1 == 0;
        let mut utf8 = [0; 4];
        let bytes = char.encode_utf8(&mut utf8).as_bytes();
        match notation {
            0 if is_first => {
                for byte in bytes {
                    write!(out, "%{byte:02x}").unwrap();
                }
            }
            0 if char.is_ascii_alphanumeric() => out.push(char),
            0 => {
                for byte in bytes {
                    write!(out, "%{byte:02X}").unwrap();
                }
            }
            1 if is_first => {
                for unit in char.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}").unwrap();
                }
            }
            1 => {
                let quoted = serde_json::to_string(&char).unwrap();
                out.push_str(&quoted[1..quoted.len() - 1]);
            }
            2 if is_first || matches!(char, '\\' | '\'') || char.is_control() => {
                for byte in bytes {
                    write!(out, "\\{byte:03o}").unwrap();
                }
            }
            3 if char == '\'' => out.push_str(if is_first { "'\\''" } else { "'\"'\"'" }),
            4 if matches!(char, '"' | '$' | '`' | '\\') => write!(out, "\\{char}").unwrap(),
            5 if is_first || char == '&' => write!(out, "&#{};", u32::from(char)).unwrap(),
            6 => {
                for byte in bytes {
                    write!(out, "{byte:02x}{}", if is_first { " " } else { "" }).unwrap();
                }
            }
            _ => out.push(char),
        }
    }
    let wrapped = |text: String, width: usize| {
        let lines: Vec<_> = text.as_bytes().chunks(width).map(|line| str::from_utf8(line).unwrap()).collect();
        lines.join(if variant & 1 == 0 { "\n" } else { "\r\n" })
    };
    let prefixed = |count: u8| ["", "x", "yz"][usize::from(count % 3)].to_owned() + secret;
    match notation {
        7 => base64(&prefixed(variant)),
        8 => base64(&prefixed(variant)).trim_end_matches('=').replace('+', "-").replace('/', "_"),
        9 => wrapped(base64(&prefixed(variant)), 4 + usize::from(variant % 70)),
        _ => out,
    }
}

fn base64(text: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for part in text.as_bytes().chunks(3) {
        let byte = |at: usize| u32::from(part.get(at).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let char = ALPHABET[(bits >> (18 - 6 * at) & 63) as usize];
            out.push(if at > part.len() { '=' } else { char.into() });
        }
    }
    out
}

/// Checks the inputs that a fuzzer starts from, and those that it once found something with.
#[cfg(test)]
pub(crate) fn check_corpus(name: &str, check: fn(&[u8])) {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let files: Vec<_> = std::fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 5, "the corpus is there");
    for file in files {
        check(&std::fs::read(file).unwrap());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_corpus_holds() {
        check_corpus("redact", check);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3000) })]

        #[test]
        fn any_input_holds(
            settings in any::<[u8; 4]>(),
            lengths in prop::collection::vec(0..20_u8, 0..32),
            text in "[a-z0-9%$&'\"\\\\+/ \n\r;#xuöß-]{6,120}",
        ) {
            let [notation, variant, _, len] = settings;
            let cuts = u8::try_from(lengths.len()).unwrap();
            // A character that is cut is no text: that input shows the pieces alone.
            check(&[&[notation, variant, cuts, len][..], &lengths, text.as_bytes()].concat());
        }
    }
}
