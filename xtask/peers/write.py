"""The same work as `audit write` in a loop: `write.py INPUT FOLDER`. Each line is parsed, dumped, and written to a
line-buffered file."""

import json
import pathlib
import sys

folder = pathlib.Path(sys.argv[2])
folder.mkdir(parents=True)
with open(sys.argv[1]) as events, open(folder / "events.jsonl", "w", buffering=1) as out:
    for line in events:
        out.write(json.dumps(json.loads(line)) + "\n")
