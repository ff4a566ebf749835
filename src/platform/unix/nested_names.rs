//! The names by which nested engines and their guardians find each other: addresses of sockets in the abstract namespace of Linux.
//!
//! The library and the guardian both contain this file, so it uses `core` alone.

/// Bound by the engine or guardian that sends the stop signal to the members of an execution, whose segment follows.
pub(super) const STOP: &[u8] = b"escher-stop-";
/// Bound by a host while it runs; its number follows.
pub(super) const HOST: &[u8] = b"escher-host-";
/// Bound by the guardian of a host while it runs; the number of the host follows.
pub(super) const GUARDIAN: &[u8] = b"escher-guardian-";

/// The longest segment: an id of 36 characters, a dot, 16 digits.
pub(super) const SEGMENT_BYTES: usize = 64;
const NONCE_DIGITS: usize = 16;
const HOST_DIGITS: usize = 8;

/// Returns the last segment of a tag: that of the innermost engine. `None` if an engine would not write such a segment.
pub(super) fn innermost(tag: &[u8]) -> Option<&[u8]> {
    let segment = tag.rsplit(|byte| *byte == b':').next()?;
    host_of(segment).map(|_| segment)
}

/// Returns the number of the host whose engine has written a segment.
pub(super) fn host_of(segment: &[u8]) -> Option<&[u8]> {
    let nonce = segment.rsplit(|byte| *byte == b'.').next()?;
    let is_number = nonce.len() == NONCE_DIGITS && nonce.iter().all(u8::is_ascii_hexdigit);
    (is_number && segment.len() > NONCE_DIGITS && segment.len() <= SEGMENT_BYTES).then(|| &nonce[..HOST_DIGITS])
}

/// Formats the number of a host as in the segments that it writes.
pub(super) fn host_digits(number: u32) -> [u8; HOST_DIGITS] {
    let mut digits = [0; HOST_DIGITS];
    for (index, digit) in digits.iter_mut().enumerate() {
        *digit = b"0123456789abcdef"[(number >> (28 - 4 * index)) as usize & 15];
    }
    digits
}
