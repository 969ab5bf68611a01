"""Values in, pages out: one environment of templates, one palette, one set of filters for all rooms."""

from aucue.pages.charts import CURVES_SCRIPT, PLOT, line_chart
from aucue.pages.palette import ACCENT, PALETTE, gradient
from aucue.pages.templating import cosine, environment, markdown_environment, percent, write_page

__all__ = [
    "ACCENT",
    "CURVES_SCRIPT",
    "PALETTE",
    "PLOT",
    "cosine",
    "environment",
    "gradient",
    "line_chart",
    "markdown_environment",
    "percent",
    "write_page",
]
