//! The number of times that a race is run.

/// Returns the number in `ESCHER_TEST_REPEATS`: 200 in CI's run, 1 000 in `npm run test:stress`. If it is not set, a
/// race is run often enough to show that the test works.
pub(crate) fn repeats() -> u64 {
    let Ok(given) = std::env::var("ESCHER_TEST_REPEATS") else { return 20 };
    given.parse().unwrap_or_else(|_| panic!("ESCHER_TEST_REPEATS is no number: {given:?}"))
}
