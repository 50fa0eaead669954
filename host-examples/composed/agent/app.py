"""A tool that evaluates what an agent's model writes in Python, and records each call."""

import hashlib
import json

import wit_world
from wit_world.imports import writer


class WitWorld(wit_world.WitWorld):
    def run(self, expression: str) -> str:
        try:
            status, answer = "ok", str(eval(expression, {"writer": writer}))
        except Exception as error:
            status, answer = "error", f"{type(error).__name__}: {error}"
        sent = expression.encode()
        event = {
            "agent_id": "planner",
            "tool": "python",
            "action": "eval",
            "status": status,
            "in_size": len(sent),
            "out_size": len(answer.encode()),
            "input_hash": hashlib.sha256(sent).hexdigest(),
        }
        writer.write_jsonl(json.dumps(event))
        return answer
