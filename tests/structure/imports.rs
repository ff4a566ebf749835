//! Finds which file names what of which other file.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use proc_macro2::{Delimiter, TokenTree};

use super::source::{SourceFile, group, ident, is_punct};

/// A path that is written in a file, from the root of the crate.
#[derive(Debug)]
pub(crate) struct Reference {
    pub(crate) line: usize,
    /// `*` at its end for all names of a module.
    pub(crate) path: Vec<String>,
    /// The module in which it is written.
    module: Vec<String>,
    /// The name that a `use` gives it there.
    alias: Option<String>,
}

/// Finds the paths that begin with `crate`, `super`, `self` or the name of a part, wherever they are: in a `use`, in code, in a
/// macro.
pub(crate) fn references(file: &SourceFile, parts: &dyn Fn(&[String], &str) -> bool) -> Vec<Reference> {
    let mut found = Vec::new();
    scan(&file.tokens, &file.module(), parts, &mut found);
    found
}

fn scan(tokens: &[TokenTree], module: &[String], parts: &dyn Fn(&[String], &str) -> bool, found: &mut Vec<Reference>) {
    let mut is_use = false;
    let mut at = 0;
    while at < tokens.len() {
        let token = &tokens[at];
        let follows_path = at >= 2 && is_punct(tokens.get(at - 1), ':') && is_punct(tokens.get(at - 2), ':');
        match token {
            TokenTree::Ident(word) if word == "use" => is_use = true,
            TokenTree::Ident(word) if word == "mod" => {
                if let (Some(name), Some(body)) =
                    (ident(tokens.get(at + 1)), group(tokens.get(at + 2), Delimiter::Brace))
                {
                    let inner = [module, &[name.to_string()]].concat();
                    scan(&body.stream().into_iter().collect::<Vec<_>>(), &inner, parts, found);
                    at += 3;
                    continue;
                }
            }
            TokenTree::Punct(punct) if punct.as_char() == ';' => is_use = false,
            TokenTree::Ident(word) if !follows_path && is_path(tokens, at) => {
                let word = word.to_string();
                let (start, used) = match word.as_str() {
                    "crate" => (Some(Vec::new()), 1),
                    "self" => (Some(module.to_vec()), 1),
                    "super" => {
                        let ups = tokens[at..]
                            .chunks(3)
                            .take_while(|step| ident(step.first()).is_some_and(|it| it == "super"));
                        let ups = ups.count();
                        (module.len().checked_sub(ups).map(|left| module[..left].to_vec()), ups * 3 - 2)
                    }
                    name if parts(module, name) => (Some([module, &[name.to_owned()]].concat()), 1),
                    _ => (None, 1),
                };
                if let Some(start) = start {
                    tree(&tokens[at + used..], start, token.span().start().line, module, is_use, found);
                }
            }
            TokenTree::Group(group) => {
                scan(&group.stream().into_iter().collect::<Vec<_>>(), module, parts, found);
            }
            _ => {}
        }
        at += 1;
    }
}

/// Whether `::` follows a word.
fn is_path(tokens: &[TokenTree], at: usize) -> bool {
    is_punct(tokens.get(at + 1), ':') && is_punct(tokens.get(at + 2), ':')
}

/// Adds each path of a tree such as `::b::{C, d::*, self as e}` below `start`.
fn tree(
    tokens: &[TokenTree],
    mut start: Vec<String>,
    mut line: usize,
    module: &[String],
    is_use: bool,
    found: &mut Vec<Reference>,
) {
    let mut at = 0;
    while is_punct(tokens.get(at), ':') && is_punct(tokens.get(at + 1), ':') {
        if let Some(name) = ident(tokens.get(at + 2)) {
            line = name.span().start().line;
            start.push(name.to_string());
            at += 3;
        } else if is_punct(tokens.get(at + 2), '*') {
            start.push("*".to_owned());
            break;
        } else if let Some(inner) = group(tokens.get(at + 2), Delimiter::Brace) {
            let inner: Vec<_> = inner.stream().into_iter().collect();
            for branch in inner.split(|token| is_punct(Some(token), ',')).filter(|branch| !branch.is_empty()) {
                let line = branch[0].span().start().line;
                let (branch, start) = match ident(branch.first()) {
                    Some(name) if name == "self" => (&branch[1..], start.clone()),
                    Some(name) => (&branch[1..], [&start[..], &[name.to_string()]].concat()),
                    None => (&branch[1..], [&start[..], &["*".to_owned()]].concat()),
                };
                tree(branch, start, line, module, is_use, found);
            }
            return;
        } else {
            // The parameters of a type: `::<…>`.
            break;
        }
    }
    let renamed = ident(tokens.get(at)).filter(|word| *word == "as").and_then(|_| ident(tokens.get(at + 1)));
    let alias = is_use.then(|| renamed.map_or_else(|| start.last().cloned(), |name| Some(name.to_string()))).flatten();
    found.push(Reference { line, path: start, module: module.to_vec(), alias });
}

/// The files, and the names that they use of each other.
pub(crate) struct Imports<'a> {
    files: &'a [SourceFile],
    /// The file of each module.
    modules: HashMap<Vec<String>, usize>,
    references: Vec<Vec<Reference>>,
    /// The names that each module has from elsewhere.
    aliases: HashMap<(Vec<String>, String), Vec<Vec<String>>>,
    ignored: BTreeSet<(usize, usize)>,
}

impl<'a> Imports<'a> {
    pub(crate) fn new(files: &'a [SourceFile]) -> Self {
        let modules: HashMap<_, _> = files.iter().enumerate().map(|(index, file)| (file.module(), index)).collect();
        let parts = |module: &[String], name: &str| modules.contains_key(&[module, &[name.to_owned()]].concat());
        let references: Vec<_> = files.iter().map(|file| references(file, &parts)).collect();
        let mut aliases: HashMap<_, Vec<_>> = HashMap::new();
        for reference in references.iter().flatten() {
            if let Some(alias) = &reference.alias {
                aliases.entry((reference.module.clone(), alias.clone())).or_default().push(reference.path.clone());
            }
        }
        Self { files, modules, references, aliases, ignored: BTreeSet::new() }
    }

    /// Returns the files that define what a path names: a name that a module only passes on is defined elsewhere.
    fn defined_in(&self, path: &[String], depth: usize) -> BTreeSet<usize> {
        let mut module = Vec::new();
        for (at, name) in path.iter().enumerate() {
            let inner = [&module[..], std::slice::from_ref(name)].concat();
            if self.modules.contains_key(&inner) {
                module = inner;
                continue;
            }
            let passed_on = self.aliases.get(&(module.clone(), name.clone())).filter(|_| depth < 16);
            if let Some(targets) = passed_on {
                let rest = &path[at + 1..];
                let whole = targets.iter().map(|target| [&target[..], rest].concat());
                return whole.flat_map(|path| self.defined_in(&path, depth + 1)).collect();
            }
            break;
        }
        self.modules.get(&module).copied().into_iter().collect()
    }

    /// Leaves out what one file has from another. `false`: nothing.
    pub(crate) fn ignore(&mut self, from: &str, to: &str) -> bool {
        let index = |path: &str| self.files.iter().position(|file| file.path == Path::new(path));
        let (Some(from), Some(to)) = (index(from), index(to)) else { return false };
        self.edges()[from].contains_key(&to) && self.ignored.insert((from, to))
    }

    /// Returns, for each file, the files that it imports, with a line of each. What a part has from a file around it is
    /// left out: such a file declares the part and composes it with others, so it may define what they share.
    fn edges(&self) -> Vec<BTreeMap<usize, usize>> {
        let mut edges = vec![BTreeMap::new(); self.files.len()];
        for (from, references) in
            self.references.iter().enumerate().filter(|(from, _)| !self.files[*from].is_own_crate())
        {
            let module = self.files[from].module();
            for reference in references {
                for to in self.defined_in(&reference.path, 0) {
                    let is_around = module.starts_with(&self.files[to].module());
                    if !is_around && !self.ignored.contains(&(from, to)) {
                        edges[from].entry(to).or_insert(reference.line);
                    }
                }
            }
        }
        edges
    }

    /// Returns the circles of imports, each as its edges. Every circle has an edge in one of them.
    pub(crate) fn circles(&self) -> Vec<String> {
        let edges = self.edges();
        let mut search =
            Search { edges: &edges, state: vec![State::New; edges.len()], way: Vec::new(), found: Vec::new() };
        for file in 0..edges.len() {
            search.visit(file);
        }
        let shown = |circle: &Vec<usize>| {
            let next = circle.iter().cycle().skip(1);
            let steps = circle.iter().zip(next).map(|(from, to)| {
                let line = edges[*from][to];
                format!("{}:{line} imports {}", self.files[*from].name(), self.files[*to].name())
            });
            steps.collect::<Vec<_>>().join(", ")
        };
        search.found.iter().map(shown).collect()
    }
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    New,
    OnTheWay,
    Done,
}

struct Search<'a> {
    edges: &'a [BTreeMap<usize, usize>],
    state: Vec<State>,
    way: Vec<usize>,
    found: Vec<Vec<usize>>,
}

impl Search<'_> {
    fn visit(&mut self, file: usize) {
        match self.state[file] {
            State::Done => {}
            State::OnTheWay => {
                let start = self.way.iter().position(|on_the_way| *on_the_way == file).expect("it is on the way");
                self.found.push(self.way[start..].to_vec());
            }
            State::New => {
                self.state[file] = State::OnTheWay;
                self.way.push(file);
                for next in self.edges[file].keys() {
                    self.visit(*next);
                }
                self.way.pop();
                self.state[file] = State::Done;
            }
        }
    }
}
