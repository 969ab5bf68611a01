"""Values in, pages out: one environment of templates, one palette, one set of filters for all rooms."""

from aucue.pages.environment import cosine, environment, markdown_environment, percent, write_page
from aucue.pages.palette import ACCENT, PALETTE, gradient

__all__ = [
    "ACCENT",
    "PALETTE",
    "cosine",
    "environment",
    "gradient",
    "markdown_environment",
    "percent",
    "write_page",
]
