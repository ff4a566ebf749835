//! Decides which of several nested engines sends the stop signal to the members of an execution, so that each member gets it once.
//!
//! An execution of an engine inside a command is ended by its own engine or guardian, and by those of the outer engines. They share no
//! memory, and any of them may end at any moment. So the sender of the stop signal first binds a socket to a name that contains the
//! execution's segment, which the others then cannot bind. The kernel frees the name when its holder exits. Linux has such names; on
//! other systems every engine sends the signal.

use std::collections::HashMap;
use std::iter::successors;
use std::os::fd::OwnedFd;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::bounded::Bounded;
use super::nested_names::{self, GUARDIAN, HOST, STOP};
use super::pid::Pid;
use super::procs::{self, Proc};

/// Reading the environment of a process that hangs in the kernel can hang too.
const LONGEST_READ: Duration = Duration::from_millis(800);

/// The most claims. Each takes a descriptor of the host, and a command chooses the tags of its processes, so the number
/// is bounded.
const MOST_CLAIMS: usize = 256;
static CLAIMS: AtomicUsize = AtomicUsize::new(0);

/// The right to send the stop signal to the members of one execution. Others may take it after it is dropped. The socket is `None`
/// where the system has no such names, or no room for another one: then every engine sends the signal.
#[derive(Debug)]
pub(super) struct StopClaim {
    socket: Option<OwnedFd>,
}

impl StopClaim {
    /// Takes the right. Returns `None` if another engine or guardian has it.
    pub(super) fn take(segment: &[u8]) -> Option<Self> {
        if CLAIMS.load(Relaxed) >= MOST_CLAIMS {
            return Some(Self { socket: None });
        }
        match kernel::bind(STOP, segment) {
            Ok(socket) => {
                CLAIMS.fetch_add(1, Relaxed);
                Some(Self { socket: Some(socket) })
            }
            Err(error) if error.raw_os_error() == Some(libc::EADDRINUSE) => None,
            // The signal must be sent, even if the members may get it twice.
            Err(_) => Some(Self { socket: None }),
        }
    }
}

impl Drop for StopClaim {
    fn drop(&mut self) {
        if self.socket.is_some() {
            CLAIMS.fetch_sub(1, Relaxed);
        }
    }
}

/// A name that is bound while this process runs.
#[derive(Debug)]
pub(super) struct Presence {
    _socket: OwnedFd,
}

impl Presence {
    /// Binds the name of the host whose segments contain `number`. Returns `None` where the system has no such names.
    pub(super) fn of_host(number: u32) -> Option<Self> {
        kernel::bind(HOST, &nested_names::host_digits(number)).ok().map(|socket| Self { _socket: socket })
    }
}

/// Whether the host of an inner execution has ended, and its guardian runs: only the guardian knows the members that have had the
/// signal from the host.
pub(super) fn is_left_to_guardian(segment: &[u8]) -> bool {
    let Some(number) = nested_names::host_of(segment) else { return false };
    !kernel::is_bound(HOST, number) && kernel::is_bound(GUARDIAN, number)
}

/// Returns the segments of inner engines' executions that processes of `chosen` are members of, by process id. `leader` and `segment`
/// are those of the tree itself.
pub(super) fn inner_segments(
    reader: &mut Bounded,
    leader: Pid,
    segment: &[u8],
    living: &[Proc],
    chosen: &[Proc],
) -> HashMap<Pid, Vec<u8>> {
    // Each execution has a session of its own.
    let is_outside = |proc: &&Proc| proc.session != Some(leader);
    if !chosen.iter().any(|proc| is_outside(&proc)) {
        return HashMap::new();
    }
    let outside: Vec<Proc> = living.iter().filter(is_outside).copied().collect();
    let (tags, _) = reader.map(&outside, LONGEST_READ, |proc| procs::tag(proc.pid));
    let segments: HashMap<Pid, Vec<u8>> =
        tags.into_iter().filter_map(|(proc, tag)| Some((proc.pid, nested_names::innermost(&tag?)?.to_vec()))).collect();
    let parents: HashMap<Pid, Option<Pid>> = living.iter().map(|proc| (proc.pid, proc.parent)).collect();
    let segment_of = |proc: &Proc| {
        let mut line = successors(Some(proc.pid), |pid| parents.get(pid).copied().flatten()).take(living.len());
        line.find_map(|pid| segments.get(&pid)).filter(|found| ***found != *segment).cloned()
    };
    chosen.iter().filter(is_outside).filter_map(|proc| Some((proc.pid, segment_of(proc)?))).collect()
}

#[cfg(target_os = "linux")]
mod kernel {
    use std::io;
    use std::os::fd::OwnedFd;
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    fn address(kind: &[u8], name: &[u8]) -> io::Result<SocketAddr> {
        SocketAddr::from_abstract_name([kind, name].concat())
    }

    pub(super) fn bind(kind: &[u8], name: &[u8]) -> io::Result<OwnedFd> {
        Ok(UnixDatagram::bind_addr(&address(kind, name)?)?.into())
    }

    pub(super) fn is_bound(kind: &[u8], name: &[u8]) -> bool {
        let connected = address(kind, name).and_then(|address| UnixDatagram::unbound()?.connect_addr(&address));
        connected.is_ok()
    }
}

#[cfg(not(target_os = "linux"))]
mod kernel {
    use std::io;
    use std::os::fd::OwnedFd;

    pub(super) fn bind(_: &[u8], _: &[u8]) -> io::Result<OwnedFd> {
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }

    pub(super) fn is_bound(_: &[u8], _: &[u8]) -> bool {
        false
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_one_holders_until_it_is_dropped() {
        let segment = format!("{}.0123456789abcdef", uuid::Uuid::new_v4());
        let first = StopClaim::take(segment.as_bytes()).unwrap();
        assert!(StopClaim::take(segment.as_bytes()).is_none());
        drop(first);
        assert!(StopClaim::take(segment.as_bytes()).is_some());

        // Tags that a command makes up take no descriptors beyond the bound, and all its processes get the signal.
        let made_up = |number: usize| StopClaim::take(format!("{}.{number:016x}", uuid::Uuid::new_v4()).as_bytes());
        let many: Vec<_> = (0..2 * MOST_CLAIMS).map(|number| made_up(number).expect("the signal is sent")).collect();
        assert!(many.iter().filter(|claim| claim.socket.is_some()).count() <= MOST_CLAIMS);
        drop(many);
        assert!(made_up(0).is_some_and(|claim| claim.socket.is_some()), "there is room again");
    }

    #[test]
    fn a_segment_is_left_to_the_guardian_of_a_dead_host() {
        let number = uuid::Uuid::new_v4().as_fields().0;
        let segment = format!("{}.{number:08x}00000001", uuid::Uuid::new_v4());
        let left = || is_left_to_guardian(segment.as_bytes());
        assert!(!left(), "without a guardian");
        let guardian = kernel::bind(GUARDIAN, &nested_names::host_digits(number)).unwrap();
        assert!(left());
        let host = Presence::of_host(number).unwrap();
        assert!(!left(), "the host runs");
        drop(host);
        assert!(left());
        drop(guardian);
        assert!(!left(), "the guardian has gone");
    }
}
