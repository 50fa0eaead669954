"""The library wasmtime and the compiled component, of which a process has one each.

A process that was forked cannot use wasmtime as it is: its threads, which do the work on files, stayed behind in the
parent, and the first call would wait for them forever. It gets a copy of the library, with threads of its own.
"""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import IO, Any

from audit_store.errors import ComponentError

COMPONENT = "audit-store.wasm"

_lock = threading.RLock()
_runtime: Runtime | None = None
_left_behind: list[object] = []


@dataclass(frozen=True)
class Runtime:
    """What instances are made with."""

    pid: int
    wasmtime: ModuleType
    component_model: ModuleType
    engine: Any
    component: Any


def runtime() -> Runtime:
    """The runtime of this process. The first call compiles the component, or finds it in wasmtime's cache.

    Raises:
        ComponentError: The component is missing, or cannot be compiled.
    """
    global _runtime
    with _lock:
        if _runtime is None:
            _runtime = _load()
        elif _runtime.pid != os.getpid():
            _leave_behind(_runtime)
            _runtime = None
            _copy_library()
            _runtime = _load()
        return _runtime


def _load() -> Runtime:
    wasmtime = importlib.import_module("wasmtime")
    component_model = importlib.import_module("wasmtime.component")
    try:
        engine = wasmtime.Engine(_config(wasmtime))
        component = component_model.Component(engine, component_bytes())
    except (OSError, wasmtime.WasmtimeError) as error:
        raise ComponentError(f"the component cannot be loaded: {error}") from error
    return Runtime(os.getpid(), wasmtime, component_model, engine, component)


def _config(wasmtime: ModuleType) -> Any:
    """With the compiled component kept in the user's cache folder, where there is one that can be written."""
    config = wasmtime.Config()
    try:
        config.cache = True
    except wasmtime.WasmtimeError:
        return wasmtime.Config()
    return config


def component_bytes() -> bytes:
    """The component of the world `full`, which the package carries.

    Raises:
        ComponentError: It is not there.
    """
    file = resources.files("audit_store").joinpath(COMPONENT)
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise ComponentError(
            f"the package has no {COMPONENT}: it was not installed from a wheel. Run `cargo xtask components` in the "
            "root of the repository, then `pip install ./host-examples/python`"
        ) from None


def leave_behind(value: object) -> None:
    """Keeps what belongs to the parent of a forked process, so that it is never torn down in this one."""
    _left_behind.append(value)
    # Not even at the end of the interpreter, which empties every list.
    import ctypes

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(value))


def _leave_behind(old: Runtime) -> None:
    for value in (old.engine, old.component):
        leave_behind(value)


def _copy_library() -> None:
    """Imports wasmtime anew, over a copy of its library."""
    for name in [name for name in sys.modules if name == "wasmtime" or name.startswith("wasmtime.")]:
        leave_behind(sys.modules.pop(name))
    import ctypes

    load = ctypes.cdll.LoadLibrary

    def load_copy(name: str) -> ctypes.CDLL:
        with open(name, "rb") as library, _empty_file(Path(name).suffix) as (copy, path):
            shutil.copyfileobj(library, copy)
            copy.flush()
            return load(path)

    ctypes.cdll.LoadLibrary = load_copy  # type: ignore[method-assign]
    try:
        importlib.import_module("wasmtime")
    finally:
        ctypes.cdll.LoadLibrary = load  # type: ignore[method-assign]


@contextmanager
def _empty_file(suffix: str) -> Iterator[tuple[IO[bytes], str]]:
    """A file with its path, which goes with its last use: in memory where that can be, as not every temporary folder
    may have programs."""
    if hasattr(os, "memfd_create"):
        with open(os.memfd_create("wasmtime"), "wb") as file:
            yield file, f"/proc/self/fd/{file.fileno()}"
    else:
        with tempfile.NamedTemporaryFile(prefix="wasmtime-", suffix=suffix) as temporary:
            yield temporary.file, temporary.name


if hasattr(os, "register_at_fork"):
    # A process that was forked while another thread imports wasmtime could never import it.
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
