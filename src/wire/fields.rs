//! The fields of one object, each taken with the type it must have.

use super::{Case, Value};
use crate::error::{Invalid, is_plain_name, name_in_path};
use crate::types::Words;

type Result<T> = std::result::Result<T, Invalid>;

/// A name is offered as what was meant when so much of it, at most, is different: one letter in so many.
const LETTERS_FOR_EACH_SLIP: usize = 3;
#[expect(clippy::cast_precision_loss, reason = "it is the largest that has none")]
const LARGEST: f64 = crate::config::LARGEST_WHOLE as f64;

/// An object whose keys are all known.
pub(super) struct Fields<'a> {
    path: String,
    case: Case,
    entries: &'a [(String, Value)],
}

impl<'a> Fields<'a> {
    /// Opens an object; `path` is empty for the outermost one, which errors call `what`.
    pub(super) fn open(value: &'a Value, path: &str, what: &str, case: Case, known: &[&str]) -> Result<Self> {
        let fields = Self::open_any(value, path, what, case)?;
        for (key, value) in fields.entries {
            // An absent value under an unknown name is still a name that means something to the sender.
            if !known.iter().any(|name| case.is(name, key)) {
                let known: Vec<String> = known.iter().map(|name| case.name(name)).collect();
                let near = nearest(key, &known);
                let hint = near.map_or_else(
                    || format!("leave it out (known: {})", known.join(", ")),
                    |name| format!("did you mean `{name}`?"),
                );
                return Err(Invalid::new(fields.at(key), format!("unknown field ({}): {hint}", value.describe())));
            }
        }
        Ok(fields)
    }

    /// Opens an object of which only some keys are ours.
    pub(super) fn open_any(value: &'a Value, path: &str, what: &str, case: Case) -> Result<Self> {
        let Value::Map(entries) = value else {
            let field = if path.is_empty() { what } else { path };
            return Err(Invalid::new(field, format!("it is {}: give an object", value.describe())));
        };
        Ok(Self { path: path.to_owned(), case, entries })
    }

    pub(super) fn case(&self) -> Case {
        self.case
    }

    pub(super) fn entries(&self) -> &'a [(String, Value)] {
        self.entries
    }

    /// Returns the path of a key of this object, as the sender wrote it.
    pub(super) fn at(&self, key: &str) -> String {
        join(&self.path, key)
    }

    /// Returns the path of a name of the engine.
    pub(super) fn path(&self, name: &str) -> String {
        self.at(&self.case.name(name))
    }

    /// Returns the value under a name of the engine, unless it is absent.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        let (_, value) = self.entries.iter().find(|(key, _)| self.case.is(name, key))?;
        (!value.is_absent()).then_some(value)
    }

    pub(super) fn wrong<T>(&self, name: &str, value: &Value, give: &str) -> Result<T> {
        Err(Invalid::new(self.path(name), format!("it is {}: give {give}", value.describe())))
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<String>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text.clone())),
            Some(other) => self.wrong(name, other, "a string"),
        }
    }

    pub(super) fn required_text(&self, name: &str) -> Result<String> {
        self.text(name)?.ok_or_else(|| Invalid::new(self.path(name), "it is missing: give a string"))
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => self.wrong(name, other, "true or false"),
        }
    }

    /// Returns a whole number from 0 to 2^53 − 1; the engine checks finer bounds.
    pub(super) fn whole(&self, name: &str) -> Result<Option<u64>> {
        self.get(name).map(|value| whole_number(&self.path(name), value)).transpose()
    }

    pub(super) fn size(&self, name: &str) -> Result<Option<usize>> {
        self.whole(name)?
            .map(|number| {
                usize::try_from(number).map_err(|_| {
                    Invalid::new(self.path(name), format!("{number} is too large for this machine: give less"))
                })
            })
            .transpose()
    }

    /// Returns a whole number that may be negative, within 32 bits.
    pub(super) fn signed(&self, name: &str) -> Result<Option<i32>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        if let Value::Number(number) = value
            && let Some(whole) = whole_i32(*number)
        {
            return Ok(Some(whole));
        }
        self.wrong(name, value, "a whole number from -2^31 to 2^31 - 1")
    }

    pub(super) fn texts(&self, name: &str) -> Result<Option<Vec<String>>> {
        let items = match self.get(name) {
            None => return Ok(None),
            Some(Value::List(items)) => items,
            Some(other) => return self.wrong(name, other, "an array of strings"),
        };
        let text = |(index, item): (usize, &Value)| match item {
            Value::Text(text) => Ok(text.clone()),
            other => {
                let field = format!("{}[{index}]", self.path(name));
                Err(Invalid::new(field, format!("it is {}: give a string", other.describe())))
            }
        };
        items.iter().enumerate().map(text).collect::<Result<_>>().map(Some)
    }

    /// Reads one of these words, which is written in the sender's case.
    pub(super) fn choice<T: Words>(&self, name: &str) -> Result<Option<T>> {
        self.choice_of(name, T::ALL)
    }

    /// Reads one of these words.
    pub(super) fn choice_of<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<Option<T>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let word = |snake: &str| self.case.name(snake);
        if let Value::Text(text) = value
            && let Some((_, choice)) = choices.iter().find(|(snake, _)| self.case.is(snake, text))
        {
            return Ok(Some(*choice));
        }
        let words: Vec<String> = choices.iter().map(|(snake, _)| word(snake)).collect();
        if let Value::Text(text) = value
            && let Some(meant) = nearest_word(text, &words)
        {
            return Err(Invalid::new(self.path(name), format!("it is {}: did you mean {meant:?}?", value.describe())));
        }
        let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
        self.wrong(name, value, &words.join(" or "))
    }
}

/// Returns the path of a key below another one.
pub(super) fn join(path: &str, key: &str) -> String {
    match (path.is_empty(), is_plain_name(key)) {
        (true, true) => key.to_owned(),
        (false, true) => format!("{path}.{key}"),
        (_, false) => format!("{path}{}", name_in_path(key)),
    }
}

/// Returns a whole number from 0 to 2^53 − 1.
pub(super) fn whole_number(path: &str, value: &Value) -> Result<u64> {
    match value {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and in range")]
        Value::Number(number) if number.fract() == 0.0 && (0.0..=LARGEST).contains(number) => Ok(*number as u64),
        other => {
            let problem = format!("it is {}: give a whole number from 0 to 2^53 - 1", other.describe());
            Err(Invalid::new(path, problem))
        }
    }
}

/// Returns a whole number within 32 bits.
pub(super) fn whole_i32(number: f64) -> Option<i32> {
    let is_in_range = (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&number);
    #[expect(clippy::cast_possible_truncation, reason = "whole and in range")]
    (number.fract() == 0.0 && is_in_range).then_some(number as i32)
}

/// Returns the word that was probably meant; the name of a signal may lack its `SIG`.
fn nearest_word<'a>(text: &str, words: &'a [String]) -> Option<&'a String> {
    let short = |word: &str| word.to_uppercase().trim_start_matches("SIG").to_owned();
    let signals: Vec<String> = words.iter().filter(|word| word.starts_with("SIG")).map(|word| short(word)).collect();
    nearest(text, words).or_else(|| {
        let meant = nearest(&short(text), &signals)?;
        words.iter().find(|word| word.strip_prefix("SIG") == Some(meant))
    })
}

/// Returns the known name that was probably meant.
pub(super) fn nearest<'a>(key: &str, known: &'a [String]) -> Option<&'a String> {
    if !is_plain_name(key) {
        return None;
    }
    let key = key.to_lowercase();
    let candidates = known.iter().filter_map(|name| {
        let lower = name.to_lowercase();
        let distance = strsim::damerau_levenshtein(&key, &lower);
        let is_near = distance <= lower.len().min(key.len()) / LETTERS_FOR_EACH_SLIP;
        let is_cut_short = key.len() >= LETTERS_FOR_EACH_SLIP && lower.starts_with(&key);
        (is_near || is_cut_short).then_some((distance, name))
    });
    candidates.min().map(|(_, name)| name)
}
