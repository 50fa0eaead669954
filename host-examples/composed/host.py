"""Runs the composed agent: python host.py COMPONENT FOLDER EXPRESSION...

Prints the answer to each expression as a line of JSON, and at last what the store has counted. An agent that traps is
replaced, as a sandbox does it; the store is replaced with it, and begins to count anew. FOLDER is where the record is kept; the component has it as /audit.
"""

import json
import sys

from wasmtime import Config, Engine, Store, Trap, WasiConfig, WasmtimeError
from wasmtime.component import Component, Linker


class Sandbox:
    def __init__(self, path: str, folder: str) -> None:
        config = Config()
        config.cache = True
        self.engine = Engine(config)
        self.component = Component.from_file(self.engine, path)
        self.linker = Linker(self.engine)
        self.linker.add_wasip2()
        self.folder = folder
        self.start()

    def start(self) -> None:
        wasi = WasiConfig()
        wasi.preopen_dir(self.folder, "/audit")
        wasi.env = [("AUDIT_JSONL_DIR", "/audit")]
        wasi.inherit_stderr()
        self.store = Store(self.engine)
        self.store.set_wasi(wasi)
        self.instance = self.linker.instantiate(self.store, self.component)

    def call(self, interface: str | None, name: str, *arguments: object) -> object:
        inside = self.instance.get_export_index(self.store, interface) if interface else None
        index = self.instance.get_export_index(self.store, name, inside)
        function = self.instance.get_func(self.store, index)
        answer = function(self.store, *arguments)
        function.post_return(self.store)
        return answer

    def run(self, expression: str) -> dict:
        try:
            return {"answer": self.call(None, "run", expression)}
        except (Trap, WasmtimeError) as stopped:
            self.start()
            return {"stopped": str(stopped)}


def main() -> None:
    path, folder, *expressions = sys.argv[1:]
    sandbox = Sandbox(path, folder)
    for expression in expressions:
        print(json.dumps(sandbox.run(expression)))
    status = sandbox.call("audit:store/control@0.1.0", "status")
    print(json.dumps({"stored": status.counts.stored}))


main()
