"""Python's logging with a formatter that makes JSON lines: `logging_json.py FOLDER EVENTS HANDLER`, where the handler is
`file`, which writes in the call, or `queue`, whose thread does. Prints how many events a second are handed over and are in
the file."""

import json
import logging
import logging.handlers
import pathlib
import queue
import sys
import time

folder, events, kind = pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
folder.mkdir(parents=True)
path = folder / "events.jsonl"


class JsonLines(logging.Formatter):
    """The fields of the event behind the time."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps({"ts": record.created, **record.event})


file = logging.FileHandler(path)
file.setFormatter(JsonLines())
listener = None
handler: logging.Handler = file
if kind == "queue":
    waiting: queue.SimpleQueue = queue.SimpleQueue()
    handler = logging.handlers.QueueHandler(waiting)
    # A formatted record would be a text for the other thread, which then could not write it as JSON.
    handler.prepare = lambda record: record
    listener = logging.handlers.QueueListener(waiting, file)
    listener.start()
logger = logging.getLogger("calls")
logger.setLevel(logging.INFO)
logger.propagate = False
logger.addHandler(handler)

began = time.perf_counter()
for n in range(events):
    event = {
        "req_id": "01a21dfd-9a33-7f0e-8c57-2f2c9d1e0b44",
        "workspace_id": "workspace",
        "user_id": "user",
        "agent_id": "planner",
        "tool": "search",
        "action": "query",
        "status": "ok",
        "duration_ms": n,
        "in_size": 120,
        "out_size": 4800,
        "input_hash": "28c059fecab2486c4df7fa0ef24097d0c363d808bffc0407a8032a3e08614c3f",
    }
    logger.info("call", extra={"event": event})
handed_over = time.perf_counter() - began
if listener:
    listener.stop()
file.close()
stored = time.perf_counter() - began
with open(path) as lines:
    count = sum(1 for _ in lines)
if count != events:
    sys.exit(f"{count} of {events} events are in the file")
print(json.dumps({"figure": "write, handed over", "value": events / handed_over}))
print(json.dumps({"figure": "write, stored", "value": events / stored}))
