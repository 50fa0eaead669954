//! The transcripts of Codex CLI, its rollouts: lines with a time, a kind and a payload. Source: `ResponseItem` and `EventMsg`
//! in codex-rs/protocol of openai/codex.

use std::time::Duration;

use serde_json::Value;

use super::transcript::{Calls, End, Transcript, Unread, first_text, text, time};
use crate::call::input::Input;
use crate::call::sketch::{Path, Sketch, Want, Wanted};
use crate::call::{Call, Outcome};
use crate::hook::tool_and_action;

const WANTED: &[Wanted] = &[
    (&["payload", "arguments"], Want::Input),
    (&["payload", "input"], Want::Input),
    (&["payload", "action"], Want::Input),
    (&["payload", "output"], Want::Size),
];

const KEPT: &[Path] = &[
    &["type"],
    &["timestamp"],
    &["payload", "type"],
    &["payload", "id"],
    &["payload", "call_id"],
    &["payload", "name"],
    &["payload", "cli_version"],
    &["payload", "cwd"],
    &["payload", "model"],
    &["payload", "turn_id"],
    &["payload", "status"],
    &["payload", "exit_code"],
    &["payload", "success"],
    &["payload", "duration", "secs"],
    &["payload", "duration", "nanos"],
    &["payload", "result", "Ok", "isError"],
    &["payload", "result", "Ok", "is_error"],
    &["payload", "output"],
];

#[derive(Default)]
pub(super) struct Codex {
    session: String,
    version: String,
    cwd: String,
    model: String,
    turn: String,
}

impl Transcript for Codex {
    fn wanted(&self) -> &'static [Wanted] {
        WANTED
    }

    fn kept(&self) -> &'static [Path] {
        KEPT
    }

    fn take(&mut self, line: &Sketch, calls: &mut Calls) -> Result<(), Unread> {
        match line.text("/type") {
            // A fork begins with a copy of its parent, whose head comes behind its own.
            "session_meta" if self.session.is_empty() => {
                self.session = line.text("/payload/id").to_owned();
                self.version = line.text("/payload/cli_version").to_owned();
                self.cwd = line.text("/payload/cwd").to_owned();
                Ok(())
            }
            "turn_context" => {
                let take = |place: &mut String, pointer: &str| {
                    let text = line.text(pointer);
                    if !text.is_empty() {
                        *place = text.to_owned();
                    }
                };
                take(&mut self.cwd, "/payload/cwd");
                take(&mut self.model, "/payload/model");
                take(&mut self.turn, "/payload/turn_id");
                Ok(())
            }
            "response_item" => self.item(line, calls),
            "event_msg" => {
                self.event(line, calls);
                Ok(())
            }
            "session_meta" | "compacted" => Ok(()),
            _ => Err(Unread::UnknownKind),
        }
    }
}

impl Codex {
    fn item(&self, line: &Sketch, calls: &mut Calls) -> Result<(), Unread> {
        let id = match line.text("/payload/call_id") {
            "" => line.text("/payload/id"),
            id => id,
        };
        let kind = line.text("/payload/type");
        let (name, arguments) = match kind {
            "function_call" => (line.text("/payload/name"), "/payload/arguments"),
            "custom_tool_call" => (line.text("/payload/name"), "/payload/input"),
            "local_shell_call" => ("local_shell", "/payload/action"),
            "tool_search_call" => ("tool_search", "/payload/arguments"),
            "function_call_output" | "custom_tool_call_output" | "tool_search_output" if id.is_empty() => {
                return Err(Unread::NoId);
            }
            "function_call_output" | "custom_tool_call_output" | "tool_search_output" => {
                calls.ended(id, end(line));
                return Ok(());
            }
            _ => return Ok(()),
        };
        if id.is_empty() {
            return Err(Unread::NoId);
        }
        let input = line.measured(arguments).and_then(|found| found.input.clone());
        calls.began(self.call(line, id, name, input), &self.cwd);
        Ok(())
    }

    fn call(&self, line: &Sketch, id: &str, name: &str, input: Option<Input>) -> Call {
        let (tool, action) = tool_and_action(name);
        Call {
            began: time(line, "/timestamp"),
            session: self.session.clone(),
            id: id.to_owned(),
            agent: "codex".into(),
            turn: self.turn.clone(),
            tool: tool.to_owned(),
            action: action.to_owned(),
            input,
            attributes: vec![
                ("source", "transcript".into()),
                ("source_version", self.version.clone()),
                ("model", self.model.clone()),
            ],
            ..Call::default()
        }
    }

    /// What beside the results says how calls ended. Not all versions keep it.
    fn event(&self, line: &Sketch, calls: &mut Calls) {
        let Some(payload) = line.value.get("payload") else { return };
        let id = text(payload, "call_id");
        let of = |is_ok: bool| if is_ok { Outcome::Ok } else { Outcome::Error };
        let outcome = match text(payload, "type") {
            "turn_aborted" => return calls.interrupted(time(line, "/timestamp")),
            "exec_command_end" | "patch_apply_end" if text(payload, "status") == "declined" => {
                Outcome::Denied
            }
            "exec_command_end" => match payload.get("exit_code").and_then(Value::as_i64) {
                Some(code) => of(code == 0),
                None => return,
            },
            "patch_apply_end" => match payload.get("success").and_then(Value::as_bool) {
                Some(success) => of(success),
                None => return,
            },
            "mcp_tool_call_end" => {
                let is_error = ["/result/Ok/isError", "/result/Ok/is_error"];
                let is_error =
                    is_error.iter().filter_map(|at| payload.pointer(at)).any(|is| is == &Value::Bool(true));
                of(payload.pointer("/result/Ok").is_some() && !is_error)
            }
            _ => return,
        };
        let duration = payload.get("duration").and_then(duration);
        calls.told(id, time(line, "/timestamp"), outcome, duration);
    }
}

/// A duration as Rust's serde writes it.
fn duration(value: &Value) -> Option<Duration> {
    let secs = value.get("secs")?.as_u64()?;
    let nanos = value.get("nanos")?.as_u64()?;
    Duration::from_secs(secs).checked_add(Duration::from_nanos(nanos))
}

fn end(line: &Sketch) -> End {
    let output = line.value.pointer("/payload/output").unwrap_or(&Value::Null);
    let size = line.measured("/payload/output").map_or(0, |found| found.size);
    End { at: time(line, "/timestamp"), outcome: outcome(first_text(output)), out_size: size, error_type: "" }
}

/// What the text of an output says about the outcome. Only some tools tell it. The exit code of a command comes first: what
/// the command has printed says nothing.
fn outcome(output: &str) -> Outcome {
    let text = output.trim();
    let head = text.lines().take_while(|line| *line != "Output:").take(MAX_HEAD);
    let exit_code = head.filter_map(|line| {
        let code =
            line.strip_prefix("Exit code: ").or_else(|| line.strip_prefix("Process exited with code "))?;
        code.trim().parse::<i64>().ok()
    });
    let of_json = || serde_json::from_str::<Value>(text).ok()?.pointer("/metadata/exit_code")?.as_i64();
    match exit_code.chain(of_json()).next() {
        Some(0) => Outcome::Ok,
        Some(_) => Outcome::Error,
        None if DENIALS.contains(&text) || text.starts_with(RISK) => Outcome::Denied,
        None if is_aborted(text) => Outcome::Cancelled,
        None => Outcome::Unknown,
    }
}

/// How many lines may be before those of the command.
const MAX_HEAD: usize = 6;

/// What Codex itself says of calls that were not allowed.
const DENIALS: [&str; 3] = ["rejected by user", "exec command rejected by user", "patch rejected by user"];

/// The reason follows.
const RISK: &str = "This action was rejected due to unacceptable risk.";

/// Whether the text is what Codex says of a call that was broken off: when that was, or how long it took.
fn is_aborted(text: &str) -> bool {
    let is_seconds = |text: &str| text.strip_suffix('s').is_some_and(|number| number.parse::<f64>().is_ok());
    let is_time = |line: &str| {
        line.strip_prefix("Wall time: ").and_then(|time| time.strip_suffix(" seconds")).is_some()
    };
    match text.split_once('\n') {
        None => {
            text == "aborted by user" || text.strip_prefix("aborted by user after ").is_some_and(is_seconds)
        }
        Some((first, rest)) => is_time(first) && rest == "aborted by user",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_tells_the_outcome_or_not() {
        for (output, expected) in [
            ("Exit code: 0\nWall time: 0.1 seconds\nOutput:\nx", Outcome::Ok),
            ("Chunk ID: 1\nWall time: 1.2 seconds\nProcess exited with code 2\nOutput:\n", Outcome::Error),
            (r#"{"output":"x","metadata":{"exit_code":0,"duration_seconds":0.1}}"#, Outcome::Ok),
            (r#"{"output":"x","metadata":{"exit_code":101}}"#, Outcome::Error),
            ("exec command rejected by user", Outcome::Denied),
            ("This action was rejected due to unacceptable risk.", Outcome::Denied),
            ("aborted by user after 5.0s", Outcome::Cancelled),
            ("Wall time: 3.0 seconds\naborted by user", Outcome::Cancelled),
            ("Exit code: 1\nOutput:\nthe plan was rejected by user", Outcome::Error),
            ("Exit code: 0\nOutput:\nx\naborted by user", Outcome::Ok),
            ("Output:\nExit code: 0", Outcome::Unknown),
            ("I read a page: the proposal was\nrejected by user", Outcome::Unknown),
            ("aborted by user after all", Outcome::Unknown),
            ("This action was rejected", Outcome::Unknown),
            ("Plan updated", Outcome::Unknown),
            ("", Outcome::Unknown),
        ] {
            assert_eq!(outcome(output), expected, "{output}");
        }
    }
}
