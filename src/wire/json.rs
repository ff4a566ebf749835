//! JSON text straight into a [`Value`].

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;

use super::Value;
use crate::error::Invalid;

/// The longest text of a request, in bytes.
const LONGEST: usize = 64 * 1024 * 1024;
/// The most values: more take more memory than a request is worth, since each is many times as large as its text.
const MOST_VALUES: usize = 1_000_000;

/// Returns an object with other names and values. Its members are inserted one by one: each `collect` would bring a
/// sort of its own.
pub(crate) fn map_members(json: Json, change: &dyn Fn(&str, Json) -> (String, Json)) -> Json {
    let Json::Object(members) = json else { return json };
    let mut changed = serde_json::Map::new();
    for (name, value) in members {
        let (name, value) = change(&name, value);
        changed.insert(name, value);
    }
    Json::Object(changed)
}

/// Reads JSON text.
pub(crate) fn parse_json(text: &str) -> Result<Value, Invalid> {
    if text.len() > LONGEST {
        let problem = format!("it has {} bytes: {LONGEST} are the most for a request", text.len());
        return Err(Invalid::new("request", problem));
    }
    read(text, MOST_VALUES)
        .map_err(|error| Invalid::new("request", format!("it is not JSON ({error}): correct the text")))
}

fn read(text: &str, most_values: usize) -> serde_json::Result<Value> {
    let left = Cell::new(most_values);
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = AnyValue { left: &left }.deserialize(&mut reader)?;
    reader.end().map(|()| value)
}

/// Reads the JSON text of two values in a list.
#[cfg(feature = "node")]
pub(crate) fn parse_two(text: &str) -> Result<[Value; 2], Invalid> {
    // The facade has counted, and some text of its own is around what it was given.
    let value = read(text, usize::MAX)
        .map_err(|error| Invalid::new("request", format!("it is not JSON ({error}): correct the text")))?;
    match value {
        Value::List(values) => values.try_into().map_err(|_| Invalid::new("request", "it is not a list of two")),
        other => Err(Invalid::new("request", format!("it is {}: give a list of two", other.describe()))),
    }
}

/// A value, one of so many that are left.
#[derive(Clone, Copy)]
struct AnyValue<'a> {
    left: &'a Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for AnyValue<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let left = self.left.get().checked_sub(1);
        self.left.set(left.ok_or_else(|| D::Error::custom(format_args!("it has more than {MOST_VALUES} values")))?);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AnyValue<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Number(number))
    }

    #[expect(clippy::cast_precision_loss, reason = "numbers are JavaScript's")]
    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "numbers are JavaScript's")]
    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number as f64))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key::<String>()? {
            map.push((key, entries.next_value_seed(self)?));
        }
        Ok(Value::Map(last_of_each(map)))
    }
}

/// The number of keys that are compared with each other sooner than they are hashed.
const FEW_KEYS: usize = 16;

/// Keeps the last of several equal keys, as everywhere in JSON, at the place of the first.
fn last_of_each(entries: Vec<(String, Value)>) -> Vec<(String, Value)> {
    let is_new = |at: usize| entries[..at].iter().all(|(key, _)| *key != entries[at].0);
    if entries.len() <= FEW_KEYS && (1..entries.len()).all(is_new) {
        return entries;
    }
    let mut places = std::collections::HashMap::with_capacity(entries.len());
    let mut unique: Vec<(String, Value)> = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        if let Some(place) = places.get(&key) {
            let place: usize = *place;
            unique[place].1 = value;
        } else {
            places.insert(key.clone(), unique.len());
            unique.push((key, value));
        }
    }
    unique
}
