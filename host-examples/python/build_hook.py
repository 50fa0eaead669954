"""Puts the component and the statements into the wheel.

The component is what `cargo xtask components` leaves in the target folder; `AUDIT_STORE_COMPONENT` names another file.
In a source distribution both are in the package already.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

COMPONENT = "audit-store.wasm"


class Assets(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the files that come from elsewhere in the repository."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Tells hatchling which files to add, and where."""
        root = Path(self.root)
        package = root / "src" / "audit_store"
        inside = "src/audit_store" if self.target_name == "sdist" else "audit_store"
        if not (package / COMPONENT).is_file():
            build_data["force_include"][str(component(root))] = f"{inside}/{COMPONENT}"
        if not (package / "sql").is_dir():
            for statement in sorted((root.parent.parent / "sql").glob("*.sql")):
                build_data["force_include"][str(statement)] = f"{inside}/sql/{statement.name}"


def component(root: Path) -> Path:
    """The built component."""
    if named := os.environ.get("AUDIT_STORE_COMPONENT"):
        found = Path(named)
    else:
        repository = root.parent.parent
        found = repository / os.environ.get("CARGO_TARGET_DIR", "target") / "components" / COMPONENT
    if not found.is_file():
        raise SystemExit(
            f"there is no component at {found}: run `cargo xtask components` in the root of the repository, or name "
            "the file in AUDIT_STORE_COMPONENT"
        )
    return found
