//! Results on stdout: JSON with sorted keys or a table, after a query if one was given.

use std::io::{self, Write};

use serde_json::Value;

use crate::args::{Format, OutputArgs};
use crate::exit::{Code, Failure, Outcome};

/// How results are printed, checked before anything is done.
pub(crate) struct Output {
    format: Format,
    query: Option<jmespath::Expression<'static>>,
    raw: bool,
}

impl Output {
    /// Reads the flags.
    ///
    /// Errors: usage, when the query is no JMESPath expression.
    pub(crate) fn new(args: &OutputArgs) -> Outcome<Self> {
        let query = args
            .query
            .as_deref()
            .map(|text| jmespath::compile(text).map_err(|error| bad_query(text, &error)));
        Ok(Output {
            format: args.output.unwrap_or_default(),
            query: query.transpose()?,
            raw: args.raw_output,
        })
    }

    /// Prints a result.
    ///
    /// Errors: 1 when stdout cannot be written. A reader that has gone is no error: it has what it wanted.
    pub(crate) fn print(&self, result: &Value) -> Outcome {
        write_out(&self.text(result)?)
    }

    fn text(&self, result: &Value) -> Outcome<String> {
        let picked = match &self.query {
            None => result.clone(),
            Some(query) => {
                let found = query.search(result).map_err(|error| bad_query(query.as_str(), &error))?;
                serde_json::to_value(&*found)
                    .map_err(|error| Failure::new(Code::Failure, error.to_string()))?
            }
        };
        // As the official command line: a query that finds nothing prints a hint, not `null`.
        if picked.is_null() && self.query.is_some() {
            return Ok(String::new());
        }
        Ok(match (self.format, picked) {
            (_, Value::String(text)) if self.raw => format!("{text}\n"),
            (Format::Json, value) => format!("{value:#}\n"),
            (Format::Table, value) => table(&value),
        })
    }
}

/// Writes text to stdout.
///
/// Errors: 1 when it cannot be written; silent success when the reader has gone.
pub(crate) fn write_out(text: &str) -> Outcome {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Code::Failure, format!("cannot write the result to stdout: {error}")))
        }
        _ => Ok(()),
    }
}

fn bad_query(text: &str, error: &jmespath::JmespathError) -> Failure {
    let why = error.to_string();
    let why = why.lines().next().unwrap_or_default().trim_end_matches([' ', ':']);
    Failure::usage(format!("--query '{text}' is no JMESPath expression that fits: {why}"))
}

/// A grid: one row per object of a list, one column per key.
fn table(value: &Value) -> String {
    let rows: Vec<&Value> = match value {
        Value::Array(items) => items.iter().collect(),
        other => vec![other],
    };
    if rows.is_empty() {
        return "nothing to show\n".into();
    }
    let mut columns: Vec<&str> = Vec::new();
    for row in rows.iter().filter_map(|row| row.as_object()) {
        columns
            .extend(row.keys().map(String::as_str).filter(|key| !columns.contains(key)).collect::<Vec<_>>());
    }
    let (head, body): (Vec<String>, Vec<Vec<String>>) = if columns.is_empty() {
        (vec!["Column1".into()], rows.iter().map(|row| vec![cell(row)]).collect())
    } else {
        let body = rows
            .iter()
            .map(|row| columns.iter().map(|key| row.get(key).map(cell).unwrap_or_default()).collect());
        (columns.iter().map(ToString::to_string).collect(), body.collect())
    };
    grid(&head, &body)
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn grid(head: &[String], body: &[Vec<String>]) -> String {
    let width = |column: usize| {
        body.iter()
            .map(|row| &row[column])
            .chain([&head[column]])
            .map(|text| text.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let rule = widths.iter().map(|width| "-".repeat(width + 2)).collect::<Vec<_>>().join("+");
    let line = |row: &[String]| {
        let cells = row.iter().zip(&widths).map(|(text, width)| {
            let pad = " ".repeat(width - text.chars().count());
            format!(" {text}{pad} ")
        });
        format!("|{}|\n", cells.collect::<Vec<_>>().join("|"))
    };
    let body: String = body.iter().map(|row| line(row)).collect();
    format!("+{rule}+\n{}+{rule}+\n{body}+{rule}+\n", line(head))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(query: Option<&str>, format: Format, raw: bool, value: &Value) -> String {
        let args = OutputArgs { output: Some(format), query: query.map(str::to_owned), raw_output: raw };
        let output = Output::new(&args).expect("a good query");
        output.text(value).expect("a query that fits")
    }

    #[test]
    fn json_has_sorted_keys() {
        let value = json!({"opc-multipart-md5": "x-2", "etag": "e"});
        assert_eq!(
            shown(None, Format::Json, false, &value),
            "{\n  \"etag\": \"e\",\n  \"opc-multipart-md5\": \"x-2\"\n}\n"
        );
    }

    #[test]
    fn queries_pick() {
        let value = json!({"etag": "e", "n": [1, 2]});
        assert_eq!(shown(Some("etag"), Format::Json, false, &value), "\"e\"\n");
        assert_eq!(shown(Some("etag"), Format::Json, true, &value), "e\n");
        assert_eq!(shown(Some("\"opc-multipart-md5\""), Format::Json, true, &value), "");
        let args = OutputArgs { query: Some("a[".into()), ..OutputArgs::default() };
        assert_eq!(Output::new(&args).err().expect("a bad query").code(), 2);
    }

    #[test]
    fn tables_align() {
        let value = json!([{"name": "a", "size": 1}, {"name": "long", "more": "x"}]);
        let text = shown(None, Format::Table, false, &value);
        let expected = "\
+------+------+------+
| name | size | more |
+------+------+------+
| a    | 1    |      |
| long |      | x    |
+------+------+------+
";
        assert_eq!(text, expected);
        assert_eq!(shown(None, Format::Table, false, &json!([])), "nothing to show\n");
    }
}
