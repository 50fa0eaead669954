//! This program's own command line, for the configurations of others that are to run it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;

use crate::args::Cli;
use crate::message::Failure;

/// A part of a command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// An option, and its value if it has one.
    Option { name: String, value: Option<String> },
    /// What is no option, such as the name of a subcommand.
    Other(String),
}

impl Part {
    /// The words that say the same.
    pub(crate) fn into_words(self) -> Vec<String> {
        match self {
            // By itself, it would be another option.
            Self::Option { name, value: Some(value) } if value.starts_with('-') => {
                vec![format!("{name}={value}")]
            }
            Self::Option { name, value } => [name].into_iter().chain(value).collect(),
            Self::Other(word) => vec![word],
        }
    }
}

/// This process' command line, as it was given, with paths that mean the same from everywhere. The URL of a database, which
/// has a password, is no part of a configuration.
pub(crate) fn command_line() -> Result<Vec<Part>, Failure> {
    let given = env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    let parts = parts(given, &options_with_values());
    if parts.iter().any(|part| matches!(part, Part::Option { name, .. } if name == "--database-url")) {
        let why = "others could read it in the configuration; set DATABASE_URL in the agent's environment";
        return Err(Failure::because("--database-url", why));
    }
    Ok(parts)
}

fn parts(mut given: impl Iterator<Item = String>, with_values: &[String]) -> Vec<Part> {
    let mut parts = Vec::new();
    while let Some(word) = given.next() {
        if !word.starts_with("--") {
            parts.push(Part::Other(word));
            continue;
        }
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None if with_values.contains(&word) => (word, given.next()),
            None => (word, None),
        };
        // A path of here means another one where the agent runs.
        let value = if is_path(&name) { value.map(|path| absolute(&path)) } else { value };
        parts.push(Part::Option { name, value });
    }
    parts
}

/// The options of this program and its subcommands that are followed by a value.
fn options_with_values() -> Vec<String> {
    let program = Cli::command();
    let of_subcommands = program.get_subcommands().flat_map(clap::Command::get_arguments);
    let options = program.get_arguments().chain(of_subcommands);
    let with_values = options.filter(|option| option.get_action().takes_values());
    with_values.filter_map(|option| Some(format!("--{}", option.get_long()?))).collect()
}

/// Where in the words of a command line behind this program's name the arguments of this subcommand begin that are no options.
/// None: it is another subcommand.
pub(crate) fn arguments_of(subcommand: &str, words: &[String]) -> Option<usize> {
    let with_values = options_with_values();
    let no_option = |words: &[String]| {
        let mut at = 0;
        while let Some(word) = words.get(at) {
            if word == "--" {
                return at + 1;
            }
            if !word.starts_with('-') {
                return at;
            }
            at += if with_values.contains(word) { 2 } else { 1 };
        }
        words.len()
    };
    let at = no_option(words);
    let behind = words.get(at).is_some_and(|word| word == subcommand).then_some(at + 1)?;
    Some(behind + no_option(words.get(behind..)?))
}

/// A word as a shell reads it.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "-_./=:,+@%\\".contains(char);
    match !word.is_empty() && word.chars().all(is_plain) && (cfg!(windows) || !word.contains('\\')) {
        true => word.to_owned(),
        false if cfg!(windows) => format!("\"{word}\""),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

fn is_path(option: &str) -> bool {
    ["--dir", "--hash-key-file"].contains(&option)
}

fn absolute(path: &str) -> String {
    std::path::absolute(path).map_or_else(|_| path.to_owned(), |path| path.to_string_lossy().into_owned())
}

/// This program: by its path, because an agent may have another `PATH`; in a configuration that others share, by its name,
/// if that leads here. The path is the one that it was found by, which may be a link to the newest version.
pub(crate) fn program(is_shared: bool) -> Result<String, Failure> {
    let this = env::current_exe().map_err(|error| Failure::because("cannot find this program", error))?;
    let found = on_path("audit").filter(|found| is_same(found, &this));
    if is_shared && found.is_some() {
        return Ok("audit".to_owned());
    }
    let given = env::args_os().next().map(PathBuf::from);
    let given = given.filter(|given| given.components().count() > 1 && is_same(given, &this));
    let path = given.or(found).unwrap_or(this);
    Ok(absolute(&path.to_string_lossy()))
}

/// Whether a program is this one, whatever its name is here.
pub(crate) fn is_this(program: &Path) -> bool {
    let name = |path: &Path| path.file_stem().map(ToOwned::to_owned);
    let given = name(program);
    given.as_ref().is_some_and(|name| name == "audit")
        || given == env::current_exe().ok().and_then(|this| name(&this))
}

fn is_same(one: &Path, other: &Path) -> bool {
    fs::canonicalize(one).is_ok_and(|one| fs::canonicalize(other).is_ok_and(|other| one == other))
}

/// The first program of this name on the `PATH`.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let names = [name.to_owned(), format!("{name}{}", env::consts::EXE_SUFFIX)];
    let mut programs = env::split_paths(&path).flat_map(|folder| names.clone().map(|name| folder.join(name)));
    programs.find(|program| is_program(program))
}

/// Whether there is a program that may be run.
pub(crate) fn is_program(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    }
    #[cfg(not(unix))]
    path.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_from_what_is_no_option() {
        let words = "--backend auto hook --install claude --workspace claude --starts --dir=/a";
        let parts = parts(words.split(' ').map(String::from), &options_with_values());
        let option = |name: &str, value: Option<&str>| Part::Option {
            name: name.into(),
            value: value.map(String::from),
        };
        let expected = [
            option("--backend", Some("auto")),
            Part::Other("hook".into()),
            option("--install", None),
            Part::Other("claude".into()),
            option("--workspace", Some("claude")),
            option("--starts", None),
            option("--dir", Some("/a")),
        ];
        assert_eq!(parts, expected);
    }

    #[test]
    fn a_value_that_looks_like_an_option_stays_a_value() {
        for line in ["--agent=--foo", "--agent=-", "--agent foo", "--agent=--", "--starts"] {
            let parts = |line: Vec<String>| parts(line.into_iter(), &options_with_values());
            let given = parts(line.split(' ').map(String::from).collect());
            let words: Vec<String> = parts(line.split(' ').map(String::from).collect())
                .into_iter()
                .flat_map(Part::into_words)
                .collect();
            assert_eq!(parts(words), given);
            let written = given.into_iter().flat_map(Part::into_words).collect::<Vec<_>>().join(" ");
            assert_eq!(written, line);
        }
    }

    #[test]
    fn a_subcommand_is_told_from_the_value_of_an_option() {
        let arguments = |line: &str| {
            let words: Vec<String> = line.split(' ').map(String::from).collect();
            arguments_of("mcp", &words).map(|at| words[at..].join(" "))
        };
        for (line, expected) in [
            ("mcp -- srv -x", Some("srv -x")),
            ("mcp srv mcp", Some("srv mcp")),
            ("--dir mcp mcp --agent=--a --workspace mcp --starts -- srv --", Some("srv --")),
            ("mcp --", Some("")),
            ("mcp", Some("")),
            ("exec --workspace mcp -- srv", None),
            ("exec -- mcp", None),
            ("--dir mcp", None),
        ] {
            assert_eq!(arguments(line).as_deref(), expected, "{line}");
        }
    }
}
