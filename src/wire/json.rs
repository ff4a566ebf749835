//! JSON text straight into a [`Value`].

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::Value;
use crate::error::Invalid;

/// Reads JSON text.
pub(crate) fn parse_json(text: &str) -> Result<Value, Invalid> {
    serde_json::from_str(text)
        .map_err(|error| Invalid::new("request", format!("it is not JSON ({error}): correct the text")))
}

/// Reads the JSON text of two values in a list.
#[cfg(feature = "node")]
pub(crate) fn parse_two(text: &str) -> Result<[Value; 2], Invalid> {
    match parse_json(text)? {
        Value::List(values) => values.try_into().map_err(|_| Invalid::new("request", "it is not a list of two")),
        other => Err(Invalid::new("request", format!("it is {}: give a list of two", other.describe()))),
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
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
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry::<String, Value>()? {
            map.push(entry);
        }
        Ok(Value::Map(last_of_each(map)))
    }
}

/// As everywhere in JSON, the last of several equal keys counts; it stays where the first was.
fn last_of_each(entries: Vec<(String, Value)>) -> Vec<(String, Value)> {
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
