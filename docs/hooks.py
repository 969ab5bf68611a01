"""What `mkdocs build` does beyond its plugins, all of it without network.

- Formulas (`$...$`, as code hosts show them) are drawn as SVG by matplotlib, which aucue needs anyway.
- The files in `examples/` become pages, and links to them lead there.
- Public names in code style, such as `Guidance` or `aucue.load`, link to the API reference.
"""

import ast
import html
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

DOCS = Path(__file__).parent
ROOT = DOCS.parent
EXAMPLES = ROOT / "examples"
PACKAGE = ROOT / "src" / "aucue"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Complete the navigation with the examples; leave out pages that are not in this checkout."""
    tabs = {name: pages for tab in config.nav or [] for name, pages in tab.items()}
    tabs["Examples"] = [{title(path): f"examples/{path.stem}.md"} for path in examples()]
    for name in ("Guides", "Research", "API"):
        tabs[name] = [page for page in tabs[name] if all((DOCS / path).exists() for path in page.values())]
    config.nav = [{name: pages} for name, pages in tabs.items()]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each example."""
    for path in examples():
        text = notebook_page(path) if path.suffix == ".ipynb" else script_page(path)
        files.append(File.generated(config, f"examples/{path.stem}.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links to examples to their pages; of other files of the repository, which are no part of the
    site, only the name is left.
    """
    markdown = re.sub(r"\]\(\.\./examples/(\w+)\.(?:py|ipynb)\)", r"](examples/\1.md)", markdown)
    return re.sub(r"\[([^\[\]]+)\]\((\.\./[\w./-]+)\)", repository_file, markdown)


def on_page_content(content: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Draw the formulas, link the names."""
    content = re.sub(r'<(span|div) class="arithmatex">(.*?)</\1>', formula, content, flags=re.DOTALL)
    return re.sub(_NAME, linked, content, flags=re.DOTALL)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Name the theme's search for those who do not see it."""
    search = 'data-md-component="search" role="dialog"'
    return output.replace(search, f'{search} aria-label="Search"', 1)


def repository_file(match: re.Match[str]) -> str:
    """The text of a link to a file beside docs/; a link that leads nowhere is left for MkDocs to report."""
    return match[1] if (DOCS / match[2]).exists() else match[0]


# Examples


def examples() -> list[Path]:
    """Scripts by number, then notebooks."""
    return [*sorted(EXAMPLES.glob("[0-9]*.py")), *sorted(EXAMPLES.glob("*.ipynb"))]


def title(path: Path) -> str:
    """`02_your_own_cue.py` -> `Your own cue`."""
    return re.sub(r"^\d+_", "", path.stem).replace("_", " ").capitalize()


def script_page(path: Path) -> str:
    """The page of a script."""
    return f"# {title(path)}\n\n`python examples/{path.name}`\n\n```python\n{path.read_text()}```\n"


def notebook_page(path: Path) -> str:
    """The page of a notebook: its text, code, and what the code printed and drew."""
    parts = []
    for cell in json.loads(path.read_text())["cells"]:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
        for output in cell.get("outputs", []):
            parts += shown(output)
    return "\n\n".join(parts)


def shown(output: dict) -> Iterator[str]:
    """An output of a notebook's cell as Markdown."""
    data = output.get("data", {})
    for kind in ("image/png", "image/jpeg"):
        if kind in data:
            yield f'<img alt="What the cell above shows" src="data:{kind};base64,{data[kind].strip()}">'
            return
    text = "".join(output.get("text", data.get("text/plain", "")))
    if text:
        yield f"```text\n{text.rstrip()}\n```"


# Names


@cache
def public_names() -> dict[str, str]:
    """Where the reference describes a name: `Guidance` -> `aucue.guidance.Guidance`."""
    names = {}
    for room in sorted(PACKAGE.glob("*/__init__.py")):
        for name in _exported(room):
            place = f"aucue.{room.parent.name}.{name}"
            # `alignment` is a module with a function of its own name, and the reference shows the function.
            hidden = (room.parent / f"{name}.py").exists()
            names[name] = names[place] = f"{place}.{name}" if hidden else place
    names |= {f"aucue.{name}": names[name] for name in _exported(PACKAGE / "__init__.py") if name in names}
    return names


def _exported(file: Path) -> list[str]:
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    return []


_NAME = r"<(a|h[1-6]|pre)\b.*?</\1>|(?P<see>[Ss]ee (?:the function )?)?<code>(?P<name>[\w.]+)</code>"


def linked(match: re.Match[str]) -> str:
    """A name with its link. Plain words (`attention`) are left alone unless the reader is sent to see them:
    mostly they are arguments.
    """
    name = match["name"]
    if not name or name not in public_names() or not (match["see"] or re.search(r"[A-Z_.]", name)):
        return match[0]
    place, see = public_names()[name], match["see"] or ""
    return f'{see}<autoref identifier="{place}" optional><code>{name}</code></autoref>'


# Formulas


def formula(match: re.Match[str]) -> str:
    r"""A formula as SVG in the colour of the text; what \qquad separates may stand on lines of its own."""
    tex = html.unescape(match[2]).strip().removeprefix(r"\(").removesuffix(r"\)")
    if match[1] == "span":
        return drawn(tex)
    tex = tex.removeprefix(r"\[").removesuffix(r"\]").strip()
    parts = " ".join(drawn(part) for part in re.split(r"\\q?quad", tex))
    return f'<div class="formula">{parts}</div>'


_COMMANDS = {1: "M", 2: "L", 3: "Q", 4: "C", 79: "Z"}  # of a path in matplotlib -> in SVG


def drawn(tex: str, size: float = 20.0) -> str:
    """SVG of a formula. The size decides the rounding of the outlines, not what is seen."""
    known = re.sub(r"\\[bB]ig([(\[])", r"\\left\1", re.sub(r"\\[bB]ig([)\]])", r"\\right\1", tex))
    known = known.replace("tfrac", "frac")
    path = TextPath((0, 0), f"${known}$", size, prop=FontProperties(math_fontfamily="cm"))
    outline = ""
    for points, code in path.iter_segments(simplify=False):
        command = _COMMANDS[int(code)]
        outline += command
        if command != "Z":
            outline += " ".join(f"{x:.2f} {-y:.2f}" for x, y in points.reshape(-1, 2))
    left, bottom, width, height = path.get_extents().bounds
    style = f"width:{width / size:.3f}em;height:{height / size:.3f}em;vertical-align:{bottom / size:.3f}em"
    return (
        f'<svg class="math" role="img" aria-label="{html.escape(tex)}" fill="currentColor" style="{style}" '
        f'viewBox="{left:.2f} {-bottom - height:.2f} {width:.2f} {height:.2f}"><path d="{outline}"/></svg>'
    )
