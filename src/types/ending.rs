//! How the processes of an execution are stopped.

use serde::{Deserialize, Serialize};

/// The signal that asks a process to end, before it is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum StopSignal {
    /// What most programs clean up on.
    #[default]
    #[serde(rename = "SIGTERM")]
    Term,
    /// What Ctrl-C sends: for tools that release their locks on it.
    #[serde(rename = "SIGINT")]
    Int,
    /// What a closing terminal sends.
    #[serde(rename = "SIGHUP")]
    Hup,
    /// What Ctrl-\ sends; Java prints its threads on it.
    #[serde(rename = "SIGQUIT")]
    Quit,
    /// The first signal without a meaning of its own.
    #[serde(rename = "SIGUSR1")]
    Usr1,
    /// The second signal without a meaning of its own.
    #[serde(rename = "SIGUSR2")]
    Usr2,
}

impl StopSignal {
    /// Every stop signal with its name on the wire.
    pub(crate) const ALL: &[(&str, Self)] = &[
        ("SIGTERM", Self::Term),
        ("SIGINT", Self::Int),
        ("SIGHUP", Self::Hup),
        ("SIGQUIT", Self::Quit),
        ("SIGUSR1", Self::Usr1),
        ("SIGUSR2", Self::Usr2),
    ];

    /// The name of the signal, such as `SIGTERM`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Term => "SIGTERM",
            Self::Int => "SIGINT",
            Self::Hup => "SIGHUP",
            Self::Quit => "SIGQUIT",
            Self::Usr1 => "SIGUSR1",
            Self::Usr2 => "SIGUSR2",
        }
    }
}

/// Which members of a tree get the stop signal first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StopOrder {
    /// All members at once.
    #[default]
    Tree,
    /// The command itself; the other members when it has exited, or when half of the grace period has passed. For commands
    /// that need their helpers while they shut down.
    Leader,
}
