//! The options of `cargo xtask bench`.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, bail};

const EVENTS: u64 = 1_000_000;
const ROUNDS: usize = 5;

/// The fewest events: of fewer, reads do not find what they look for.
const FEWEST_EVENTS: u64 = 10_000;

#[derive(Debug, PartialEq)]
pub(crate) struct Options {
    pub(crate) events: u64,
    pub(crate) rounds: usize,
    /// The name of a group, or a part of the name of rows.
    pub(crate) only: Option<String>,
    pub(crate) large: bool,
    /// Another build of the program.
    pub(crate) against: Option<PathBuf>,
    pub(crate) json: PathBuf,
}

impl Options {
    pub(crate) fn read(arguments: &[String], target_dir: &Path) -> Result<Self> {
        let json = target_dir.join("bench/results.json");
        let mut options =
            Self { events: EVENTS, rounds: ROUNDS, only: None, large: false, against: None, json };
        let mut arguments = arguments.iter();
        while let Some(option) = arguments.next() {
            if option == "--large" {
                options.large = true;
                continue;
            }
            let value = arguments
                .next()
                .with_context(|| format!("{option} needs a value: see `cargo xtask help`"))?;
            match option.as_str() {
                "--events" => options.events = at_least(FEWEST_EVENTS, option, value)?,
                "--rounds" => options.rounds = at_least(1, option, value)?,
                "--only" => options.only = Some(value.clone()),
                "--against" => {
                    let path = fs::canonicalize(value)
                        .with_context(|| format!("cannot find the program {value}"))?;
                    options.against = Some(path);
                }
                "--json" => options.json = value.into(),
                _ => bail!("there is no option {option}: see `cargo xtask help`"),
            }
        }
        Ok(options)
    }
}

fn at_least<N: FromStr + PartialOrd + std::fmt::Display>(least: N, option: &str, value: &str) -> Result<N> {
    match value.parse() {
        Ok(number) if number >= least => Ok(number),
        _ => bail!("{option} {value}: accepted is a number from {least} on"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(arguments: &str) -> Result<Options> {
        let arguments: Vec<String> = arguments.split_whitespace().map(String::from).collect();
        Options::read(&arguments, Path::new("target"))
    }

    #[test]
    fn options_are_taken_or_refused_with_what_is_accepted() {
        let all = options("--events 20000 --large --only page --rounds 3 --json out.json").unwrap();
        assert_eq!((all.events, all.rounds, all.large, all.only.as_deref()), (20_000, 3, true, Some("page")));
        assert_eq!(all.json, Path::new("out.json"));
        assert_eq!(options("").unwrap().json, Path::new("target/bench/results.json"));
        let error = |arguments| options(arguments).unwrap_err().to_string();
        assert!(error("--events 5").contains("from 10000 on"));
        assert!(error("--rounds").contains("needs a value"));
        assert!(error("--fast yes").contains("no option --fast"));
    }
}
