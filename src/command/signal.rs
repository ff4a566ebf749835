//! The name of a signal becomes its number.

use crate::error::Invalid;
use crate::platform::SIGNALS;

/// A name is offered as what was meant when so many letters of it, at most, are different.
const MOST_SLIPS: usize = 2;

/// The number of a signal, by its name such as `SIGUSR1`.
pub(crate) fn signal(field: &str, name: &str) -> Result<i32, Invalid> {
    if let Some((_, number)) = SIGNALS.iter().find(|(known, _)| *known == name) {
        return Ok(*number);
    }
    let upper = name.to_uppercase();
    let full = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    let near = SIGNALS.iter().map(|(known, _)| (strsim::damerau_levenshtein(&full, known), *known)).min();
    let hint = match near {
        Some((slips, known)) if slips <= MOST_SLIPS => format!("did you mean `{known}`?"),
        _ => format!("give one of {}", SIGNALS.iter().map(|(known, _)| *known).collect::<Vec<_>>().join(", ")),
    };
    Err(Invalid::new(field, format!("it is not the name of a signal that can be sent here: {hint}")))
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
        let refused = signal("signal", "hunter2 is no signal").unwrap_err();
        assert!(!refused.problem.contains("hunter2") && refused.problem.contains("SIGKILL"), "{}", refused.problem);
    }

    #[test]
    fn a_signal_has_its_number() {
        for (name, number) in SIGNALS {
            assert_eq!(signal("signal", name).unwrap(), *number);
        }
    }
}
