//! Gemini CLI. Its hooks have no identifier of the call.

use super::{Call, Hook, Outcome, Told};

pub(super) fn told(hook: Hook<'_>) -> Told {
    let event = hook.text(&["/hook_event_name"]);
    let mut call = hook.call(hook.text(&["/tool_name"]), &["/tool_input"]);
    call.session = hook.text(&["/session_id"]).to_owned();
    let (server, tool) = (hook.text(&["/mcp_context/server_name"]), hook.text(&["/mcp_context/tool_name"]));
    if !server.is_empty() {
        if !tool.is_empty() {
            (call.tool, call.action) = (server.to_owned(), tool.to_owned());
        }
        call.attributes.retain(|(key, _)| *key != "server");
        call.attributes.push(("server", server.to_owned()));
    }
    call.out_size = hook.size(&["/tool_response"]);
    match event {
        "BeforeTool" => Told::Began(call),
        "AfterTool" => {
            let failed = hook.is_set("/tool_response/error");
            call.attributes.push(("error_type", hook.text(&["/tool_response/error/type"]).to_owned()));
            Told::Ended(Call { outcome: if failed { Outcome::Error } else { Outcome::Ok }, ..call })
        }
        other => Told::Other(other.to_owned()),
    }
}
