"""Writes `original.jsonl`, lines as the original program writes them or lets its callers write them, and
`original.expected.jsonl`, what Python's `json.loads` makes of each line, in the form of an event:

    python3 original.py
"""

import json
import math
from datetime import datetime, timezone

LINES = [
    '{"ts": "2026-11-23T06:30:00+00:00", "req_id": "0", "tool": "first line, behind a byte order mark"}',
    '{"ts": "2026-11-23T06:30:01+00:00", "req_id": "1", "duration_ms": 45.0, "input_chars": 2.5, "output_size_bytes": 3.5}',
    '{"ts": "2026-11-23T06:30:02+00:00", "req_id": "2", "duration_ms": 1e3, "in_size": -4.2, "out_size": 1e400}',
    '{"ts": "2026-11-23T06:30:03.5", "req_id": "3", "tool": "naive"}',
    '{"ts": "2026-11-23 06:30:04", "req_id": "4", "tool": "naive, with a space"}',
    '{"ts": "2026-11-23T07:30:05+01:00", "req_id": "5", "tool": "lone \\ud83d surrogate, and a pair \\ud83d\\ude00"}',
    '{"ts": "2026-11-23T06:30:06+00:00", "req_id": "6", "tool": "first", "tool": "last", "duration_ms": 1, "duration_ms": 2}',
    '{"ts": "2026-11-23T06:30:07+00:00", "req_id": "7", "payload": {"a": [1, {"b": null}]}, "tool": "unknown keys"}',
    '{"ts": "2026-11-23T06:30:08+00:00", "req_id": "8", "duration_ms": NaN, "in_size": Infinity, "tool": "constants NaN"}',
    '{"ts": "2026-11-23T06:30:09+00:00", "req_id": "9", "workspace_id": null, "duration_ms": null, "job_id": null}',
    ' {"tool":"tabs\\tand \\u0000", "ts":"2026-11-23T06:30:10Z" , "req_id" :"10"} ',
    '{"ts": 1795415411.25, "req_id": "11", "tool": "seconds"}',
]

OLDER = {"input_chars": "in_size", "output_size_bytes": "out_size"}
MOST = 2**64 - 1


def number(value):
    if value is None or value != value:
        return 0
    if math.isinf(value):
        return MOST if value > 0 else 0
    return min(max(round(value), 0), MOST)


def time(value):
    if isinstance(value, float):
        at = datetime.fromtimestamp(value, timezone.utc)
    else:
        at = datetime.fromisoformat(value.replace("Z", "+00:00"))
        at = at if at.tzinfo else at.replace(tzinfo=timezone.utc)
    return at.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def text(value):
    # A lone surrogate, and U+0000, cannot be stored.
    return "".join("\ufffd" if "\ud800" <= char <= "\udfff" or char == "\0" else char for char in value or "")


def event(line):
    read = {OLDER.get(key, key): value for key, value in json.loads(line).items()}
    numbers = {key: number(read.get(key)) for key in ("duration_ms", "in_size", "out_size")}
    texts = {key: text(read.get(key)) for key in ("req_id", "workspace_id", "tool")}
    return {"ts": time(read["ts"]), **texts, **numbers, "job_id": read.get("job_id")}


with open("original.jsonl", "w", encoding="utf-8") as file:
    file.write("\ufeff" + "".join(line + "\n" for line in LINES))
with open("original.expected.jsonl", "w", encoding="utf-8") as file:
    file.write("".join(json.dumps(event(line), ensure_ascii=False) + "\n" for line in LINES))
