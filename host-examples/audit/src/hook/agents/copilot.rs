//! GitHub Copilot CLI and cloud agent. Its hooks have two forms: that of event names like `postToolUse`, in which no field says
//! which event it is, and that of names like `PostToolUse`, with the field names of other agents.

use super::{Call, Hook, Outcome, Told};

pub(super) fn told(hook: Hook<'_>) -> Told {
    let tool = hook.text(&["/toolName", "/tool_name"]);
    let event = hook.text(&["/hook_event_name"]);
    if tool.is_empty() {
        return Told::Other(event.to_owned());
    }
    let mut call = hook.call(tool, &["/toolArgs", "/tool_input"]);
    call.session = hook.text(&["/sessionId", "/session_id"]).to_owned();
    call.id = hook.text(&["/toolCallId", "/tool_call_id", "/tool_use_id"]).to_owned();
    call.out_size =
        hook.size(&["/toolResult/textResultForLlm", "/tool_result/text_result_for_llm", "/error"]);
    let result = hook.value("/toolResult").or(hook.value("/tool_result"));
    let kind = hook.text(&["/toolResult/resultType", "/tool_result/result_type"]);
    let outcome = match kind {
        _ if hook.value("/error").is_some() || event == "PostToolUseFailure" => Outcome::Error,
        "success" => Outcome::Ok,
        "failure" | "error" => Outcome::Error,
        "denied" | "rejected" => Outcome::Denied,
        "timeout" => Outcome::Timeout,
        "cancelled" | "aborted" => Outcome::Cancelled,
        _ if result.is_some() || event == "PostToolUse" => Outcome::Unknown,
        _ if matches!(event, "" | "PreToolUse") => return Told::Began(call),
        _ => return Told::Other(event.to_owned()),
    };
    Told::Ended(Call { outcome, ..call })
}
