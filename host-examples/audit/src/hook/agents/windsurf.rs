//! Windsurf. Its hooks have no identifier of the call, and do not tell whether it failed.

use super::{Call, Hook, Told};

pub(super) fn told(hook: Hook<'_>) -> Told {
    let name = hook.text(&["/agent_action_name"]);
    let (is_end, action) = match (name.strip_prefix("post_"), name.strip_prefix("pre_")) {
        (Some(action), _) => (true, action),
        (None, Some(action)) => (false, action),
        (None, None) => return Told::Other(name.to_owned()),
    };
    let mut call = match action {
        "mcp_tool_use" => {
            let server = hook.text(&["/tool_info/mcp_server_name"]);
            let tool = hook.text(&["/tool_info/mcp_tool_name"]);
            let call = hook.call("", &["/tool_info/mcp_tool_arguments"]);
            match server.is_empty() {
                false => {
                    let attributes = [call.attributes, vec![("server", server.to_owned())]].concat();
                    Call { tool: server.to_owned(), action: tool.to_owned(), attributes, ..call }
                }
                true => Call { tool: tool.to_owned(), action: "call".to_owned(), ..call },
            }
        }
        "run_command" | "write_code" | "read_code" => hook.call(action, &["/tool_info"]),
        _ => return Told::Other(name.to_owned()),
    };
    call.session = hook.text(&["/trajectory_id"]).to_owned();
    call.turn = hook.text(&["/execution_id"]).to_owned();
    call.out_size = hook.size(&["/tool_info/mcp_result"]);
    call.attributes.push(("model", hook.text(&["/model_name"]).to_owned()));
    if is_end { Told::Ended(call) } else { Told::Began(call) }
}
