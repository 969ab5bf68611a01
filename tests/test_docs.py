"""Pages that are written by a script are those the script would write."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_methods_page_is_up_to_date() -> None:
    script = runpy.run_path(str(ROOT / "docs" / "make_methods.py"))
    assert (ROOT / "docs" / "methods.md").read_text() == script["page"](), "run docs/make_methods.py"
