//! The options of `audit otlp`.

use std::net::SocketAddr;

use clap::{Args, value_parser};

use super::calls::HashArgs;
use super::fields::text;

/// An address to listen on. A name is none: it can stand for several.
fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "accepted is an IP address with a port, such as 127.0.0.1:4318 for this machine alone, or [::1]:4318".to_owned()
    })
}

const HELP: &str = "\
Examples:
  audit otlp
  audit --scope user otlp --workspace shop --wait 500
  audit otlp --listen 127.0.0.1:4418 --forward https://collector.example.org

In the environment of the agent:
  OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
Claude Code also needs CLAUDE_CODE_ENABLE_TELEMETRY=1 OTEL_LOGS_EXPORTER=otlp.

This is a receiver of OTLP over HTTP, as Protobuf or JSON, compressed or not. It records the spans and log records that tell of \
a call of a tool: those of OpenTelemetry's conventions for generative AI and MCP, of OpenInference, OpenLLMetry and LangSmith, \
and those of Claude Code, Codex and Gemini CLI. All others, and metrics, are accepted and forgotten. Of arguments and results, \
size and hash are recorded, and no contents.

One call that is seen several times (as the span of the agent, of the MCP client and of the MCP server, or as a span and a \
log record) is one event. An answer of 200 means that all calls of the request are recorded. While the store takes no \
events, the answer is 503, and exporters try again.

With --forward, each request is passed on as it came, once its calls are recorded. The client gets the collector's answer, so \
that it tries again where the collector wants it to. What it then sends again is recorded once.

Web pages are refused. SIGINT and SIGTERM end the program, once all that has come is recorded; a second one ends it at once.

Exit status: 0 when it is told to end; 2 if the options are invalid, it cannot listen, or the store cannot be used.";

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct OtlpArgs {
    /// Where to listen; port 0 chooses a free one, which the first line on stderr names
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:4318", value_parser = address)]
    pub(crate) listen: SocketAddr,
    /// Pass each request on to this collector, whose own path is appended: http(s)://HOST:PORT
    #[arg(long, value_name = "URL")]
    pub(crate) forward: Option<String>,
    /// How many milliseconds a span of MCP waits for the span of the agent's call that it belongs to; its request is answered
    /// after that
    #[arg(long, value_name = "MS", default_value_t = 1000, value_parser = value_parser!(u64).range(..=10_000))]
    pub(crate) wait: u64,
    /// The workspace (`workspace_id`) of calls whose source tells none
    #[arg(long, value_name = "TEXT", value_parser = text(), help_heading = "Fields of the event")]
    pub(crate) workspace: Option<String>,
    /// The agent (`agent_id`) of calls whose source tells none [default: the source's service.name]
    #[arg(long, value_name = "TEXT", value_parser = text(), help_heading = "Fields of the event")]
    pub(crate) agent: Option<String>,
    /// The user (`user_id`) of calls whose source tells none
    #[arg(long, value_name = "TEXT", value_parser = text(), help_heading = "Fields of the event")]
    pub(crate) user: Option<String>,
    #[command(flatten)]
    pub(crate) hash: HashArgs,
}
