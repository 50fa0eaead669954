//! Claude Code, and Codex CLI, whose hooks have the same form but for a few fields.

use super::{Agent, Call, Hook, Outcome, Told};

pub(super) fn told(hook: Hook<'_>) -> Told {
    let event = hook.text(&["/hook_event_name"]);
    let mut call = hook.call(hook.text(&["/tool_name"]), &["/tool_input"]);
    call.session = hook.text(&["/session_id"]).to_owned();
    call.id = hook.text(&["/tool_use_id"]).to_owned();
    call.turn = hook.text(&["/prompt_id", "/turn_id"]).to_owned();
    call.node = hook.text(&["/agent_type"]).to_owned();
    let of_agent = hook.text(&["/agent_id", "/agent_type"]);
    if !of_agent.is_empty() {
        call.agent = format!("{}:{of_agent}", call.agent);
    }
    call.duration = hook.duration(&["/duration_ms"]);
    call.out_size = hook.size(&["/tool_response", "/error"]);
    call.attributes.extend([
        ("mode", hook.text(&["/permission_mode"]).to_owned()),
        ("model", hook.text(&["/model"]).to_owned()),
    ]);
    if call.action == super::NO_ACTION {
        call.attributes.push(("server", hook.text(&["/mcp_server/name"]).to_owned()));
    }
    match event {
        "PreToolUse" => Told::Began(call),
        "PostToolUse" => Told::Ended(Call { outcome: outcome(hook), ..call }),
        "PostToolUseFailure" if hook.is_set("/is_interrupt") => {
            Told::Ended(Call { outcome: Outcome::Cancelled, ..call })
        }
        "PostToolUseFailure" => Told::Ended(Call { outcome: Outcome::Error, ..call }),
        "PermissionDenied" => {
            call.attributes.push(("decision", "deny".to_owned()));
            Told::Ended(Call { outcome: Outcome::Denied, out_size: 0, ..call })
        }
        other => Told::Other(other.to_owned()),
    }
}

fn outcome(hook: Hook<'_>) -> Outcome {
    match hook.agent {
        // It runs this hook after failures too, and does not tell (openai/codex#34289).
        Agent::Codex => Outcome::Unknown,
        _ if hook.is_set("/tool_response/interrupted") => Outcome::Cancelled,
        _ if hook.is_error() => Outcome::Error,
        _ => Outcome::Ok,
    }
}
