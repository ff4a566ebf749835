use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use proptest::collection::vec;
use proptest::prelude::*;

use self::work::steps_for_each_byte;
use super::*;

mod work;

fn secrets<S: AsRef<[u8]>>(secrets: &[S]) -> Arc<Secrets> {
    Secrets::new(secrets.iter().map(AsRef::as_ref)).expect("there are some")
}

/// Feeds chunks and returns the output.
fn mask(secrets: &Arc<Secrets>, chunks: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut redactor = Redactor::new(Arc::clone(secrets));
    for chunk in chunks {
        redactor.feed(chunk, |clean| out.extend_from_slice(clean));
    }
    redactor.finish(|clean| out.extend_from_slice(clean));
    out
}

#[track_caller]
fn check<S: AsRef<[u8]>>(given: &[S], text: &str, expected: &str) {
    let secrets = secrets(given);
    assert_eq!(secrets.mask(text), expected);
    let bytes: Vec<_> = text.as_bytes().chunks(1).collect();
    assert_eq!(String::from_utf8_lossy(&mask(&secrets, &bytes)), expected, "one byte at a time");
}

#[test]
fn a_secret_is_masked_wherever_it_is() {
    check(&["hunter22"], "hunter22", "***");
    check(&["hunter22"], "a hunter22hunter22 b", "a ****** b");
    check(&["hunter22"], "hunter2 hunter2", "hunter2 hunter2");
    check(&["line one\nline two"], "x\nline one\nline two\ny", "x\n***\ny");
}

#[test]
fn of_secrets_that_overlap_nothing_is_left() {
    check(&["abcdef", "abcdefgh"], "abcdefgh abcdefg", "*** ***g");
    check(&["xabcde", "cdefgh"], "-xabcdefgh-", "-***-");
    check(&["aaaaaa"], "aaaaaaaaa-aaaaa", "***-aaaaa");
}

#[test]
fn a_secret_that_repeats_itself_is_masked_wherever_it_begins() {
    let secret = "xy".repeat(500);
    check(
        &[&secret],
        &format!("{}-{secret}-{}", "xy".repeat(499), "xy".repeat(777)),
        &format!("{}-***-***", "xy".repeat(499)),
    );
    check(&[&secret], &format!("x{secret}x"), "x***x");
    check(&[&secret], &format!("{}%79{}", "xy".repeat(300) + "x", "xy".repeat(400)), "***");
    // The secret is long, and it may begin at each of 200 000 places.
    check(&["z".repeat(100_000)], &"z".repeat(200_000), "***");
}

#[test]
fn quotes_that_the_last_symbol_does_not_need_are_left() {
    check(&["'\"$0''"], "<'\\''\"$0'\\'''\"'\"'>", "<'***\"'>");
}

#[test]
fn a_text_with_very_many_readings_is_masked_soon() {
    for part in ["'", "\"", "\\", "'\"", "\\'", "'$", "\r\n", "%'", "&'", "\\\"", "$'\\"] {
        for count in [20, 45] {
            let secret = part.repeat(count) + "end";
            let secrets = secrets(&[&secret]);
            for text in
                [secret.clone(), part.repeat(4 * count), secret.replace('\'', "'\\''"), secret.replace('"', "\"\"")]
            {
                let whole = secrets.mask(&text).into_owned();
                let bytes: Vec<_> = text.as_bytes().chunks(1).collect();
                assert_eq!(String::from_utf8_lossy(&mask(&secrets, &bytes)), whole, "one byte at a time");
                assert_eq!(whole.contains(MASK), text.ends_with("end"), "{part:?} {count} times");
            }
        }
    }
}

#[test]
fn base64_is_masked_at_each_offset_and_in_lines() {
    let secret = "p@ss/wörd \"'+x\n?~~~???>>>";
    let secrets = secrets(&[secret]);
    for offset in 0..3 {
        for around in
            [[&b"abc"[..offset], secret.as_bytes(), b"tail"].concat(), [&b"abc"[..offset], secret.as_bytes()].concat()]
        {
            for encoded in [STANDARD.encode(&around), STANDARD_NO_PAD.encode(&around), URL_SAFE.encode(&around)] {
                for (width, end) in [(4, "\n"), (5, "\n"), (7, "\r\n"), (64, "\n"), (3, "\\n"), (9, "\n  ")] {
                    let lines: Vec<_> =
                        encoded.as_bytes().chunks(width).map(|line| str::from_utf8(line).unwrap()).collect();
                    let wrapped = lines.join(end).replace('/', if end == "\\n" { "\\/" } else { "/" });
                    let masked = secrets.mask(&wrapped).into_owned();
                    let left = masked.chars().filter(char::is_ascii_alphanumeric).count();
                    assert!(masked.contains(MASK) && left <= 2 + 3 + 7, "{wrapped}: {masked}");
                    let bytes: Vec<_> = wrapped.as_bytes().chunks(1).collect();
                    assert_eq!(mask(&secrets, &bytes), masked.as_bytes(), "{wrapped}");
                }
            }
        }
    }
    check(&["secret-"], "Authorization: Basic dXNlcjpzZWNyZXQt\n", "Authorization: Basic dXNlcjp***\n");
}

#[test]
fn the_first_characters_of_base64_may_be_on_the_line_before() {
    let encoded = STANDARD.encode("hunter22hunter22");
    for at in 1..8 {
        let wrapped = format!("{}\n{}", &encoded[..at], &encoded[at..]);
        let masked = secrets(&["hunter22hunter22"]).mask(&wrapped).into_owned();
        assert!(masked.ends_with(MASK) && masked.len() <= 7, "{masked}");
        let hex = "68756e7465723232";
        let masked = secrets(&["hunter22"]).mask(&format!("{}\n{}", &hex[..at], &hex[at..])).into_owned();
        assert!(masked.ends_with(MASK) && masked.len() <= 7, "{masked}");
    }
    // A secret that may be on the line after holds nothing back.
    let mut redactor = Redactor::new(secrets(&["hunter22"]));
    let mut out = Vec::new();
    redactor.feed(b"the a\n", |clean| out.extend_from_slice(clean));
    assert_eq!(out, b"the a\n");
}

#[test]
fn hexadecimal_is_masked_however_it_is_spaced() {
    for text in [
        "68756e7465723232",
        "68756E7465723232",
        "68756e74\n65723232",
        " 68 75 6e 74 65 72 32 32",
        "68:75:6E:74:65:72:32:32",
        " 68 75 6e\n 74 65 72 32 32\n",
        "68 75 6e 74\r\n65 72 32 32",
        "0x68, 0x75, 0x6e, 0x74, 0x65, 0x72, 0x32, 0x32",
        "0x68 0x75 0x6e 0x74 0x65 0x72 0x32 0x32",
        "0X68 0X75 0X6E 0X74 0X65 0X72 0X32 0X32",
        "{0x68,0x75,0x6e,0x74,0x65,0x72,0x32,0x32}",
        "0x68\n0x75\n0x6e\n0x74\n0x65\n0x72\n0x32\n0x32",
        "0x68,\n  0x75, 0x6e,\r\n  0x74, 0x65, 0x72, 0x32, 0x32",
        "68 75 6e 74  65 72 32 32",
        "68  75  6e  74  65  72  32  32",
        "0x68:0x75:0x6e:0x74:0x65:0x72:0x32:0x32",
        "\\x68\\x75\\x6e\\x74\\x65\\x72\\x32\\x32",
    ] {
        let masked = secrets(&["hunter22"]).mask(text).into_owned();
        let left = masked.replace(MASK, "");
        // Two blanks or two bytes at most.
        assert!(masked.contains(MASK) && left.trim().len() <= 9, "{text}: {masked}");
    }
}

#[test]
fn escapes_are_masked_in_every_spelling() {
    let secret = "p@ss/wörd \"'+x\n?😀";
    let encoded = [
        "p%40ss%2Fw%C3%B6rd%20%22'%2Bx%0A%3F%F0%9F%98%80",
        "%70%40ss%2fw%c3%B6rd%20%22%27%2bx%0a%3f%f0%9f%98%80",
        "p%40ss%2Fw%C3%B6rd+%22%27%2Bx%0A%3F%F0%9F%98%80",
        "p@ss/w%F6rd%20%22%27+x%0A%3F%uD83D%uDE00",
        "p@ss/w%f6rd%20%22%27+x%0a%3f%ud83d%ude00",
        "%u0070@ss/w%u00F6rd%u0020%u0022%u0027+x%u000A?%uD83D%uDE00",
        "%U0070%40ss/w%U00f6rd%20%22%27%u002bx%0a?%ud83d%ude00",
        "p@ss/wörd \\\"'+x\\n?😀",
        "p@ss\\/wörd \\\"'+x\\n?\\ud83d\\uDE00",
        "\\u0070@ss/w\\u00f6rd \\u0022'+x\\u000A?\\u{1f600}",
        "p@ss/w\\xc3\\xb6rd \"\\'+x\\n?\\xf0\\x9f\\x98\\x80",
        "p@ss/w\\xf6rd \"\\'+x\\n?\\U0001f600",
        "p@ss/w\\303\\266rd \"\\'+x\\012?\\360\\237\\230\\200",
        "p@ss/wörd \"'\\''+x\n?😀",
        "p@ss/wörd \"'\"'\"'+x\n?😀",
        "p@ss/wörd \\\"'+x\n?😀",
        "p@ss/wörd\\ \\\"\\'+x'\n'?😀",
        "p@ss/wörd \"'\\''+x'$'\\n''?😀",
        "p@ss/wörd\\ \\\"\\'+x$'\\n'?😀",
        "p@ss/wörd \"\\'+x$'\\n'?😀",
        "p@ss/wörd \"\"'+x\n?😀",
        "p@ss/wörd \"''+x\n?😀",
        "p@ss/wörd &quot;&#39;+x\n?&#x1F600;",
        "p@ss/wörd \"'+x\r\n   ?😀",
    ];
    for text in encoded {
        check(&[secret], text, MASK);
        check(&[secret], &format!("a='{text}';"), "a='***';");
    }
}

#[test]
fn a_secret_with_backslashes_is_masked_as_echo_writes_it() {
    check(&[r"pa\ss\word\0101\\x"], "pa\\ss\\wordA\\x", "***");
    check(&[r"some\tthing\neverything"], "some\tthing\neverything some\tthing", "*** some\tthing");
    check(&[r"hunter22\cmore"], "hunter22 hunter22\\cmore", "*** ***");
}

/// zsh, in a UTF-8 locale and in the C locale.
#[test]
fn control_characters_and_bytes_are_masked_as_zsh_writes_them() {
    check(&["\u{1}\u{1b}[31m\u{7f}hunter"], "S=$'\\C-A\\C-[[31m\\C-?hunter'", "S=$'***'");
    check(&["pass\u{e9}-\u{81}word"], "S=$'pass\\M-C\\M-)-\\M-B\\M-\\C-Aword'", "S=$'***'");
    check(&["hunter\u{3}22"], "hunter\\C-c22 hunter\\C-", "*** hunter\\C-");
}

#[test]
fn what_is_not_quite_a_secret_stays() {
    for text in [
        "hun'ter22",
        "hunter%332",
        "hunter%3",
        "huntEr22",
        "hun\\ter22",
        "hunter\"22",
        "hunter&#50;&#51;",
        "aHVudGVyMjM=",
        "YWF4dW50ZXIyMg==",
        "YXh1bnRlcjIy",
    ] {
        check(&["hunter22"], text, text);
    }
}

#[test]
fn a_line_end_at_the_end_of_a_secret_does_not_count() {
    check(&["hunter22\n"], "hunter22\nhunter22", "***\n***");
    check(&["hunter22\r\n"], &STANDARD.encode("hunter22"), MASK);
    check(&["abcde\n"], "abcde abcde\n", "abcde ***");
}

#[test]
fn the_lines_of_a_long_secret_are_secrets() {
    let key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\nshort\n-----END KEY-----\n";
    check(&[key], "  MIIEvQIBADANBgkqhkiG9w0BAQ\r\n  short\r\n", "  ***\r\n  short\r\n");
    check(&[key], &key.replace('\n', "\n    "), "***\n    ");
}

#[test]
fn only_what_can_become_a_secret_is_held_back() {
    let mut redactor = Redactor::new(secrets(&["hunter22"]));
    let mut out = Vec::new();
    redactor.feed(b"Password: hunt", |clean| out.extend_from_slice(clean));
    assert_eq!(out, b"Password: ");
    redactor.feed(b"ing", |clean| out.extend_from_slice(clean));
    assert_eq!(out, b"Password: hunting");
    for prompt in ["host$", "host$ ", "> ", "it's '", "\"", "\r", "\n", "the h\n", "72\n"] {
        let mut out = Vec::new();
        Redactor::new(secrets(&["hunter22", "root-72x"])).feed(prompt.as_bytes(), |clean| out.extend_from_slice(clean));
        assert_eq!(out, prompt.as_bytes());
    }
}

#[test]
fn what_is_held_back_is_bounded() {
    let secret = "s3cret-".repeat(20) + "x";
    let secrets = secrets(&[&secret]);
    for filler in ["\n", "'", " ", "''", "\\n", "\"\"", "=", "%", "\\", "&"] {
        let mut redactor = Redactor::new(Arc::clone(&secrets));
        let mut written = 0;
        let beginnings = ["s3cret-s3", "czNjcmV0LXMzY3JldC1", "7333637265742d"];
        for beginning in beginnings {
            redactor.feed(beginning.as_bytes(), |clean| written += clean.len());
            for _ in 0..1000 {
                redactor.feed(filler.as_bytes(), |clean| written += clean.len());
            }
        }
        let fed: usize = beginnings.iter().map(|beginning| beginning.len() + 1000 * filler.len()).sum();
        assert!(fed - written <= 300, "{filler:?}: {} are held", fed - written);
    }
}

#[test]
fn short_secrets_are_none() {
    assert!(Secrets::new([&b"12345"[..], b""]).is_none());
}

#[test]
fn too_many_secrets_are_refused() {
    let many: Vec<_> = (0..=MOST_SECRETS).map(|number| Secret::from(format!("secret{number}"))).collect();
    assert!(super::check("secrets", &many[1..]).is_ok());
    assert!(super::check("secrets", &many).is_err());
    let large = [Secret::from("x".repeat(MOST_BYTES)), Secret::from("123456")];
    assert!(super::check("secrets", &large[..1]).is_ok());
    let error = super::check("secrets", &large).unwrap_err();
    assert!(error.to_string().len() < 200, "{error}");
}

/// Masks every byte that is part of a secret, byte by byte; each run of overlapping ones is one mask.
fn reference(secrets: &[String], input: &[u8]) -> Vec<u8> {
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for start in 0..input.len() {
        let found = secrets.iter().filter(|secret| input[start..].starts_with(secret.as_bytes()));
        let Some(len) = found.map(String::len).max() else { continue };
        match spans.last_mut() {
            Some((_, end)) if *end > start => *end = (*end).max(start + len),
            _ => spans.push((start, start + len)),
        }
    }
    let (mut out, mut at) = (Vec::new(), 0);
    for (start, end) in spans {
        out.extend_from_slice(&input[at..start]);
        out.extend_from_slice(MASK.as_bytes());
        at = end;
    }
    out.extend_from_slice(&input[at..]);
    out
}

fn cut<'s>(mut rest: &'s [u8], lengths: &[usize]) -> Vec<&'s [u8]> {
    let mut chunks = Vec::new();
    for length in lengths {
        let (chunk, after) = rest.split_at((*length).min(rest.len()));
        chunks.push(chunk);
        rest = after;
    }
    chunks.push(rest);
    chunks
}

/// Writes each byte in one of the spellings of a family, as `choices` say.
fn encode(family: usize, secret: &str, choices: &[u8]) -> String {
    let mut out = String::new();
    for (at, char) in secret.chars().enumerate() {
        let choice = choices[at % choices.len()];
        let mut utf8 = [0; 4];
        let bytes = char.encode_utf8(&mut utf8).as_bytes();
        let plain = char.is_ascii_alphanumeric() || char == '.';
        match (family, choice % 4) {
            (0, 0 | 1) | (1 | 2 | 7, 0) if plain => out.push(char),
            (0, 1) if char == ' ' => out.push('+'),
            (0, 2) => {
                for byte in bytes {
                    write!(out, "%{byte:02x}").unwrap();
                }
            }
            (0, _) => {
                for byte in bytes {
                    write!(out, "%{byte:02X}").unwrap();
                }
            }
            (1, 1) => {
                for unit in char.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}").unwrap();
                }
            }
            (1, 2) => {
                for unit in char.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04X}").unwrap();
                }
            }
            (1, _) if char == '/' => out.push_str("\\/"),
            (1, _) => {
                let quoted = serde_json::to_string(&char).unwrap();
                out.push_str(&quoted[1..quoted.len() - 1]);
            }
            (2, 1) => {
                for byte in bytes {
                    write!(out, "\\x{byte:02x}").unwrap();
                }
            }
            (2, _) => {
                for byte in bytes {
                    write!(out, "\\{byte:03o}").unwrap();
                }
            }
            (7, choice) => match u32::from(char) {
                code @ ..0x100 if choice < 3 => write!(out, "%{code:02X}").unwrap(),
                _ => {
                    for unit in char.encode_utf16(&mut [0; 2]) {
                        write!(out, "%u{unit:04x}").unwrap();
                    }
                }
            },
            (3, 0) => write!(out, "&#{};", u32::from(char)).unwrap(),
            (3, 1) => write!(out, "&#x{:x};", u32::from(char)).unwrap(),
            (3, _) if char == '&' => out.push_str("&amp;"),
            (4, _) if char == '\'' => out.push_str(["'\\''", "'\"'\"'"][usize::from(choice % 2)]),
            (5, _) if !plain => write!(out, "\\{char}").unwrap(),
            (6, _) => bytes
                .iter()
                .for_each(|byte| write!(out, "{byte:02x}{}", ["", " ", ":", "\n"][usize::from(choice % 4)]).unwrap()),
            _ => out.push(char),
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn chunks_do_not_matter(
        given in vec("[ab]{6,9}", 1..4),
        input in vec(prop_oneof![8 => Just(b'a'), 8 => Just(b'b'), 1 => Just(b'c')], 0..120),
        lengths in vec(0..9_usize, 0..60),
    ) {
        let secrets = secrets(&given);
        let expected = reference(&given, &input);
        prop_assert_eq!(&mask(&secrets, &[&input]), &expected);
        prop_assert_eq!(mask(&secrets, &cut(&input, &lengths)), expected);
    }

    #[test]
    fn chunks_of_escapes_do_not_matter(
        given in vec("[a%1'\\\\\n\"+]{6,8}", 1..4),
        input in "[a%1'\\\\\n\r\"+ &#x;]{0,120}",
        lengths in vec(0..9_usize, 0..60),
    ) {
        let secrets = secrets(&given);
        let whole = mask(&secrets, &[input.as_bytes()]);
        prop_assert_eq!(mask(&secrets, &cut(input.as_bytes(), &lengths)), whole);
    }

    #[test]
    fn the_work_is_bounded_for_any_runs(
        secret in vec(("['\"\\\\$\\r\\n a]{1,3}", 1..40_usize), 1..4),
        text in vec(("['\"\\\\$\\r\\n a]{1,4}", 1..60_usize), 1..6),
    ) {
        let repeated = |parts: &[(String, usize)]| parts.iter().map(|(part, count)| part.repeat(*count)).collect::<String>();
        let (secret, text) = (repeated(&secret), repeated(&text).repeat(5));
        prop_assume!(secret.len() >= LEAST_BYTES);
        let steps = steps_for_each_byte(&secrets(&[&secret]), &text, text.len());
        // The most that a search of minutes has found is 212 for each byte of the secret. If readings were not merged, it would be thousands.
        prop_assert!(steps <= 400 * secret.len(), "{:?} in {:?}: {}", secret, text, steps);
    }

    #[test]
    fn no_spelling_is_left(
        secret in "[a-z0-9$%&'\"\\\\ /+?ö😀\n=.-]{6,40}",
        family in 0..8_usize,
        choices in vec(any::<u8>(), 1..40),
        lengths in vec(0..30_usize, 0..60),
    ) {
        prop_assume!(!secret.starts_with(['\n', ' ']) && !secret.ends_with(['\n', ' ']));
        let secrets = secrets(&[&secret]);
        let text = format!("<{}>", encode(family, &secret, &choices));
        let masked = mask(&secrets, &cut(text.as_bytes(), &lengths));
        let masked = String::from_utf8_lossy(&masked).into_owned();
        // A break after the first byte on a line is read on from there. Of quotes around the first and the last symbol, those that the
        // symbol does not need are left: the last two of `'"'"'`.
        let most = if family == 6 { "<61\n***:>".len() } else { "<''***\"'>".len() };
        prop_assert!(masked.contains(MASK) && masked.len() <= most, "{} -> {}", text, masked);
    }
}
