//! The options of `audit mcp`.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::http::Uri;
use clap::{ArgGroup, Args};

use super::CallArgs;

const HELP: &str = "\
Examples:
  audit mcp -- npx -y @modelcontextprotocol/server-filesystem .
  audit mcp --scope user --starts -- uvx mcp-server-git
  audit mcp --http 8080 --to https://mcp.example.org/mcp
  audit mcp --wrap .mcp.json

Put `audit mcp --` in front of the command of any MCP server. Its input, output, errors and exit status pass through \
unchanged and at once. Each call of a tool becomes one event: `tool` is the name of the tool, `action` the method, \
`agent_id` the name and version of the client, `graph_run_id` the session, and `server`, an attribute, the name and \
version of the server. `in_size` and `input_hash` are those of the arguments, `out_size` that of the result.

The `status` is `ok`; `error`, with `error_type` as an attribute (`tool_error` if the tool says so, else the JSON-RPC code, \
or `transport`); `cancelled`; `timeout`; `lost`, if no answer came before the server ended or the client left; or \
`unknown`. A tool whose definition differs from the one that was listed last is an event with the status `changed`, and a \
line on stderr.

With --http, clients connect to this program instead, and it passes on what they send to the server at --to. Only clients \
of this machine are served, unless --http names another address of it.

Nothing of this breaks a call: what cannot be recorded is a warning on stderr. Nor does it delay one, but for two seconds at most \
where messages come faster than they can be observed. With --fail-closed, it is the \
other way round: a call that cannot be recorded before it begins is answered with an error, and never reaches the server, nor does a message that a server may understand in another way.

Exit status: that of the server, as with `audit exec`; with --http, 0 after Ctrl-C or SIGTERM; 2 if the options are invalid, \
or a configuration cannot be changed.";

/// The options of a proxy over HTTP.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "HTTP")]
pub(crate) struct HttpArgs {
    /// Listen at this port of 127.0.0.1, or at this address and port, for clients over HTTP; port 0 stands for any
    #[arg(long, value_name = "LISTEN", value_parser = listen, requires = "to")]
    pub(crate) http: Option<SocketAddr>,
    /// The URL of the server
    #[arg(long, value_name = "URL", value_parser = server, requires = "http")]
    pub(crate) to: Option<Uri>,
    /// A name by which clients may call this program, beside those of this machine (the header `Host`); may be given several
    /// times
    #[arg(long, value_name = "NAME", requires = "http")]
    pub(crate) allow_host: Vec<String>,
    /// A web page that may call, such as https://inspector.example.org, beside those of this machine (the header `Origin`); may
    /// be given several times
    #[arg(long, value_name = "ORIGIN", requires = "http")]
    pub(crate) allow_origin: Vec<String>,
}

/// The options that put the proxy into a configuration.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Configurations")]
pub(crate) struct WrapArgs {
    /// Put this program in front of each server over stdio in the configuration of an MCP client: .mcp.json and
    /// ~/.claude.json of Claude Code, claude_desktop_config.json, .cursor/mcp.json, .vscode/mcp.json and the like. Other options
    /// become a part of the configured commands. Where none says whose record is meant, it is that of the user (--scope user)
    #[arg(long, value_name = "FILE")]
    pub(crate) wrap: Option<PathBuf>,
    /// Take that out of the configuration again
    #[arg(long, value_name = "FILE")]
    pub(crate) unwrap: Option<PathBuf>,
    /// Show the change of the configuration, and change nothing
    #[arg(long, conflicts_with_all = ["command", "http"])]
    pub(crate) dry_run: bool,
}

impl WrapArgs {
    /// The configuration, if one is to be changed.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.wrap.as_deref().or(self.unwrap.as_deref())
    }
}

#[derive(Debug, Args)]
#[command(after_help = HELP)]
#[command(group = ArgGroup::new("way").required(true).args(["command", "http", "wrap", "unwrap"]))]
pub(crate) struct McpArgs {
    /// Record every request, in both directions, not only calls of tools
    #[arg(long, help_heading = "What is recorded")]
    pub(crate) all: bool,
    /// The agent of a client that does not say who it is (`agent_id`)
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true,
        help_heading = "Fields of the event"
    )]
    pub(crate) agent: String,
    /// The workspace (`workspace_id`) [default: the name of the nearest folder upwards that has .git, else of this one]
    #[arg(long, value_name = "TEXT", help_heading = "Fields of the event")]
    pub(crate) workspace: Option<String>,
    /// The user (`user_id`) [default: that of the operating system]
    #[arg(long, value_name = "TEXT", help_heading = "Fields of the event")]
    pub(crate) user: Option<String>,
    #[command(flatten)]
    pub(crate) calls: CallArgs,
    #[command(flatten)]
    pub(crate) http: HttpArgs,
    #[command(flatten)]
    pub(crate) wrap: WrapArgs,
    /// How many seconds the server may take to end once the client has closed its input and no more output comes. Then it gets
    /// SIGTERM, and two seconds later SIGKILL
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "5", help_heading = "Stdio")]
    pub(crate) grace: Duration,
    /// The command of the server and its arguments
    #[arg(trailing_var_arg = true, value_name = "COMMAND", help_heading = "Stdio")]
    pub(crate) command: Vec<OsString>,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.0..=86_400.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "accepted is a number from 0 to 86400".into())
}

/// A port of this machine, or an address and a port.
fn listen(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse() {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    text.parse().map_err(|_| {
        "accepted is a port such as 8080, or an address and a port such as 127.0.0.1:8080".into()
    })
}

/// The URL of a server.
fn server(text: &str) -> Result<Uri, String> {
    let uri: Option<Uri> = text.parse().ok();
    let is_http = |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https"));
    let plain = |uri: &Uri| uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    uri.filter(|uri| is_http(uri) && plain(uri)).ok_or_else(|| {
        "accepted is http:// or https:// with a host and a path, such as https://mcp.example.org/mcp, without a password".into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_one_of_this_machine() {
        assert_eq!(listen("8080").unwrap().to_string(), "127.0.0.1:8080");
        assert_eq!(listen("0").unwrap().to_string(), "127.0.0.1:0");
        assert_eq!(listen("[::1]:80").unwrap().to_string(), "[::1]:80");
        assert!(listen("localhost").is_err() && listen("70000").is_err());
    }

    #[test]
    fn a_server_is_a_url_of_http() {
        assert!(server("https://mcp.example.org/mcp").is_ok() && server("http://127.0.0.1:3001").is_ok());
        for wrong in ["mcp.example.org", "/mcp", "ftp://h/", "https://user:secret@h/mcp"] {
            assert!(server(wrong).is_err(), "{wrong}");
        }
    }
}
