"""Written pages, read back."""

import re
from html.parser import HTMLParser
from pathlib import Path

VOID = {"meta", "img", "br", "hr", "input", "link"}


class Page(HTMLParser):
    """Collects text and references, and checks that every element is closed."""

    def __init__(self, path: Path):
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.references: list[str] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.references += [value or "" for name, value in attrs if name in ("src", "href", "srcset")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)


def assert_self_contained(page: Page) -> None:
    assert page.open == []
    assert page.references
    assert all(reference.startswith("data:image/") for reference in page.references)
    without_pictures = re.sub(r"data:image/[^\"]*", "", page.source)
    for forbidden in ("http", "//", "@import", "url(", "<script", "<link", "<iframe"):
        assert forbidden not in without_pictures
