//! Puts this program in front of the servers in the configuration of an MCP client, and takes it out again.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use audit_host::{Component, Options};
use jsonc_parser::cst::{CstInputValue, CstObject, CstRootNode};
use serde_json::Value;

use crate::args::WrapArgs;
use crate::config::{ConfigFile, json};
use crate::mask::masked;
use crate::message::{Failure, warn};
use crate::own;

/// Where clients have their servers: Claude, Cursor, Gemini and others; VS Code; its settings; and Claude Code for one project.
const PLACES: [&[&str]; 4] =
    [&["mcpServers"], &["servers"], &["mcp", "servers"], &["projects", "*", "mcpServers"]];

/// Where a server over HTTP has its URL: most clients, Windsurf, and Gemini.
const URLS: [&str; 3] = ["url", "serverUrl", "httpUrl"];

/// Options that say what is to be done now, with a value or without.
const OF_WRAP: [&str; 2] = ["--wrap", "--unwrap"];
const DRY_RUN: &str = "--dry-run";

/// Changes the configuration, shows how, and keeps it as it was.
pub(super) fn run(path: &Path, args: &WrapArgs, is_placed: bool) -> Result<ExitCode, Failure> {
    let file = ConfigFile::read(path)?;
    let refused = |why: String| Failure::because(format!("{} was not changed", path.display()), why);
    let Some(text) = file.text() else { return Err(refused("there is no such file".into())) };
    let is_wrap = args.wrap.is_some();
    let own = if is_wrap { own_words(path, is_placed)? } else { Vec::new() };
    let mut changed = change(text, is_wrap.then_some(&own[..])).map_err(refused)?;
    for Remote { name, url } in &changed.remote {
        let what = if is_wrap { "is left as it is" } else { "was never changed" };
        warn(format_args!(
            "the server {name} {what}, because it has a URL: run `audit mcp --http 8080 --to {}`, and give the client \
             http://127.0.0.1:8080/ with the same path",
            own::quoted(&shown(url))
        ));
    }
    if changed.servers == 0 && changed.remote.is_empty() {
        return Err(refused("it has no MCP servers (`mcpServers` or `servers`)".into()));
    }
    // Down to each space.
    if let Some(before) = file.backup().filter(|before| !is_wrap && is_same(before, &changed.text)) {
        changed.text = before;
    }
    let change = file.change_to(Some(changed.text));
    let mut out = io::stdout().lock();
    if change.is_none() {
        let _ = writeln!(out, "Nothing is to be changed in {}.", path.display());
        return Ok(ExitCode::SUCCESS);
    }
    let _ = write!(out, "{}", change.diff());
    if args.dry_run {
        let _ = writeln!(out, "Nothing was changed ({DRY_RUN}).");
        return Ok(ExitCode::SUCCESS);
    }
    let backup = change.make()?;
    let _ = match backup {
        Some(backup) => writeln!(out, "Changed {}; as it was: {}", path.display(), backup.display()),
        None => writeln!(out, "Changed {}", path.display()),
    };
    if is_wrap {
        // It is compiled now, so that no server's first calls wait for that.
        let _ = Component::load(&Options::from_env());
        let _ = writeln!(out, "Start the client again: its servers then run behind `audit mcp`.");
    }
    Ok(ExitCode::SUCCESS)
}

/// The words in front of a server's command.
fn own_words(path: &Path, is_placed: bool) -> Result<Vec<String>, Failure> {
    // The configuration of a project, which others share.
    let is_shared = !path.is_absolute();
    let mut words = vec![own::program(is_shared)?];
    let of_agent = own::command_line()?.into_iter().filter(|part| match part {
        own::Part::Option { name, .. } => name != DRY_RUN && !OF_WRAP.contains(&name.as_str()),
        own::Part::Other(_) => true,
    });
    words.extend(of_agent.flat_map(own::Part::into_words));
    if !is_placed {
        words.extend(["--scope".to_owned(), "user".to_owned()]);
    }
    words.push("--".to_owned());
    Ok(words)
}

/// A server that is not run by the client.
struct Remote {
    name: String,
    url: String,
}

struct Changed {
    text: String,
    /// How many servers over stdio there are.
    servers: usize,
    remote: Vec<Remote>,
}

/// The configuration with these words in front of each server's command, or without any.
fn change(text: &str, own: Option<&[String]>) -> Result<Changed, String> {
    let root = json(Some(text))?;
    let mut changed = Changed { text: String::new(), servers: 0, remote: Vec::new() };
    for (name, server) in servers(&root) {
        let text_of = |key: &str| {
            let value = server.get(key)?.value()?.to_serde_value()?;
            value.as_str().map(str::to_owned)
        };
        match (text_of("command"), URLS.iter().find_map(|key| text_of(key))) {
            (Some(command), _) => {
                changed.servers += 1;
                let args = args(&server).map_err(|why| format!("the server {name}: {why}"))?;
                set(&server, own, &command, &args);
            }
            (None, Some(url)) => changed.remote.push(Remote { name, url }),
            (None, None) => {}
        }
    }
    changed.text = root.to_string();
    Ok(changed)
}

/// The servers with their names.
fn servers(root: &CstRootNode) -> Vec<(String, CstObject)> {
    let Some(top) = root.object_value() else { return Vec::new() };
    let at = |path: &[&str]| {
        path.iter().fold(vec![top.clone()], |objects, key| {
            let members = |object: &CstObject| match *key {
                "*" => object.properties().iter().filter_map(|member| member.object_value()).collect(),
                key => object.object_value(key).into_iter().collect::<Vec<_>>(),
            };
            objects.iter().flat_map(members).collect()
        })
    };
    let named = |servers: CstObject| {
        let named =
            |member: jsonc_parser::cst::CstObjectProp| Some((member.decoded_name()?, member.object_value()?));
        servers.properties().into_iter().filter_map(named).collect::<Vec<_>>()
    };
    PLACES.iter().flat_map(|path| at(path)).flat_map(named).collect()
}

/// The arguments of a server; none if it has no list of them.
fn args(server: &CstObject) -> Result<Option<Vec<String>>, String> {
    let value = server.get("args").and_then(|args| args.value()?.to_serde_value());
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(None) };
    let texts = |items: &Vec<Value>| items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
    value.as_array().and_then(texts).map(Some).ok_or_else(|| "`args` is no list of texts".to_owned())
}

/// How many of the arguments are this program's, up to the server's command; none if the command is another one.
fn own_args(command: &str, args: &[String]) -> Option<usize> {
    let begin = own::arguments_of("mcp", args).filter(|_| own::is_this(Path::new(command)))?;
    (args.len() > begin).then_some(begin)
}

/// A URL without what may be secret in it.
fn shown(url: &str) -> String {
    let masked = masked(url);
    match masked.find(['?', '#']) {
        Some(end) => format!("{}?…", &masked[..end]),
        None => masked,
    }
}

/// Sets the words in front of a server's command. What is there already stays untouched.
fn set(server: &CstObject, own: Option<&[String]>, command: &str, args: &Option<Vec<String>>) {
    let given = args.clone().unwrap_or_default();
    let skipped = own_args(command, &given).unwrap_or(0);
    let plain: Vec<String> =
        if skipped == 0 { [&[command.to_owned()], &given[..]].concat() } else { given[skipped..].to_vec() };
    let words = [own.unwrap_or_default(), &plain].concat();
    let Some((first, rest)) = words.split_first() else { return };
    if first == command && rest == given {
        return;
    }
    if let Some(member) = server.get("command") {
        member.set_value(CstInputValue::from(first.as_str()));
    }
    let list = |words: &[String]| {
        CstInputValue::Array(words.iter().map(|word| CstInputValue::from(word.as_str())).collect())
    };
    match (server.get("args"), server.get("command")) {
        (Some(member), _) if rest.is_empty() && skipped > 0 => member.remove(),
        (Some(member), _) => member.set_value(list(rest)),
        (None, Some(command)) => drop(server.insert(command.property_index() + 1, "args", list(rest))),
        (None, None) => {}
    }
}

/// Whether two configurations mean the same: no arguments, and a list without any, are the same to all clients.
fn is_same(one: &str, other: &str) -> bool {
    fn plain(value: &mut Value) {
        match value {
            Value::Object(members) => {
                let is_none = |args: &Value| args.is_null() || args == &Value::Array(Vec::new());
                if members.get("args").is_some_and(is_none) {
                    members.remove("args");
                }
                members.values_mut().for_each(plain);
            }
            Value::Array(items) => items.iter_mut().for_each(plain),
            _ => {}
        }
    }
    let parse = |text: &str| {
        let mut value: Value = serde_json::from_str(text).ok()?;
        plain(&mut value);
        Some(value)
    };
    parse(one).is_some_and(|one| parse(other) == Some(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Vec<String> {
        ["/bin/audit", "mcp", "--scope", "user", "--"].map(str::to_owned).into()
    }

    fn value(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn each_server_over_stdio_is_wrapped_once_and_unwrapped_to_what_it_was() {
        let before = r#"{
  "theme": "dark",
  "mcpServers": {
    "files": { "command": "npx", "args": ["-y", "files", "--", "."], "env": { "K": "v" }, "type": "stdio" },
    "plain": { "command": "my-server" },
    "web": { "url": "https://h/mcp", "headers": {} }
  }
}
"#;
        let wrapped = change(before, Some(&own())).unwrap();
        assert_eq!((wrapped.servers, wrapped.remote.len()), (2, 1));
        let servers = &value(&wrapped.text)["mcpServers"];
        assert_eq!(servers["files"]["command"], "/bin/audit");
        let args = serde_json::json!(["mcp", "--scope", "user", "--", "npx", "-y", "files", "--", "."]);
        assert_eq!((&servers["files"]["args"], &servers["files"]["env"]["K"]), (&args, &"v".into()));
        assert_eq!(
            servers["plain"]["args"],
            serde_json::json!(["mcp", "--scope", "user", "--", "my-server"])
        );
        assert_eq!(servers["web"], value(before)["mcpServers"]["web"]);
        assert!(wrapped.text.starts_with("{\n  \"theme\": \"dark\",\n"));
        assert_eq!(change(&wrapped.text, Some(&own())).unwrap().text, wrapped.text);
        let with_starts: Vec<String> = [&["audit".to_owned(), "--starts".to_owned()], &own()[1..]].concat();
        let again = change(&wrapped.text, Some(&with_starts)).unwrap().text;
        let unwrapped = change(&again, None).unwrap().text;
        assert_eq!(value(&unwrapped), value(before));
        assert_eq!(change(&unwrapped, None).unwrap().text, unwrapped);
    }

    #[test]
    fn the_configurations_of_other_clients_are_understood() {
        let server = r#"{"command": "s", "args": ["a"]}"#;
        for text in [
            format!(r#"{{"servers": {{"x": {server}}}, "inputs": []}}"#),
            format!(r#"{{"mcp": {{"servers": {{"x": {server}}}}}}}"#),
            format!(r#"{{"projects": {{"/a/b": {{"mcpServers": {{"x": {server}}}}}, "/c": {{}}}}}}"#),
        ] {
            let wrapped = change(&text, Some(&own())).unwrap();
            assert_eq!(wrapped.servers, 1, "{text}");
            assert_eq!(value(&change(&wrapped.text, None).unwrap().text), value(&text));
        }
        assert_eq!(change(r#"{"other": {"x": {"command": "s"}}}"#, Some(&own())).unwrap().servers, 0);
        assert!(change(r#"{"mcpServers": {"x": {"command": "s", "args": "a b"}}}"#, Some(&own())).is_err());
        assert!(change("{ // x\n}", Some(&own())).is_err());
    }

    #[test]
    fn only_commands_of_this_program_are_unwrapped() {
        for (command, args) in [
            ("audit", "[\"exec\", \"--\", \"s\"]"),
            ("my-audit", "[\"mcp\", \"--\", \"s\"]"),
            ("audit", "[\"exec\", \"--workspace\", \"mcp\", \"--\", \"s\"]"),
            ("audit", "[\"mcp\", \"--\"]"),
        ] {
            let text = format!(r#"{{"servers": {{"x": {{"command": "{command}", "args": {args}}}}}}}"#);
            assert_eq!(change(&text, None).unwrap().text, text);
        }
    }

    #[test]
    fn no_arguments_are_an_empty_list_of_them() {
        let text = r#"{"servers": {"x": {"command": "s", "args": null}, "y": {"httpUrl": "https://h/mcp"}}}"#;
        let wrapped = change(text, Some(&own())).unwrap();
        assert_eq!((wrapped.servers, wrapped.remote.len()), (1, 1));
        let expected = serde_json::json!(["mcp", "--scope", "user", "--", "s"]);
        assert_eq!(value(&wrapped.text)["servers"]["x"]["args"], expected);
        assert!(is_same(&change(&wrapped.text, None).unwrap().text, text));
    }

    #[test]
    fn a_command_of_this_program_is_wrapped_no_second_time_however_it_is_written() {
        let this = std::env::current_exe().unwrap();
        for args in [r#"["mcp", "s"]"#, r#"["mcp", "--starts", "s"]"#, r#"["--dir", "/d", "mcp", "--", "s"]"#]
        {
            let text = format!(r#"{{"servers": {{"x": {{"command": {this:?}, "args": {args}}}}}}}"#);
            let wrapped = change(&text, Some(&own())).unwrap().text;
            assert_eq!(
                value(&wrapped)["servers"]["x"]["args"],
                serde_json::json!(["mcp", "--scope", "user", "--", "s"])
            );
            let plain = serde_json::json!({"servers": {"x": {"command": "s"}}});
            assert_eq!(value(&change(&text, None).unwrap().text), plain);
        }
    }

    #[test]
    fn a_url_is_shown_without_secrets() {
        assert_eq!(shown("https://u:p@h/mcp?api_key=SECRET#x"), "https://…@h/mcp?…");
        assert_eq!(own::quoted(&shown("https://h/mcp?api_key=SECRET")), "'https://h/mcp?…'");
        assert_eq!(own::quoted(&shown("https://h/m c;p")), "'https://h/m c;p'");
    }

    #[test]
    fn configurations_that_mean_the_same_are_the_same() {
        assert!(is_same(r#"{"x":{"args":[]}}"#, r#"{ "x": {} }"#));
        assert!(!is_same(r#"{"x":{"args":[1]}}"#, r#"{"x":{}}"#));
    }
}
