"""An MCP client of the Python SDK. Arguments: `legacy` or a revision, then a URL, or a command and its arguments. Prints what
it got as one line of JSON."""

import asyncio
import json
import os
import sys

from mcp import Client, StdioServerParameters
from mcp import types

mode, first, *rest = sys.argv[1:]


async def answer(context, params):
    return types.ElicitResult(action="accept", content={"name": "Ärger 😀"})


async def main():
    server = first if first.startswith("http") else StdioServerParameters(command=first, args=rest, env=dict(os.environ))
    info = types.Implementation(name="python", version="3.4")
    got = {}
    async with Client(server, mode=mode, client_info=info, elicitation_callback=answer) as client:
        got["revision"] = client.protocol_version
        got["tools"] = len((await client.list_tools()).tools)
        got["add"] = (await client.call_tool("add", {"a": 1, "b": 2})).content[0].text
        got["broken"] = (await client.call_tool("broken", {})).is_error
        if mode != "legacy":
            got["ask"] = (await client.call_tool("ask", {"n": 7})).content[0].text
        try:
            async with asyncio.timeout(0.3):
                await client.call_tool("slow", {"seconds": 3})
        except TimeoutError:
            got["cancelled"] = True
        got["again"] = (await client.call_tool("add", {"a": 3, "b": 4})).content[0].text
    print(json.dumps(got))


asyncio.run(main())
