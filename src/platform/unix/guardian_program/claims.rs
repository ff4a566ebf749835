//! Decides which of several nested engines and guardians sends the stop signal to the members of an execution, as `stop_claims` of the
//! library does.

use crate::names::{self, SEGMENT_BYTES};
use crate::tree::Tree;
use crate::{Proc, kernel, sys};

/// The most claims, beyond which every engine signals the members. Each claim takes a descriptor, and a command chooses
/// the tags of its processes, so the number is bounded.
const MOST_CLAIMS: usize = 256;
/// The longest tag that is read.
pub(crate) const CHAIN_BYTES: usize = 4096;
/// Descendants of a signalled member beyond this many generations get the stop signal at once.
pub(crate) const DEEPEST_DESCENT: u32 = 64;

#[derive(Clone, Copy)]
struct Claim {
    segment: [u8; SEGMENT_BYTES],
    length: usize,
}

/// The engine or guardian that sends the stop signal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopSender {
    ThisGuardian,
    /// Another engine or guardian sends the signal, or has sent it.
    Another,
    /// The guardian of the inner engine, which knows the members that have had the signal.
    InnerGuardian,
}

/// The claimed executions. Their descriptors stay open until this program ends.
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

    /// Decides which engine or guardian sends the stop signal to a member, which may belong to an execution of an inner engine. Each
    /// execution has a session of its own.
    pub(crate) fn sender_for(&mut self, procs: &[Proc], tree: &Tree, proc: &Proc) -> StopSender {
        let mut chain = [0; CHAIN_BYTES];
        let mut member = *proc;
        for _ in 0..DEEPEST_DESCENT {
            if member.session == tree.leader || member.owner == 0 {
                break;
            }
            let length = kernel::tag(member.pid, &mut chain).unwrap_or(0);
            if let Some(segment) = names::innermost(&chain[..length]) {
                return self.stop_sender(segment, segment != tree.segment());
            }
            let Ok(parent) = procs.binary_search_by_key(&member.parent, |other| other.pid) else { break };
            member = procs[parent];
        }
        self.stop_sender(tree.segment(), false)
    }

    /// Decides the sender for the members of an execution with that segment. `is_inner`: an inner engine has started it.
    fn stop_sender(&mut self, segment: &[u8], is_inner: bool) -> StopSender {
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

/// Binds the name of the guardian of a nested host until this program ends.
pub(crate) fn show_presence(host: u32) {
    if host != 0 {
        kernel::bind(names::GUARDIAN, &names::host_digits(host));
    }
}

/// The result of binding a name.
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux has such names"))]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    Here,
    ByAnother,
    /// The system has no such names, or no room.
    Nowhere,
}
