"""The same work as `audit read --tool TOOL` in a loop: `read.py FILE TOOL`. Every line is parsed, and those that match are
printed."""

import json
import sys

with open(sys.argv[1]) as lines:
    for line in lines:
        if json.loads(line)["tool"] == sys.argv[2]:
            sys.stdout.write(line)
