"""An MCP server over stdio that does what the name of the tool says."""

import json
import os
import signal
import sys
import time

arguments = set(sys.argv[1:])
received = []


def say(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def answer(request, **outcome):
    say({"jsonrpc": "2.0", "id": request["id"], **outcome})


def call(request):
    params = request["params"]
    name, given = params["name"], params.get("arguments", {})
    if name == "bad":
        answer(request, result={"content": [], "isError": True})
    elif name == "fail":
        answer(request, error={"code": -32602, "message": "no"})
    elif name == "silent":
        pass
    elif name == "die":
        os._exit(3)
    elif name == "slow":
        time.sleep(given["seconds"])
        answer(request, result={"content": []})
    elif name == "large":
        answer(request, result={"content": [{"type": "text", "text": "x" * given["bytes"]}], "isError": True})
    elif name == "half":
        sys.stdout.write('{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"')
        sys.stdout.flush()
        open("half-said", "w").close()
        while not os.path.exists("go-on"):
            time.sleep(0.01)
        sys.stdout.write('"}}\n')
        answer(request, result={"content": []})
    elif name == "needs":
        if "inputResponses" in params:
            answer(request, result={"content": []})
        else:
            # An observer takes a while to read this.
            say({"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": ["x"] * given["many"]}})
            answer(request, result={"resultType": "input_required", "inputRequests": {}})
    elif name == "seen":
        answer(request, result={"content": [], "structuredContent": received})
    elif name == "ask":
        say({"jsonrpc": "2.0", "id": request["id"], "method": "elicitation/create", "params": {"message": "?"}})
        said = json.loads(sys.stdin.readline())
        answer(request, result={"content": [], "structuredContent": said})
    else:
        answer(request, result={"content": [{"type": "text", "text": json.dumps(params)}]})


def handle(message):
    received.append(message.get("params", {}).get("name") or message.get("method"))
    if "id" not in message:
        return
    method = message.get("method")
    if method == "initialize":
        answer(message, result={"protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": {"name": "toy", "version": "1"}})
    elif method == "tools/list":
        tools = json.loads(os.environ.get("TOOLS", "[]"))
        at = int(message.get("params", {}).get("cursor", 0))
        more = {"nextCursor": str(at + 1)} if at + 1 < len(tools) else {}
        answer(message, result={"tools": tools[at : at + 1], **more})
    elif method == "tools/call":
        call(message)
    elif method:
        answer(message, result={})


if "deaf" in arguments:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "banner" in arguments:
    print("Welcome to the toy server {")
    print('["not a message", 1, null]', flush=True)
for line in sys.stdin:
    try:
        text = json.loads(line)
    except ValueError:
        # A server reads on after a line that is no message, as those of the SDKs do.
        continue
    for message in text if isinstance(text, list) else [text]:
        handle(message)
if "deaf" in arguments or "slow-end" in arguments:
    time.sleep(1 if "slow-end" in arguments else 60)
if "farewell" in arguments:
    say({"jsonrpc": "2.0", "method": "notifications/farewell"})
sys.exit(7 if "seven" in arguments else 0)
