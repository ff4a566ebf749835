//! Defines the options by which the processes of an execution are stopped.

use super::words;

words! {
    /// The signal that requests a process to end, before it is killed.
    #[derive(Default)]
    #[non_exhaustive]
    pub enum StopSignal {
        /// The usual signal, on which most programs clean up.
        #[default]
        Term = "SIGTERM",
        /// The signal of Ctrl-C, for tools that release their locks on it.
        Int = "SIGINT",
        /// The signal of a terminal that is closed.
        Hup = "SIGHUP",
        /// The signal of `Ctrl-\`, on which Java prints its threads.
        Quit = "SIGQUIT",
        /// The first signal that each program may define.
        Usr1 = "SIGUSR1",
        /// The second signal that each program may define.
        Usr2 = "SIGUSR2",
    }
}

words! {
    /// The order in which the members of a process tree get the stop signal.
    #[derive(Default)]
    #[non_exhaustive]
    pub enum StopOrder {
        /// All members get the signal at once.
        #[default]
        Tree = "tree",
        /// The command itself gets the signal first; the other members get it when the command has exited or half of the grace period has
        /// passed. This order is for commands that need their helper processes while they shut down.
        Leader = "leader",
    }
}
