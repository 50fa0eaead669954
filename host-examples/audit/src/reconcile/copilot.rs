//! The event logs of GitHub Copilot CLI. Source: "Streaming events" of GitHub's documentation of the Copilot SDK, whose persisted
//! events are the lines of `events.jsonl`.

use std::path::Path as FilePath;

use serde_json::Value;

use super::transcript::{Calls, End, Transcript, Unread, time};
use crate::call::sketch::{Path, Sketch, Want, Wanted};
use crate::call::{Call, Outcome};
use crate::hook::tool_and_action;

const WANTED: &[Wanted] = &[(&["data", "arguments"], Want::Input), (&["data", "result"], Want::Size)];

const KEPT: &[Path] = &[
    &["type"],
    &["timestamp"],
    &["data", "sessionId"],
    &["data", "copilotVersion"],
    &["data", "context", "cwd"],
    &["data", "selectedModel"],
    &["data", "newModel"],
    &["data", "model"],
    &["data", "turnId"],
    &["data", "toolCallId"],
    &["data", "toolName"],
    &["data", "mcpServerName"],
    &["data", "mcpToolName"],
    &["data", "success"],
    &["data", "error", "code"],
];

pub(super) struct Copilot {
    session: String,
    version: String,
    cwd: String,
    model: String,
}

impl Copilot {
    pub(super) fn new(path: &FilePath) -> Self {
        // The folder has the name of the session.
        let folder = path.parent().and_then(FilePath::file_name);
        let session = folder.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Self { session, version: String::new(), cwd: String::new(), model: String::new() }
    }

    fn call(&self, line: &Sketch) -> Call {
        let (tool, action) = match (line.text("/data/mcpServerName"), line.text("/data/mcpToolName")) {
            ("", _) | (_, "") => tool_and_action(line.text("/data/toolName")),
            named => named,
        };
        let model = match line.text("/data/model") {
            "" => &self.model,
            model => model,
        };
        Call {
            began: time(line, "/timestamp"),
            session: self.session.clone(),
            id: line.text("/data/toolCallId").to_owned(),
            agent: "copilot".into(),
            turn: line.text("/data/turnId").to_owned(),
            tool: tool.to_owned(),
            action: action.to_owned(),
            input: line.measured("/data/arguments").and_then(|found| found.input.clone()),
            attributes: vec![
                ("source", "transcript".into()),
                ("source_version", self.version.clone()),
                ("model", model.to_owned()),
            ],
            ..Call::default()
        }
    }
}

impl Transcript for Copilot {
    fn wanted(&self) -> &'static [Wanted] {
        WANTED
    }

    fn kept(&self) -> &'static [Path] {
        KEPT
    }

    fn take(&mut self, line: &Sketch, calls: &mut Calls) -> Result<(), Unread> {
        let mut take = |place: fn(&mut Self) -> &mut String, pointer: &str| {
            let text = line.text(pointer);
            if !text.is_empty() {
                *place(self) = text.to_owned();
            }
        };
        match line.text("/type") {
            "session.start" | "session.resume" => {
                take(|log| &mut log.session, "/data/sessionId");
                take(|log| &mut log.version, "/data/copilotVersion");
                take(|log| &mut log.cwd, "/data/context/cwd");
                take(|log| &mut log.model, "/data/selectedModel");
            }
            "session.model_change" => take(|log| &mut log.model, "/data/newModel"),
            "tool.execution_start" | "tool.execution_complete"
                if line.text("/data/toolCallId").is_empty() =>
            {
                return Err(Unread::NoId);
            }
            "tool.execution_start" => calls.began(self.call(line), &self.cwd),
            "tool.execution_complete" => calls.ended(line.text("/data/toolCallId"), end(line)),
            "abort" => calls.interrupted(time(line, "/timestamp")),
            kind if kind.contains('.') => {}
            _ => return Err(Unread::UnknownKind),
        }
        Ok(())
    }
}

fn end(line: &Sketch) -> End {
    let outcome = match line.value.pointer("/data/success").and_then(Value::as_bool) {
        Some(true) => Outcome::Ok,
        Some(false) => match line.text("/data/error/code") {
            "denied" | "rejected" => Outcome::Denied,
            "cancelled" | "canceled" | "aborted" => Outcome::Cancelled,
            _ => Outcome::Error,
        },
        None => Outcome::Unknown,
    };
    let size = line.measured("/data/result").map_or(0, |found| found.size);
    End { at: time(line, "/timestamp"), outcome, out_size: size, error_type: "" }
}
