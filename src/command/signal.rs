//! The name of a signal becomes its number.

use crate::error::Invalid;
use crate::platform::SIGNALS;

/// A name is offered as what was meant when so many letters of it, at most, are different.
const MOST_SLIPS: usize = 2;
/// A text longer than this is near to no name, and is not compared with them.
const LONGEST_NAME: usize = 16;

/// Returns the number of a signal, by its name such as `SIGUSR1`.
pub(crate) fn signal(field: &str, name: &str) -> Result<i32, Invalid> {
    if let Some((_, number)) = SIGNALS.iter().find(|(known, _)| *known == name) {
        return Ok(*number);
    }
    let hint = match nearest(name) {
        Some(known) => format!("did you mean `{known}`?"),
        None => format!("give one of {}", SIGNALS.iter().map(|(known, _)| *known).collect::<Vec<_>>().join(", ")),
    };
    Err(Invalid::new(field, format!("it is not the name of a signal that can be sent here: {hint}")))
}

/// Returns the signal that was probably meant. At least half of its letters after `SIG` are those of `name`, so that a
/// very short text is near to none.
fn nearest(name: &str) -> Option<&'static str> {
    if name.len() > LONGEST_NAME {
        return None;
    }
    let upper = name.to_uppercase();
    let given = upper.strip_prefix("SIG").unwrap_or(&upper);
    let distance = |known: &str| strsim::damerau_levenshtein(given, known.trim_start_matches("SIG"));
    let (slips, known) = SIGNALS.iter().map(|(known, _)| (distance(known), *known)).min()?;
    (slips <= MOST_SLIPS && 2 * slips <= known.len() - "SIG".len()).then_some(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_signal_is_suggested_and_not_repeated() {
        for (name, meant) in [("SIGTREM", "SIGTERM"), ("sigint", "SIGINT"), ("KILL", "SIGKILL"), ("term", "SIGTERM")] {
            if !SIGNALS.iter().any(|(known, _)| *known == meant) {
                continue;
            }
            let refused = signal("signal", name).unwrap_err();
            assert_eq!(refused.field, "signal");
            assert!(refused.problem.contains(&format!("did you mean `{meant}`?")), "{}", refused.problem);
        }
        for far in ["hunter2 is no signal", "", "SIG", "X", "hunter2"] {
            let refused = signal("signal", far).unwrap_err();
            assert!(refused.problem.contains("give one of SIG"), "{}", refused.problem);
            assert!(!refused.problem.contains("hunter2"), "{}", refused.problem);
        }
    }

    #[test]
    fn a_signal_has_its_number() {
        for (name, number) in SIGNALS {
            assert_eq!(signal("signal", name).unwrap(), *number);
        }
    }
}
