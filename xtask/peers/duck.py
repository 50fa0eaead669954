"""DuckDB over a daily file: `duck.py FILE THREADS json|csv OUT ROWS [TOOL]`. Prints how many seconds the query takes, without
the start of Python and of DuckDB. The names and types of the columns are given, so that DuckDB does not look for them."""

import json
import sys
import time

import duckdb

file, threads, form, out, rows = sys.argv[1:6]
tool = sys.argv[6:]
numbers = ["duration_ms", "in_size", "out_size", "seq"]
texts = (
    "ts req_id workspace_id user_id agent_id tool action status input_hash graph_run_id graph_node job_id id chain hash"
).split()
columns = {name: "VARCHAR" for name in texts} | {name: "UBIGINT" for name in numbers}
options = "FORMAT json" if form == "json" else "FORMAT csv, HEADER"
where = "WHERE tool = ?" if tool else ""
connection = duckdb.connect(config={"threads": int(threads)})
began = time.perf_counter()
copied = connection.execute(
    f"COPY (SELECT * FROM read_json('{file}', format = 'newline_delimited', columns = {columns}) {where})"
    f" TO '{out}' ({options})",
    tool,
).fetchone()
seconds = time.perf_counter() - began
if copied != (int(rows),):
    sys.exit(f"DuckDB found {copied} rows, not {rows}")
print(json.dumps({"figure": "query", "value": seconds}))
