//! Which of several nested engines and guardians sends the stop signal to the members of an execution, as the library decides it in
//! `stop_claims`.

use crate::names::{self, SEGMENT_BYTES};
use crate::{kernel, sys};

/// Members of further executions are signalled by every engine on its own: each claim takes a descriptor, and a command chooses what
/// its processes have as tags.
const MOST_CLAIMS: usize = 256;

#[derive(Clone, Copy)]
struct Claim {
    segment: [u8; SEGMENT_BYTES],
    length: usize,
}

/// Who sends the stop signal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopSender {
    ThisGuardian,
    /// It sends the signal, or has sent it.
    Another,
    /// A guardian that knows better what was sent will do it.
    InnerGuardian,
}

/// What was claimed. The descriptors stay open until this program ends.
pub(crate) struct Claims {
    held: &'static mut [Claim],
    count: usize,
    /// Whether there is an outer engine.
    is_nested: bool,
}

impl Claims {
    pub(crate) fn reserve(is_nested: bool) -> Option<Self> {
        Some(Self { held: sys::memory(MOST_CLAIMS)?, count: 0, is_nested })
    }

    /// Decides for the members of an execution with that segment. `is_inner`: an inner engine has started it.
    pub(crate) fn stop_sender(&mut self, segment: &[u8], is_inner: bool) -> StopSender {
        if !is_inner && (!self.is_nested || segment.is_empty()) {
            return StopSender::ThisGuardian;
        }
        let is_held = |claim: &Claim| &claim.segment[..claim.length] == segment;
        if self.count == self.held.len() || self.held[..self.count].iter().any(is_held) {
            return StopSender::ThisGuardian;
        }
        if is_inner
            && let Some(host) = names::host_of(segment)
            && !kernel::is_bound(names::HOST, host)
            && kernel::is_bound(names::GUARDIAN, host)
        {
            return StopSender::InnerGuardian;
        }
        if kernel::bind(names::STOP, segment) == Bound::ByAnother {
            return StopSender::Another;
        }
        let claim = &mut self.held[self.count];
        claim.length = segment.len().min(SEGMENT_BYTES);
        claim.segment[..claim.length].copy_from_slice(&segment[..claim.length]);
        self.count += 1;
        StopSender::ThisGuardian
    }
}

/// Shows that the guardian of a nested host lives, as long as this program does.
pub(crate) fn show_presence(host: u32) {
    if host != 0 {
        kernel::bind(names::GUARDIAN, &names::host_digits(host));
    }
}

/// Whether a name could be taken.
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux has such names"))]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    Here,
    ByAnother,
    /// The system has no such names, or no room.
    Nowhere,
}
