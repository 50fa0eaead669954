//! GitHub Copilot CLI and cloud agent, and Copilot in VS Code. Their hooks have several forms: that of event names like
//! `postToolUse`, in which no field says which event it is, and those of names like `PostToolUse`, with the field names of other
//! agents.

use super::{Call, Hook, Outcome, Told};

pub(super) fn told(hook: Hook<'_>) -> Told {
    let tool = hook.text(&["/toolName", "/tool_name"]);
    let event = hook.text(&["/hook_event_name", "/hookEventName"]);
    if tool.is_empty() {
        return Told::Other(event.to_owned());
    }
    let mut call = hook.call(tool, &["/toolArgs", "/tool_input"]);
    call.session = hook.text(&["/sessionId", "/session_id"]).to_owned();
    call.id = hook.text(&["/toolCallId", "/tool_call_id", "/tool_use_id"]).to_owned();
    call.out_size = hook.size(&[
        "/toolResult/textResultForLlm",
        "/tool_result/text_result_for_llm",
        "/tool_response",
        "/error",
    ]);
    let results = ["/toolResult", "/tool_result", "/tool_response"];
    let has_ended = results.iter().any(|result| hook.value(result).is_some());
    let kind = hook.text(&["/toolResult/resultType", "/tool_result/result_type"]);
    let outcome = match kind {
        _ if hook.value("/error").is_some() || event == "PostToolUseFailure" || hook.is_error() => {
            Outcome::Error
        }
        "success" => Outcome::Ok,
        "failure" | "error" => Outcome::Error,
        "denied" | "rejected" => Outcome::Denied,
        "timeout" => Outcome::Timeout,
        "cancelled" | "aborted" => Outcome::Cancelled,
        _ if has_ended || event == "PostToolUse" => Outcome::Unknown,
        _ if matches!(event, "" | "PreToolUse") => return Told::Began(call),
        _ => return Told::Other(event.to_owned()),
    };
    Told::Ended(Call { outcome, ..call })
}
