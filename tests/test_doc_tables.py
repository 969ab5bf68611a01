"""Tables that scripts bring into pages of docs/: every one has its place."""

from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT))
    return import_module("experiments.doc_tables")


@pytest.mark.parametrize(("page", "names"), [("recipe.md", ("trials", "box-trials"))])
def test_every_table_has_one_place(
    page: str, names: tuple[str, ...], tables: ModuleType, tmp_path: Path
) -> None:
    copy = tmp_path / page
    copy.write_text((ROOT / "docs" / page).read_text())
    texts = {name: tables.block(name, f"new {name} \\1") for name in names}
    tables.paste(copy, texts)
    assert all(copy.read_text().count(text) == 1 for text in texts.values())
    with pytest.raises(SystemExit, match="0 places"):
        tables.paste(copy, {"other": ""})
