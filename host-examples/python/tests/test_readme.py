"""What the README says is so."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

from conftest import TESTS

from audit_store import AuditStore

README = (TESTS.parent / "README.md").read_text(encoding="utf-8")


def test_the_example_runs_and_shows_both_calls(tmp_path: Path) -> None:
    example = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert example
    done = subprocess.run([sys.executable, "-c", example[1]], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert [line.split()[1:3] for line in done.stdout.splitlines()] == [["shell", "error"], ["search", "ok"]]
    assert done.stderr == ""
    assert list((tmp_path / "ops" / "audit").glob("tool_audit_*.jsonl"))


def test_every_setting_is_in_the_table() -> None:
    settings = set(inspect.signature(AuditStore).parameters)
    named = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", README, re.MULTILINE))))
    assert settings <= named


def test_the_benchmark_runs(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "audit_store.bench", "--events", "2000", "--rounds", "1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "write, on disk" in done.stdout
    done = subprocess.run([*command, "--json"], cwd=tmp_path, capture_output=True, text=True, check=True)
    figures = {figure["figure"]: figure["value"] for figure in map(json.loads, done.stdout.splitlines())}
    assert figures["files: write, on disk"] > 0
