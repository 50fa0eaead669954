//! OpenCode, which has no hooks but plugins: what the plugin that `audit hook --install opencode` writes sends.

use super::{Call, Hook, Outcome, Told};

/// What the plugin says that it is.
pub(super) const SOURCE: &str = "opencode-plugin";

pub(super) fn told(hook: Hook<'_>) -> Told {
    let mut call = hook.call(hook.text(&["/tool"]), &["/args"]);
    call.session = hook.text(&["/sessionID"]).to_owned();
    call.id = hook.text(&["/callID"]).to_owned();
    call.duration = hook.duration(&["/duration_ms"]);
    call.out_size = hook.size(&["/output", "/error"]);
    let outcome = match hook.text(&["/event"]) {
        "tool.execute.before" => return Told::Began(call),
        "tool.execute.after" => Outcome::Ok,
        "tool.execute.error" => Outcome::Error,
        // It failed or was denied.
        "tool.execute.unknown" => Outcome::Unknown,
        other => return Told::Other(other.to_owned()),
    };
    Told::Ended(Call { outcome, ..call })
}
