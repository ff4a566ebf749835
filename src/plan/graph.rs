//! The graph of the steps and their dependencies. Pure, and without recursion: a chain may be as long as a plan.

use crate::error::Invalid;
use crate::types::ExecutionStrategy;

/// The longest cycle that an error shows in full.
const MOST_SHOWN: usize = 20;

/// The steps of a plan and what each waits for: indexes in range, no cycle.
#[derive(Debug)]
pub(crate) struct Graph {
    dependencies: Vec<Vec<usize>>,
    dependents: Vec<Vec<usize>>,
    /// For each step the length of the longest chain that begins with it.
    chains: Vec<usize>,
}

impl Graph {
    /// Builds the graph of a strategy with further dependencies of each step; an error names the field as the wire form
    /// has it.
    pub(crate) fn new(strategy: &ExecutionStrategy, further: &[Vec<usize>]) -> Result<Self, Invalid> {
        let steps = further.len();
        let mut dependencies: Vec<Vec<usize>> = match strategy {
            ExecutionStrategy::Serial { .. } => {
                (0..steps).map(|index| index.checked_sub(1).into_iter().collect()).collect()
            }
            ExecutionStrategy::Parallel { .. } => vec![Vec::new(); steps],
            ExecutionStrategy::DependencyGraph { dependencies } => {
                let mut lists = vec![Vec::new(); steps];
                // The dependencies are checked in order, so that the same plan has the same error.
                let mut given: Vec<_> = dependencies.iter().collect();
                given.sort_unstable();
                for (index, list) in given {
                    lists[*index] = checked(*index, list, steps)?.to_vec();
                }
                lists
            }
        };
        for (list, further) in dependencies.iter_mut().zip(further) {
            list.extend(further);
            list.sort_unstable();
            list.dedup();
        }
        let mut dependents = vec![Vec::new(); steps];
        for (index, list) in dependencies.iter().enumerate() {
            for dependency in list {
                dependents[*dependency].push(index);
            }
        }
        let order = topological(&dependencies, &dependents).map_err(|cycle| {
            let first = cycle[0];
            let next = cycle.get(1).unwrap_or(&first);
            let is_of_strategy = matches!(strategy, ExecutionStrategy::DependencyGraph { dependencies }
                if dependencies.get(&first).is_some_and(|list| list.contains(next)));
            let field = if is_of_strategy {
                format!("strategy.dependencies[{first}]")
            } else {
                format!("commands[{first}].env")
            };
            let problem = format!("the steps {} wait for each other: remove one of these dependencies", show(&cycle));
            Invalid::new(field, problem)
        })?;
        let mut chains = vec![1; steps];
        for index in order.into_iter().rev() {
            for dependency in &dependencies[index] {
                chains[*dependency] = chains[*dependency].max(chains[index] + 1);
            }
        }
        Ok(Self { dependencies, dependents, chains })
    }

    pub(crate) fn len(&self) -> usize {
        self.dependencies.len()
    }

    /// Returns the dependencies of a step, in ascending order.
    pub(crate) fn dependencies(&self, index: usize) -> &[usize] {
        &self.dependencies[index]
    }

    /// Returns the dependents of a step, in ascending order.
    pub(crate) fn dependents(&self, index: usize) -> &[usize] {
        &self.dependents[index]
    }

    /// Returns the length of the longest chain that begins with this step.
    pub(crate) fn chain(&self, index: usize) -> usize {
        self.chains[index]
    }
}

/// Returns the dependencies of one step, each another step of the plan.
fn checked(index: usize, given: &[usize], steps: usize) -> Result<&[usize], Invalid> {
    let field = format!("strategy.dependencies[{index}]");
    let last = steps.saturating_sub(1);
    if index >= steps {
        return Err(Invalid::new(field, format!("there is no step {index}: give indexes of commands, 0 to {last}")));
    }
    for (at, dependency) in given.iter().enumerate() {
        let field = format!("{field}[{at}]");
        if *dependency >= steps {
            let problem = format!(
                "step {index} depends on step {dependency}, which is not there: give indexes of commands, 0 to {last}"
            );
            return Err(Invalid::new(field, problem));
        }
        if *dependency == index {
            let problem = format!("step {index} depends on itself ({index} → {index}): leave that out");
            return Err(Invalid::new(field, problem));
        }
    }
    Ok(given)
}

/// Returns the steps, each after its dependencies; else a cycle of them, its smallest index first.
fn topological(dependencies: &[Vec<usize>], dependents: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut open: Vec<usize> = dependencies.iter().map(Vec::len).collect();
    let mut order: Vec<usize> = (0..open.len()).filter(|index| open[*index] == 0).collect();
    let mut next = 0;
    while let Some(index) = order.get(next).copied() {
        next += 1;
        for dependent in &dependents[index] {
            open[*dependent] -= 1;
            if open[*dependent] == 0 {
                order.push(*dependent);
            }
        }
    }
    if order.len() == open.len() {
        return Ok(order);
    }
    Err(cycle(dependencies, &open))
}

/// Returns a cycle among the steps that are still `open`, its smallest index first.
fn cycle(dependencies: &[Vec<usize>], open: &[usize]) -> Vec<usize> {
    // Whatever is open waits for something open, so that a walk along such dependencies comes back to where it was.
    let mut walk = Vec::new();
    let mut seen_at = vec![None; open.len()];
    let mut at = open.iter().position(|open| *open > 0).expect("a step waits in a cycle");
    let start = loop {
        if let Some(start) = seen_at[at] {
            break start;
        }
        seen_at[at] = Some(walk.len());
        walk.push(at);
        at = *dependencies[at].iter().find(|dependency| open[**dependency] > 0).expect("it waits for something open");
    };
    let mut cycle = walk.split_off(start);
    let smallest = cycle.iter().enumerate().min_by_key(|(_, index)| **index).map_or(0, |(at, _)| at);
    cycle.rotate_left(smallest);
    cycle
}

/// Returns a cycle as `2 → 5 → 2`: each step depends on the one that follows.
fn show(cycle: &[usize]) -> String {
    let mut words: Vec<String> = cycle.iter().take(MOST_SHOWN).map(usize::to_string).collect();
    if cycle.len() > MOST_SHOWN {
        words.push(format!("… ({} more)", cycle.len() - MOST_SHOWN));
    }
    words.push(cycle[0].to_string());
    words.join(" → ")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn graph(steps: usize, dependencies: &[(usize, &[usize])]) -> Result<Graph, Invalid> {
        let dependencies = dependencies.iter().map(|(index, list)| (*index, list.to_vec())).collect();
        Graph::new(&ExecutionStrategy::DependencyGraph { dependencies }, &vec![Vec::new(); steps])
    }

    /// Each refusal names the steps it is about.
    #[test]
    fn each_graph_error_names_its_steps() {
        type Case<'a> = (&'a [(usize, &'a [usize])], &'a str, &'a str);
        let table: [Case<'_>; 7] = [
            (&[(2, &[5]), (5, &[2])], "strategy.dependencies[2]", "2 → 5 → 2"),
            (&[(0, &[1]), (1, &[3]), (3, &[2]), (2, &[1])], "strategy.dependencies[1]", "1 → 3 → 2 → 1"),
            (&[(4, &[0]), (3, &[5]), (5, &[4, 3])], "strategy.dependencies[3]", "3 → 5 → 3"),
            (&[(4, &[0, 4])], "strategy.dependencies[4][1]", "4 → 4"),
            (&[(6, &[])], "strategy.dependencies[6]", "there is no step 6"),
            (&[(1, &[0, 6])], "strategy.dependencies[1][1]", "step 1 depends on step 6"),
            (&[(1, &[usize::MAX])], "strategy.dependencies[1][0]", "0 to 5"),
        ];
        for (dependencies, field, words) in table {
            let invalid = graph(6, dependencies).unwrap_err();
            assert_eq!(invalid.field, field, "{invalid}");
            assert!(invalid.problem.contains(words), "{invalid}");
        }
    }

    /// The graph needs no recursion, and no more work than there are steps and dependencies.
    #[test]
    fn a_chain_and_a_cycle_of_a_hundred_thousand_steps() {
        const STEPS: usize = 100_000;
        let none = vec![Vec::new(); STEPS];
        let mut dependencies: HashMap<usize, Vec<usize>> = (1..STEPS).map(|index| (index, vec![index - 1])).collect();
        let chain = Graph::new(&ExecutionStrategy::DependencyGraph { dependencies: dependencies.clone() }, &none);
        let chain = chain.unwrap();
        assert_eq!((chain.chain(0), chain.chain(STEPS - 1)), (STEPS, 1));
        dependencies.insert(0, vec![STEPS - 1]);
        let invalid = Graph::new(&ExecutionStrategy::DependencyGraph { dependencies }, &none).unwrap_err();
        assert!(invalid.problem.contains("0 → 99999 → 99998 →"), "{invalid}");
        assert!(invalid.problem.contains("… (99980 more) → 0"), "{invalid}");
    }

    #[test]
    fn the_longest_chain_counts() {
        let graph = graph(6, &[(1, &[0]), (2, &[1]), (3, &[0, 2]), (5, &[4, 4])]).unwrap();
        let chains: Vec<_> = (0..graph.len()).map(|index| graph.chain(index)).collect();
        assert_eq!(chains, [4, 3, 2, 1, 2, 1]);
        assert_eq!(graph.dependencies(5), [4], "named twice is named once");
        assert_eq!(graph.dependents(0), [1, 3]);
    }
}
