"""Writes docs/shortcuts.md from the action table.

python docs/make_shortcuts.py
"""

from __future__ import annotations

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from deeplab_studio.app.action_rows import ACTIONS, MENUS  # noqa: E402
from deeplab_studio.app.shortcuts_dialog import canvas_rows  # noqa: E402

PAGE = REPOSITORY / "docs" / "shortcuts.md"


def page() -> str:
    """The page as it should be."""
    lines = ["# Actions and keys", "", "Made from the table in `deeplab_studio/app/action_rows/`.", ""]
    for menu in MENUS:
        lines += [f"## {menu.replace('&', '')}", "", "| action | keys | what it does |", "|---|---|---|"]
        for spec in ACTIONS:
            if spec.menu == menu:
                keys = ", ".join(f"`{key}`" for key in spec.shortcuts)
                lines.append(f"| {spec.text.replace('&', '').rstrip('…')} | {keys} | {spec.tip} |")
        lines.append("")
    lines += ["## On the canvas", "", "| what | key or mouse |", "|---|---|"]
    lines += [f"| {what} | `{how}` |" for what, how in [("Class by its number", "0 … 9"), *canvas_rows()]]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
