//! There is no guardian here: the system closes the handles of a host that is gone, and a job ends with its last handle.
//! These types have no values, so that whoever guards by them compiles and never does.

use std::io;

use super::leader::Leader;

#[derive(Debug)]
pub(crate) enum Lifeline {}

impl Lifeline {
    pub(crate) fn new() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[derive(Debug)]
pub(crate) enum Table {}

impl Table {
    pub(crate) fn new() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn grow(&self, _: usize) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn write(&self, _: usize, _: &[u8]) {
        match *self {}
    }

    pub(crate) fn write_head(&self, _: usize, _: [u8; 8]) {
        match *self {}
    }
}

pub(crate) fn spawn_guardian(_: &str, lifeline: &Lifeline, _: &Table) -> io::Result<Leader> {
    match *lifeline {}
}
