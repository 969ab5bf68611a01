"""What all pages share: their colours, their words, and that values are text."""

import re
from pathlib import Path

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from aucue.pages import PALETTE, environment, gradient, markdown_environment, percent, write_page

SRC = Path(__file__).parents[2] / "src" / "aucue"
HTML = ("evaluation", "explanation", "app")


@pytest.mark.parametrize("room", HTML)
def test_values_are_escaped_and_must_be_there(room: str):
    page = environment(room).from_string("{{ a }} {{ b | percent }} {{ c | cosine }} {{ d | link }}")
    assert page.render(a="<b>", b=0.416, c=None, d="ü 1.png") == "&lt;b&gt; 41.6 % – %C3%BC%201.png"
    with pytest.raises(UndefinedError):
        page.render(a=1)
    assert environment(room) is environment(room)


def test_markdown_values_are_text():
    page = markdown_environment("export").from_string("{{ a }} {{ b }}\n")
    assert page.render(a="[x](y) <b> `c` | \x1b\n# d", b=Markup("**bold**")) == (
        "\\[x](y) &lt;b> 'c' \\| \\\\x1b\\\\n# d **bold**\n"
    )
    assert page.render(a="\\[x](y)", b="\\|") == "\\\\\\[x](y) \\\\\\|\n"  # a backslash frees no other letter


def test_there_is_one_palette_and_one_environment():
    """No style sheet and no module repeats a colour of the palette or makes an environment of its own."""
    colours = {colour for pair in PALETTE.values() for colour in pair if colour.startswith("#")}
    files = [path for kind in ("*.py", "*.j2", "*.css") for path in SRC.rglob(kind)]
    others = [path for path in files if "pages" not in path.relative_to(SRC).parts]
    assert len(others) > 100
    for path in others:
        text = path.read_text(encoding="utf-8")
        assert not colours & set(re.findall(r"#[0-9a-f]{6}\b", text)), path
        assert "Environment(" not in text, path


@pytest.mark.parametrize(("light", "theme"), [(True, 0), (False, 1)])
def test_text_can_be_read(light: bool, theme: int):
    """Contrast of text and of marks with what they stand on, by WCAG 2.1: 4.5 and 3."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(one: str, other: str) -> float:
        values = sorted(luminance(PALETTE[name][theme]) for name in (one, other))
        return (values[1] + 0.05) / (values[0] + 0.05)

    for ground in ("paper", "card"):
        assert min(contrast(name, ground) for name in ("ink", "soft", "good", "bad")) >= 4.5
        assert contrast("accent", ground) >= 3


def test_words_and_gradient():
    assert (percent(0.5), percent(0.996, 0), percent(None)) == ("50.0 %", "99.6 %", "–")
    assert gradient().count("rgb(") == 9


def test_a_page_replaces_an_earlier_one(tmp_path: Path):
    page = write_page(tmp_path / "deep" / "page.html", "one")
    assert write_page(page, "two").read_text() == "two"
    assert [path.name for path in page.parent.iterdir()] == ["page.html"]
