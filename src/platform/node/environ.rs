//! The environment of this process.

use std::sync::Arc;

/// Returns the present variables as `NAME=value` entries, each ended by a NUL; the same memory while nothing changes. `None` where
/// reading is not safe while another thread changes them, or when they change during every attempt.
#[cfg(target_os = "linux")]
pub(crate) fn own_environment() -> Option<Arc<[u8]>> {
    linux::current()
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn own_environment() -> Option<Arc<[u8]>> {
    None
}

/// Returns the variables on the main thread of the process, and `None` on others: workers of Node.js have their own variables.
#[cfg(target_os = "linux")]
pub(crate) fn environment_of_main_thread() -> Option<Arc<[u8]>> {
    linux::is_main_thread().then(linux::current).flatten()
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn environment_of_main_thread() -> Option<Arc<[u8]>> {
    None
}

/// A change by another thread may free memory during the read. So the kernel copies it, which fails for memory that is gone; and a copy
/// is valid only if the list of variables was the same before and after it.
#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeMap;
    use std::ffi::c_char;
    use std::mem::size_of;
    use std::sync::atomic::{AtomicPtr, Ordering};
    use std::sync::{Arc, Mutex, OnceLock, PoisonError};

    /// The unit in which memory is mapped. The pages of the kernel are a multiple of it.
    const PAGE: usize = 4096;
    const WORD: usize = size_of::<usize>();
    /// The most pages that are read: more than most programs need. With more, JavaScript reads the variables.
    const MOST_PAGES: usize = 512;
    const ATTEMPTS: usize = 10;

    unsafe extern "C" {
        static mut environ: *mut *mut c_char;
    }

    pub(super) fn current() -> Option<Arc<[u8]>> {
        static IS_FILTERED: OnceLock<bool> = OnceLock::new();
        static LAST: Mutex<Option<Layout>> = Mutex::new(None);
        let status = || std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        if *IS_FILTERED.get_or_init(|| is_filtered(&status())) {
            return None;
        }
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        if list_address() == 0 {
            // A program has set `environ` to null.
            return Some(Arc::default());
        }
        for _ in 0..ATTEMPTS {
            let packed = last.as_mut().and_then(Layout::read);
            if packed.is_some() {
                return packed;
            }
            *last = Some(Layout::find()?);
        }
        None
    }

    /// Whether this process is in a sandbox that allows some system calls only. It may end a process for another call, and the one that is
    /// used here is rare.
    fn is_filtered(status: &str) -> bool {
        !status.lines().any(|line| line.strip_prefix("Seccomp:").is_some_and(|mode| mode.trim() == "0"))
    }

    /// The location of the variables, and their last values.
    struct Layout {
        /// The address of the list, and the addresses in it. A zero ends the list.
        list: usize,
        addresses: Vec<usize>,
        /// The pages of the list, those of the entries, and those of the list again.
        pages: Vec<usize>,
        copy: Vec<u8>,
        packed: Arc<[u8]>,
    }

    impl Layout {
        /// Follows the list, from page to page.
        fn find() -> Option<Self> {
            let list = list_address();
            let mut known = Pages::default();
            let mut addresses = Vec::with_capacity(64);
            let mut at = list;
            loop {
                let word = known.word(at)?;
                if word == 0 {
                    break;
                }
                addresses.push(word);
                at += WORD;
            }
            let of_list: Vec<usize> = (page_of(list)..=page_of(at)).collect();
            let mut known = Pages::default();
            for &address in &addresses {
                known.length(address)?;
            }
            let of_entries = known.0.into_keys();
            let pages: Vec<usize> = of_list.iter().copied().chain(of_entries).chain(of_list.iter().copied()).collect();
            if pages.len() > MOST_PAGES {
                return None;
            }
            let copy = vec![0; pages.len() * PAGE];
            Some(Self { list, addresses, pages, copy, packed: Arc::default() })
        }

        /// Returns `None` when they have moved.
        fn read(&mut self) -> Option<Arc<[u8]>> {
            if list_address() != self.list || !copy_pages(&self.pages, &mut self.copy) {
                return None;
            }
            let of_list = page_of(self.list + self.addresses.len() * WORD) - page_of(self.list) + 1;
            let (before, rest) = self.copy.split_at(of_list * PAGE);
            let (entries, after) = rest.split_at(rest.len() - of_list * PAGE);
            let is_same = |list: &[u8]| {
                let words = list.get(self.list % PAGE..).unwrap_or_default().chunks_exact(WORD);
                let ended = self.addresses.iter().copied().chain([0]);
                words.zip(ended).all(|(word, wanted)| word == wanted.to_ne_bytes())
            };
            if !is_same(before) || !is_same(after) || list_address() != self.list {
                return None;
            }
            let pages = &self.pages[of_list..self.pages.len() - of_list];
            let at = |address: usize| {
                let page = pages.binary_search(&page_of(address)).ok()?;
                entries.get(page * PAGE + address % PAGE..)
            };
            // Usually nothing has changed.
            let mut unchanged = &*self.packed;
            let is_unchanged = self.addresses.iter().all(|&address| {
                let Some(end) = memchr::memchr(0, unchanged) else { return false };
                let (entry, next) = unchanged.split_at(end + 1);
                unchanged = next;
                at(address).is_some_and(|bytes| bytes.starts_with(entry))
            });
            if is_unchanged && unchanged.is_empty() {
                return Some(Arc::clone(&self.packed));
            }
            let mut packed = Vec::with_capacity(entries.len());
            for &address in &self.addresses {
                let bytes = at(address)?;
                // An entry that has grown in place may continue in a page that was not copied.
                let end = memchr::memchr(0, bytes)?;
                if !(page_of(address)..=page_of(address + end)).all(|page| pages.binary_search(&page).is_ok()) {
                    return None;
                }
                packed.extend_from_slice(&bytes[..=end]);
            }
            self.packed = packed.into();
            Some(Arc::clone(&self.packed))
        }
    }

    fn page_of(address: usize) -> usize {
        address / PAGE
    }

    fn list_address() -> usize {
        // SAFETY: a word that exists as long as the process; the C library writes it as one word.
        unsafe { AtomicPtr::from_ptr(&raw mut environ) }.load(Ordering::Acquire) as usize
    }

    pub(super) fn is_main_thread() -> bool {
        // SAFETY: it only returns a number.
        let thread = unsafe { libc::gettid() };
        thread == process()
    }

    /// Returns the id of this process. Node.js does not continue in a fork, so it is read once.
    fn process() -> libc::pid_t {
        static PROCESS: OnceLock<libc::pid_t> = OnceLock::new();
        // SAFETY: it only returns a number.
        *PROCESS.get_or_init(|| unsafe { libc::getpid() })
    }

    /// Copies pages in one call; returns whether all of them are mapped.
    fn copy_pages(pages: &[usize], copy: &mut [u8]) -> bool {
        let parts: Vec<libc::iovec> =
            pages.iter().map(|page| libc::iovec { iov_base: (page * PAGE) as *mut _, iov_len: PAGE }).collect();
        if parts.is_empty() {
            return true;
        }
        let local = libc::iovec { iov_base: copy.as_mut_ptr().cast(), iov_len: copy.len() };
        // SAFETY: the kernel writes only to `copy`, and checks the other addresses.
        let copied = unsafe {
            libc::process_vm_readv(process(), &raw const local, 1, parts.as_ptr(), parts.len() as libc::c_ulong, 0)
        };
        usize::try_from(copied) == Ok(pages.len() * PAGE)
    }

    /// Pages that were copied one by one.
    #[derive(Default)]
    struct Pages(BTreeMap<usize, Box<[u8; PAGE]>>);

    impl Pages {
        /// Returns the bytes from `address` to the end of its page; `None` if it is not mapped, or after too many pages.
        fn at(&mut self, address: usize) -> Option<&[u8]> {
            let number = page_of(address);
            if !self.0.contains_key(&number) {
                let mut page = Box::new([0; PAGE]);
                if self.0.len() >= MOST_PAGES || !copy_pages(&[number], &mut *page) {
                    return None;
                }
                self.0.insert(number, page);
            }
            Some(&self.0[&number][address % PAGE..])
        }

        fn word(&mut self, address: usize) -> Option<usize> {
            self.at(address)?.first_chunk::<WORD>().copied().map(usize::from_ne_bytes)
        }

        /// Returns the length of the text at an address, without its final zero.
        fn length(&mut self, address: usize) -> Option<usize> {
            let mut length = 0;
            loop {
                let rest = self.at(address + length)?;
                if let Some(end) = memchr::memchr(0, rest) {
                    return Some(length + end);
                }
                length += rest.len();
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use std::os::unix::ffi::OsStrExt;

        use super::*;

        #[test]
        fn the_variables_are_those_that_the_standard_library_reads() {
            let packed = current().expect("this system lets a process read itself");
            let read: Vec<&[u8]> = packed.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()).collect();
            let others: Vec<Vec<u8>> =
                std::env::vars_os().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat()).collect();
            assert!(!others.is_empty());
            assert_eq!(read, others);
            assert!(Arc::ptr_eq(&packed, &current().unwrap()), "nothing has changed");
        }

        #[test]
        fn a_sandbox_is_noticed_and_so_is_a_missing_status() {
            assert!(!is_filtered("Name:\tnode\nSeccomp:\t0\nSeccomp_filters:\t0\n"));
            assert!(
                is_filtered("Seccomp:\t2\nSeccomp_filters:\t1\n")
                    && is_filtered("")
                    && is_filtered("Seccomp_filters:\t0")
            );
        }

        #[test]
        fn a_thread_of_its_own_is_not_the_main_one() {
            assert!(!std::thread::spawn(is_main_thread).join().unwrap());
        }

        #[test]
        fn what_is_not_there_is_not_read() {
            let mut pages = Pages::default();
            assert!(pages.at(0).is_none() && pages.word(8).is_none() && pages.length(16).is_none());
            assert!(!copy_pages(&[0], &mut [0; PAGE]));
        }

        #[test]
        fn an_entry_may_go_on_over_many_pages() {
            let text = [vec![b'x'; 3 * PAGE + 17], vec![0]].concat();
            for start in [0, 1, PAGE - 1] {
                assert_eq!(Pages::default().length(text[start..].as_ptr() as usize), Some(3 * PAGE + 17 - start));
            }
        }
    }
}
