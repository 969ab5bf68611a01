"""What commands print: rich tables and lines in which every text may be somebody else's."""

from typing import Any

from rich.console import Console
from rich.text import Text

from aucue.errors import printable


class Terminal(Console):
    """A console that shows texts as they are.

    Names of files, labels and models come from others: what they hold is never read as markup or as an emoji,
    and control characters never reach the terminal. Styles are given by `style`, or as `rich.text.Text`.

    Args:
        stderr: Write to stderr instead of stdout.
    """

    def __init__(self, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, markup=False, emoji=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """Text of any origin -> text that can be shown; lines stay lines."""
        lines = "\n".join(map(printable, text.split("\n")))
        return super().render_str(lines, **{**options, "markup": False, "emoji": False})

    def say(self, *lines: str, style: str | None = None) -> None:
        """Print lines, none of which is wrapped, so that a path can be copied."""
        for line in lines:
            self.print(line, style=style, soft_wrap=True)
