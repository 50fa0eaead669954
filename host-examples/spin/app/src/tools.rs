//! The tools. Each takes a text and returns one, or says why it cannot.

use alloc::format;
use alloc::string::{String, ToString};

/// The names of the tools.
pub const NAMES: [&str; 3] = ["reverse", "sum", "word-count"];

/// Why a call of a tool failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// There is no tool of this name.
    Unknown,
    /// The tool cannot take this input; why.
    Input(String),
}

/// Calls the tool of this name.
///
/// # Errors
/// Why it failed.
pub fn call(tool: &str, input: &str) -> Result<String, Failure> {
    match tool {
        "reverse" => Ok(input.chars().rev().collect()),
        "sum" => sum(input),
        "word-count" => Ok(input.split_whitespace().count().to_string()),
        _ => Err(Failure::Unknown),
    }
}

fn sum(input: &str) -> Result<String, Failure> {
    let mut sum = 0i64;
    for (place, word) in input.split_whitespace().enumerate() {
        let number: i64 = word.parse().map_err(|_| {
            Failure::Input(format!("word {}: accepted are whole numbers of 64 bits", place + 1))
        })?;
        sum =
            sum.checked_add(number).ok_or_else(|| Failure::Input("the sum has more than 64 bits".into()))?;
    }
    Ok(sum.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tool_answers_or_says_why_not() {
        for name in NAMES {
            assert_ne!(call(name, ""), Err(Failure::Unknown), "{name}");
        }
        assert_eq!(call("reverse", "abc ü"), Ok("ü cba".into()));
        assert_eq!(call("sum", "1 2\n-5"), Ok("-2".into()));
        assert_eq!(call("word-count", " a  b "), Ok("2".into()));
        assert_eq!(call("rm", "/"), Err(Failure::Unknown));
        assert!(matches!(call("sum", "1 two"), Err(Failure::Input(text)) if text.starts_with("word 2: ")));
        assert!(matches!(call("sum", &format!("{} 1", i64::MAX)), Err(Failure::Input(_))));
    }
}
