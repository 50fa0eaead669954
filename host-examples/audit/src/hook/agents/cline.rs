//! Cline: the hooks of its program and those of its extension, which name the same things differently.

use serde_json::Value;

use super::{Call, Hook, Outcome, Told};

pub(super) fn told(hook: Hook<'_>) -> Told {
    let event = hook.text(&["/hookName"]);
    let tool = hook.text(&[
        "/tool_result/name",
        "/tool_call/name",
        "/postToolUse/toolName",
        "/preToolUse/toolName",
        "/postToolUse/tool",
        "/preToolUse/tool",
    ]);
    let inputs =
        ["/tool_result/input", "/tool_call/input", "/postToolUse/parameters", "/preToolUse/parameters"];
    let mut call = hook.call(tool, &inputs);
    call.session = hook.text(&["/taskId"]).to_owned();
    call.id = hook.text(&["/tool_result/id", "/tool_call/id"]).to_owned();
    call.user = hook.text(&["/userId"]).to_owned();
    call.duration = hook.duration(&["/tool_result/durationMs", "/postToolUse/executionTimeMs"]);
    call.out_size = match hook.is_set("/tool_result/error") {
        true => hook.size(&["/tool_result/error"]),
        false => hook.size(&["/tool_result/output", "/postToolUse/result"]),
    };
    call.attributes.push(("source_version", hook.text(&["/clineVersion"]).to_owned()));
    match event {
        "tool_call" | "PreToolUse" => Told::Began(call),
        "tool_result" | "PostToolUse" => {
            let success = hook.value("/postToolUse/success").and_then(Value::as_bool);
            let failed = success == Some(false) || hook.is_set("/tool_result/error");
            Told::Ended(Call { outcome: if failed { Outcome::Error } else { Outcome::Ok }, ..call })
        }
        other => Told::Other(other.to_owned()),
    }
}
