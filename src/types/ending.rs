//! The options by which the processes of an execution are stopped.

use super::words;

words! {
    /// The signal that asks a process to end, before it is killed.
    #[derive(Default)]
    #[non_exhaustive]
    pub enum StopSignal {
        /// What most programs clean up on.
        #[default]
        Term = "SIGTERM",
        /// What Ctrl-C sends: for tools that release their locks on it.
        Int = "SIGINT",
        /// What a closing terminal sends.
        Hup = "SIGHUP",
        /// What Ctrl-\ sends; Java prints its threads on it.
        Quit = "SIGQUIT",
        /// The first signal without a meaning of its own.
        Usr1 = "SIGUSR1",
        /// The second signal without a meaning of its own.
        Usr2 = "SIGUSR2",
    }
}

words! {
    /// Which members of a tree get the stop signal first.
    #[derive(Default)]
    #[non_exhaustive]
    pub enum StopOrder {
        /// All members get the signal at once.
        #[default]
        Tree = "tree",
        /// The command itself; the other members when it has exited, or when half of the grace period has passed. For commands
        /// that need their helpers while they shut down.
        Leader = "leader",
    }
}
