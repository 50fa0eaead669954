"""A hook that appends its input to a file as a line: `append.py FILE`."""

import sys

with open(sys.argv[1], "a") as out:
    out.write(sys.stdin.read() + "\n")
