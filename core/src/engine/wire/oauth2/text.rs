//! Members of JSON answers, read leniently and wiped when they are no longer needed.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use zeroize::Zeroizing;

/// A scalar as text; anything else, and null, is as if it were missing. Servers write numbers as strings and strings as
/// numbers, and one odd member must not make the whole answer unreadable.
#[derive(Default)]
pub(super) struct Text(Option<Zeroizing<String>>);

impl Text {
    /// The text, unless missing or empty: an empty value counts as absent.
    pub(super) fn get(&self) -> Option<&str> {
        self.0.as_ref().map(|text| text.as_str()).filter(|text| !text.is_empty())
    }

    /// A count of seconds. Zero and less mean "not told": Keycloak says 0 for a refresh token without an end.
    pub(super) fn seconds(&self) -> Option<std::time::Duration> {
        const LONGEST: f64 = 100.0 * 366.0 * 86_400.0;
        let seconds: f64 = self.get()?.trim().parse().ok()?;
        (seconds > 0.0).then(|| std::time::Duration::from_secs_f64(seconds.min(LONGEST)))
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Lenient)
    }
}

struct Lenient;

impl Lenient {
    #[expect(clippy::unnecessary_wraps, reason = "the form of a visitor's methods")]
    fn some<E>(value: &(impl ToString + ?Sized)) -> Result<Text, E> {
        Ok(Text(Some(Zeroizing::new(value.to_string()))))
    }
}

impl<'de> Visitor<'de> for Lenient {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_str<E>(self, value: &str) -> Result<Text, E> {
        Lenient::some(value)
    }

    fn visit_string<E>(self, value: String) -> Result<Text, E> {
        Ok(Text(Some(Zeroizing::new(value))))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Text, E> {
        Lenient::some(&value)
    }

    fn visit_i64<E>(self, value: i64) -> Result<Text, E> {
        Lenient::some(&value)
    }

    fn visit_u64<E>(self, value: u64) -> Result<Text, E> {
        Lenient::some(&value)
    }

    fn visit_f64<E>(self, value: f64) -> Result<Text, E> {
        Lenient::some(&value)
    }

    fn visit_unit<E>(self) -> Result<Text, E> {
        Ok(Text(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Text, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Text(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Text(None))
    }
}
