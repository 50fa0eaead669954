"""An MCP server of the Python SDK, which speaks all revisions. Argument: a port, for HTTP."""

import sys

import anyio
from mcp import types
from mcp.server.mcpserver import Context, MCPServer

server = MCPServer("snake", version="2.3", log_level="ERROR")


@server.tool()
def add(a: int, b: int) -> str:
    return str(a + b)


@server.tool()
def broken() -> str:
    raise ValueError("broken")


@server.tool()
async def slow(seconds: float) -> str:
    await anyio.sleep(seconds)
    return "done"


@server.tool()
def ask(n: int, ctx: Context) -> str | types.InputRequiredResult:
    if ctx.input_responses is None:
        schema = {"type": "object", "properties": {"name": {"type": "string"}}}
        question = types.ElicitRequest(params=types.ElicitRequestFormParams(message="Who?", requested_schema=schema))
        return types.InputRequiredResult(input_requests={"who": question}, request_state="state")
    return f"{n} {ctx.input_responses['who'].content['name']}"


if len(sys.argv) > 1:
    server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
else:
    server.run()
