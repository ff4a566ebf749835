//! The Node.js addon. All of it is in `src/binding` of the crate, which registers itself when it is linked.

extern crate execution_engine as _;
