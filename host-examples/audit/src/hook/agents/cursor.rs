//! Cursor.

use super::{Call, Hook, Outcome, Told};

pub(super) fn told(hook: Hook<'_>) -> Told {
    let event = hook.text(&["/hook_event_name"]);
    let mut call = hook.call(hook.text(&["/tool_name"]), &["/tool_input"]);
    call.session = hook.text(&["/conversation_id", "/session_id"]).to_owned();
    call.id = hook.text(&["/tool_use_id"]).to_owned();
    call.turn = hook.text(&["/generation_id"]).to_owned();
    call.user = hook.text(&["/user_email"]).to_owned();
    call.duration = hook.duration(&["/duration", "/duration_ms"]);
    call.out_size = hook.size(&["/tool_output", "/tool_response", "/error_message"]);
    call.attributes.extend([
        ("model", hook.text(&["/model"]).to_owned()),
        ("source_version", hook.text(&["/cursor_version"]).to_owned()),
    ]);
    let failure = hook.text(&["/failure_type"]);
    let is_failure = !failure.is_empty() || event == "postToolUseFailure";
    match event {
        "preToolUse" | "PreToolUse" => Told::Began(call),
        // Cursor also runs the hooks of Claude Code's settings, by their names.
        "postToolUse" | "PostToolUse" | "postToolUseFailure" | "PostToolUseFailure" | "" => {
            let outcome = match failure {
                _ if hook.is_set("/is_interrupt") => Outcome::Cancelled,
                "timeout" => Outcome::Timeout,
                "permission_denied" => Outcome::Denied,
                _ if is_failure || event == "PostToolUseFailure" => Outcome::Error,
                _ if event.is_empty() && hook.value("/tool_output").is_none() => {
                    return Told::Other(String::new());
                }
                _ => Outcome::Ok,
            };
            call.attributes.push(("error_type", failure.to_owned()));
            Told::Ended(Call { outcome, ..call })
        }
        other => Told::Other(other.to_owned()),
    }
}
