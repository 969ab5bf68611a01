"""The guides build without warnings as a site that loads nothing from elsewhere; its links lead somewhere."""

import ast
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

for module in ("mkdocs", "material", "mkdocstrings"):
    pytest.importorskip(module, reason="the extra aucue[docs] is not installed")

ROOT = Path(__file__).parents[2]
LOADED = {"script": "src", "link": "href", "img": "src", "source": "src", "iframe": "src", "video": "src"}
REMOTE = re.compile(r"(https?:)?//")


class Page(HTMLParser):
    """What a page loads, where its links lead, and the places that links can lead to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.ids |= {values[name] for name in ("id", "name") if name in values}
        if tag in LOADED and LOADED[tag] in values:
            self.loads.append(values[LOADED[tag]])
        if tag == "a" and "href" in values:
            self.links.append(values["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; any warning is an error."""
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    folder = tmp_path_factory.mktemp("site")
    patch = pytest.MonkeyPatch()
    patch.setenv("NO_MKDOCS_2_WARNING", "1")
    config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder), strict=True)
    config.plugins.on_startup(command="build", dirty=False)
    build(config)
    patch.undo()
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def test_every_page_is_there(site: Path, pages: dict[Path, Page]) -> None:
    built = {path.relative_to(site).with_suffix("").as_posix() for path in pages}
    written = {
        path.relative_to(ROOT / "docs").with_suffix("").as_posix() for path in (ROOT / "docs").rglob("*.md")
    }
    examples = {f"examples/{path.stem}" for path in (ROOT / "examples").iterdir() if path.is_file()}
    assert written | examples <= built


def test_nothing_is_loaded_from_elsewhere(site: Path, pages: dict[Path, Page]) -> None:
    loads = [address for page in pages.values() for address in page.loads]
    assert len(loads) > 4 * len(pages)  # the theme's styles and scripts
    assert [address for address in loads if REMOTE.match(address)] == []
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert [
        address for address in re.findall(r"url\(['\"]?(.*?)['\"]?\)", styles) if REMOTE.match(address)
    ] == []
    assert not re.findall(r"@import", styles)


def test_the_search_works_from_a_folder(site: Path, pages: dict[Path, Page]) -> None:
    """A browser starts no worker from a folder and fetches no JSON, so the index is a script."""
    index = (site / "search" / "search_index.js").read_text(encoding="utf-8")
    assert index.startswith("var __index = {")
    assert "first-steps.html" in index
    assert all(any("iframe-worker.js" in load for load in page.loads) for page in pages.values())


def test_loaded_files_and_links_exist(site: Path, pages: dict[Path, Page]) -> None:
    dead = []
    for path, page in pages.items():
        if path.name == "404.html":  # its links start at the root of a server
            continue
        for address in page.loads + page.links:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            fragment = unquote(parts.fragment)
            if not target.is_file() or (fragment and fragment not in pages[target].ids):
                dead.append(f"{path.relative_to(site)}: {address}")
    assert dead == []


def test_formulas_are_drawn(site: Path) -> None:
    text = (site / "methods.html").read_text(encoding="utf-8")
    assert text.count('<svg class="math"') > 30
    assert "arithmatex" not in text


def test_public_names_are_in_the_reference(pages: dict[Path, Page]) -> None:
    ids = set().union(*(page.ids for path, page in pages.items() if path.parent.name == "api"))
    missing = []
    for room in sorted((ROOT / "src" / "aucue").glob("*/__init__.py")):
        described = defined(room.parent)
        for name in exported(room):
            place = f"aucue.{room.parent.name}.{name}"
            # The second is where it stands if a module of the room has the same name.
            if name in described and not {place, f"{place}.{name}"} & ids:
                missing.append(place)
    assert missing == []


def exported(file: Path) -> list[str]:
    """`__all__` of a module."""
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    return []


def defined(room: Path) -> set[str]:
    """Classes and functions of a room; constants and types need no description."""
    trees = [ast.parse(path.read_text()) for path in room.rglob("*.py")]
    kinds = (ast.ClassDef, ast.FunctionDef)
    return {node.name for tree in trees for node in tree.body if isinstance(node, kinds)}
