//! Kiro CLI. Its hooks have no identifier of the call, and some no session.

use super::{Call, Hook, Outcome, Told};

pub(super) fn told(hook: Hook<'_>) -> Told {
    let mut call = hook.call(hook.text(&["/tool_name"]), &["/tool_input"]);
    call.session = hook.text(&["/session_id", "/conversation_id"]).to_owned();
    call.out_size = hook.size(&["/tool_response"]);
    match hook.text(&["/hook_event_name"]) {
        "preToolUse" => Told::Began(call),
        "postToolUse" => {
            let success = hook.value("/tool_response/success").and_then(serde_json::Value::as_bool);
            let outcome = match success {
                Some(true) => Outcome::Ok,
                Some(false) => Outcome::Error,
                None => Outcome::Unknown,
            };
            Told::Ended(Call { outcome, ..call })
        }
        other => Told::Other(other.to_owned()),
    }
}
