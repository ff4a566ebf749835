//! This process's own variables.

/// The variables as they are now, in `NAME=value` entries that are each ended by a NUL. `None` where reading could do harm while
/// another thread changes them, or when others change them all the time.
#[cfg(target_os = "linux")]
pub(crate) fn own_environment() -> Option<Vec<u8>> {
    linux::consistent()
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn own_environment() -> Option<Vec<u8>> {
    None
}

/// A change by another thread frees what is being read. The kernel copies whatever is at an address, or says that nothing is;
/// and what was copied counts only if the list of the variables is afterwards what it was before.
#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::c_char;
    use std::mem::size_of;
    use std::sync::atomic::{AtomicPtr, Ordering};

    /// Memory is there or not in parts of this size, whatever the size of the kernel's own pages.
    const PAGE: usize = 4096;
    const WORD: usize = size_of::<usize>();
    /// More than any program can be given.
    const MOST_BYTES: usize = 16 << 20;
    const ATTEMPTS: usize = 10;

    unsafe extern "C" {
        static mut environ: *mut *mut c_char;
    }

    pub(super) fn consistent() -> Option<Vec<u8>> {
        let mut page = Page::new();
        let mut list = list(&mut page)?;
        for _ in 0..ATTEMPTS {
            let entries = entries(&mut page, &list.1);
            let after = self::list(&mut page)?;
            if after == list {
                return entries;
            }
            list = after;
        }
        None
    }

    /// Where the list of the variables is, and the addresses in it.
    fn list(page: &mut Page) -> Option<(usize, Vec<usize>)> {
        // SAFETY: a word that lives as long as the process, read as one; the C library writes it as one.
        let start = unsafe { AtomicPtr::from_ptr(&raw mut environ) }.load(Ordering::Acquire) as usize;
        let mut addresses = Vec::with_capacity(64);
        page.forget();
        if start == 0 {
            // A program may have taken the list itself away.
            return Some((start, addresses));
        }
        let mut at = start;
        loop {
            let word = page.at(at)?.first_chunk::<WORD>().copied().map(usize::from_ne_bytes)?;
            if word == 0 {
                return Some((start, addresses));
            }
            addresses.push(word);
            at += WORD;
            if addresses.len() > MOST_BYTES / WORD {
                return None;
            }
        }
    }

    fn entries(page: &mut Page, addresses: &[usize]) -> Option<Vec<u8>> {
        let mut packed = Vec::with_capacity(4096);
        page.forget();
        for &address in addresses {
            let mut at = address;
            loop {
                let rest = page.at(at)?;
                let end = memchr::memchr(0, rest);
                packed.extend_from_slice(&rest[..end.unwrap_or(rest.len())]);
                if packed.len() > MOST_BYTES {
                    return None;
                }
                if end.is_some() {
                    break;
                }
                at += rest.len();
            }
            packed.push(0);
        }
        Some(packed)
    }

    /// A copy of the page that was read last.
    struct Page {
        process: libc::pid_t,
        start: usize,
        bytes: [u8; PAGE],
    }

    /// No page starts there.
    const NOWHERE: usize = 1;

    impl Page {
        fn new() -> Self {
            // SAFETY: it only tells a number.
            Self { process: unsafe { libc::getpid() }, start: NOWHERE, bytes: [0; PAGE] }
        }

        /// What was read may have changed.
        fn forget(&mut self) {
            self.start = NOWHERE;
        }

        /// What there is from `address` to the end of its page; `None` if nothing is.
        fn at(&mut self, address: usize) -> Option<&[u8]> {
            let start = address & !(PAGE - 1);
            if start != self.start {
                self.start = NOWHERE;
                let local = libc::iovec { iov_base: self.bytes.as_mut_ptr().cast(), iov_len: PAGE };
                let remote = libc::iovec { iov_base: start as *mut _, iov_len: PAGE };
                // SAFETY: the kernel writes into `bytes` and no farther; it checks the other address itself.
                let copied =
                    unsafe { libc::process_vm_readv(self.process, &raw const local, 1, &raw const remote, 1, 0) };
                if usize::try_from(copied) != Ok(PAGE) {
                    return None;
                }
                self.start = start;
            }
            Some(&self.bytes[address - start..])
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_own_variables_are_those_that_everybody_else_reads() {
            use std::os::unix::ffi::OsStrExt;

            let packed = consistent().expect("this system lets a process read itself");
            let read: Vec<&[u8]> = packed.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()).collect();
            let others: Vec<Vec<u8>> =
                std::env::vars_os().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat()).collect();
            assert!(!others.is_empty());
            assert_eq!(read, others);
        }

        #[test]
        fn what_is_not_there_is_not_read() {
            let mut page = Page::new();
            assert!(page.at(0).is_none());
            assert!(entries(&mut page, &[8]).is_none());
            let text = c"A=1";
            assert_eq!(entries(&mut page, &[text.as_ptr() as usize; 2]).unwrap(), b"A=1\0A=1\0");
        }

        #[test]
        fn an_entry_may_go_on_over_many_pages() {
            let text = [vec![b'x'; 3 * PAGE + 17], vec![0]].concat();
            for start in [0, 1, PAGE - 1] {
                assert_eq!(entries(&mut Page::new(), &[text[start..].as_ptr() as usize]).unwrap(), text[start..]);
            }
        }
    }
}
