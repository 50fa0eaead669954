//! Goose.

use super::{Call, Hook, Outcome, Told};

pub(super) fn told(hook: Hook<'_>) -> Told {
    let mut call = hook.call(hook.text(&["/tool_name"]), &["/tool_input"]);
    call.session = hook.text(&["/session_id"]).to_owned();
    call.id = hook.text(&["/tool_call_id"]).to_owned();
    call.out_size = hook.size(&["/tool_output", "/tool_response", "/error"]);
    match hook.text(&["/event", "/hook_event_name"]) {
        "PreToolUse" => Told::Began(call),
        "PostToolUse" if hook.is_error() => Told::Ended(Call { outcome: Outcome::Error, ..call }),
        "PostToolUse" => Told::Ended(Call { outcome: Outcome::Ok, ..call }),
        "PostToolUseFailure" => Told::Ended(Call { outcome: Outcome::Error, ..call }),
        "PreToolUseResult" if hook.text(&["/decision"]) == "allow" => Told::Began(call),
        // What another plugin has denied never gets to the two events above.
        "PreToolUseResult" if hook.text(&["/decision"]) == "deny" => {
            call.attributes.extend([
                ("decision", "deny".to_owned()),
                ("decision_source", hook.text(&["/blocked_by"]).to_owned()),
            ]);
            Told::Ended(Call { outcome: Outcome::Denied, ..call })
        }
        other => Told::Other(other.to_owned()),
    }
}
