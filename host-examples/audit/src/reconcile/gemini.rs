//! The chats of Gemini CLI: metadata, and messages, each of which is written again whenever it has changed. Source:
//! packages/core/src/services/chatRecordingService.ts of google-gemini/gemini-cli.

use std::fs;
use std::path::Path as FilePath;

use audit_format::time::Timestamp;
use serde_json::Value;

use super::transcript::{Calls, End, Transcript, Unread, text, time};
use crate::call::sketch::{Path, Sketch, Want, Wanted};
use crate::call::{Call, Outcome};
use crate::hook::tool_and_action;

const WANTED: &[Wanted] =
    &[(&["toolCalls", "*", "args"], Want::Input), (&["toolCalls", "*", "result"], Want::Size)];

const KEPT: &[Path] = &[
    &["sessionId"],
    &["$set", "sessionId"],
    &["$rewindTo"],
    &["type"],
    &["timestamp"],
    &["model"],
    &["toolCalls", "*", "id"],
    &["toolCalls", "*", "name"],
    &["toolCalls", "*", "status"],
    &["toolCalls", "*", "timestamp"],
    &["toolCalls", "*", "agentId"],
];

/// The file of a project's folder that has the path of the project.
const PROJECT_ROOT: &str = ".project_root";

/// The longest path that it may have, in bytes.
const MAX_PATH: usize = 4096;

pub(super) struct Gemini {
    session: String,
    cwd: String,
}

impl Gemini {
    pub(super) fn new(path: &FilePath) -> Self {
        let chats = path.ancestors().find(|folder| folder.file_name().is_some_and(|name| name == "chats"));
        let root = chats.and_then(FilePath::parent).map(|project| project.join(PROJECT_ROOT));
        let is_short = |path: &FilePath| fs::metadata(path).is_ok_and(|file| file.len() <= MAX_PATH as u64);
        let root = root.filter(|path| is_short(path)).and_then(|path| fs::read_to_string(path).ok());
        Self { session: String::new(), cwd: root.unwrap_or_default().trim().to_owned() }
    }

    fn call(&self, line: &Sketch, number: usize, told: &Value) -> Call {
        let (tool, action) = tool_and_action(text(told, "name"));
        let agent = match text(told, "agentId") {
            "" => "gemini-cli".to_owned(),
            id => format!("gemini-cli:{id}"),
        };
        let began = Timestamp::parse(text(told, "timestamp")).ok().or_else(|| time(line, "/timestamp"));
        Call {
            began,
            session: self.session.clone(),
            id: text(told, "id").to_owned(),
            agent,
            tool: tool.to_owned(),
            action: action.to_owned(),
            input: line.measured(&format!("/toolCalls/{number}/args")).and_then(|found| found.input.clone()),
            attributes: vec![("source", "transcript".into()), ("model", line.text("/model").into())],
            ..Call::default()
        }
    }
}

impl Transcript for Gemini {
    fn wanted(&self) -> &'static [Wanted] {
        WANTED
    }

    fn kept(&self) -> &'static [Path] {
        KEPT
    }

    fn take(&mut self, line: &Sketch, calls: &mut Calls) -> Result<(), Unread> {
        for pointer in ["/sessionId", "/$set/sessionId"] {
            let session = line.text(pointer);
            if !session.is_empty() {
                self.session = session.to_owned();
            }
        }
        let has = |key| line.value.get(key).is_some();
        if has("sessionId") || has("$set") || has("$rewindTo") {
            return Ok(());
        }
        match line.text("/type") {
            "gemini" => {}
            "user" | "info" | "error" | "warning" => return Ok(()),
            _ => return Err(Unread::UnknownKind),
        }
        let told = line.value.get("toolCalls").and_then(Value::as_array).into_iter().flatten();
        for (number, told) in told.enumerate() {
            let id = text(told, "id");
            if id.is_empty() {
                return Err(Unread::NoId);
            }
            calls.began(self.call(line, number, told), &self.cwd);
            let outcome = match text(told, "status") {
                "success" => Outcome::Ok,
                "error" => Outcome::Error,
                "cancelled" => Outcome::Cancelled,
                // It still runs, or waits to be allowed: the message is written again.
                _ => continue,
            };
            let size = line.measured(&format!("/toolCalls/{number}/result")).map_or(0, |found| found.size);
            // The time of the record is that of the call; when it ended is not told.
            calls.ended(id, End { at: None, outcome, out_size: size, error_type: "" });
        }
        Ok(())
    }
}
