"""Draws docs/images/house.svg: which room of the package imports which, as a table.

    python docs/make_house.py

The rooms stand in the order of docs/api/index.md; a test holds picture and order against the source.
"""

import ast
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path

DOCS = Path(__file__).parent
PACKAGE = DOCS.parent / "src" / "aucue"
PICTURE = DOCS / "images" / "house.svg"

CELL, LEFT, TOP = 26, 150, 130

_STYLE = (
    "text{font:14px system-ui,sans-serif;fill:#23222c}.soft{fill:#6c6a78}.own{fill:#e6e3de}.on{fill:#b8385f}"
    ".line{stroke:#e6e3de}@media(prefers-color-scheme:dark){text{fill:#ecebf1}.soft{fill:#a09eae}"
    ".own{fill:#33323d}.on{fill:#f0708f}.line{stroke:#33323d}}"
)


def rooms() -> list[str]:
    """The rooms, from the ground floor to the roof."""
    table = (DOCS / "api" / "index.md").read_text(encoding="utf-8")
    return [*re.findall(r"^\| \[`aucue\.(\w+)`\]", table, re.MULTILINE), "cli"]


def imports(room: str) -> dict[str, list[str]]:
    """Rooms that a room imports, at the top of a file or inside of a function -> where, as `file:line`."""
    places: dict[str, list[str]] = {}
    folder = PACKAGE / room
    for file in sorted(folder.rglob("*.py")) if folder.is_dir() else [PACKAGE / f"{room}.py"]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            for other in _named(node):
                if other != room:
                    where = f"{file.relative_to(PACKAGE).as_posix()}:{getattr(node, 'lineno', 0)}"
                    places.setdefault(other, []).append(where)
    return places


def _named(node: ast.AST) -> Iterator[str]:
    """Rooms that an import names."""
    if isinstance(node, ast.ImportFrom) and node.module:
        parts = node.module.split(".")
        if parts[0] == "aucue":
            yield from parts[1:2] or [alias.name for alias in node.names]
    elif isinstance(node, ast.Import):
        yield from (alias.name.split(".")[1] for alias in node.names if alias.name.startswith("aucue."))


def picture() -> str:
    """The table: a row and a column per room, a dot where the room of the row imports that of the column."""
    names = rooms()
    side = CELL * len(names)
    width, height = LEFT + side + 10, TOP + side + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        "<title>Which room imports which: every dot lies left of the diagonal</title>",
        f"<style>{_STYLE}</style>",
    ]
    for i, name in enumerate(names):
        y, x = TOP + CELL * i, LEFT + CELL * i
        parts.append(f'<text x="{LEFT - 10}" y="{y + 18}" text-anchor="end">{escape(name)}</text>')
        parts.append(
            f'<text class="soft" transform="translate({x + 18} {TOP - 8}) rotate(-90)">{escape(name)}</text>'
        )
        parts.append(f'<rect class="own" x="{x}" y="{y}" width="{CELL}" height="{CELL}"/>')
        parts.append(f'<path class="line" d="M{LEFT} {y}h{side}"/>')
        used = imports(name)
        for j, other in enumerate(names):
            if other in used:
                cx, cy = LEFT + CELL * j + CELL // 2, y + CELL // 2
                parts.append(f'<circle class="on" cx="{cx}" cy="{cy}" r="5"/>')
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
    print(PICTURE)
