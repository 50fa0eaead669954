"""A tool that evaluates what an agent's model writes in Python, and records each call."""

import hashlib
import json

import wit_world
from wit_world.imports import writer


class WitWorld(wit_world.WitWorld):
    def run(self, expression: str) -> str:
        try:
            status, answer = "ok", str(eval(expression, {"writer": writer}))
        # Also those that would end a program: their call is recorded like any other.
        except BaseException as error:
            status, answer = "error", f"{type(error).__name__}: {error}"
        # A text of Python may have halves of surrogate pairs, which are no UTF-8.
        output = answer.encode(errors="replace")
        sent = expression.encode()
        event = {
            "agent_id": "planner",
            "tool": "python",
            "action": "eval",
            "status": status,
            "in_size": len(sent),
            "out_size": len(output),
            "input_hash": hashlib.sha256(sent).hexdigest(),
        }
        writer.write_jsonl(json.dumps(event))
        return output.decode()
