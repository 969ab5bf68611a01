"""The progress bar of long jobs: how many, how fast, how long still; on stderr."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TimeRemainingColumn


class _Rate(ProgressColumn):
    def render(self, task: Task) -> str:
        if not task.speed:
            return ""
        return f"{task.speed:.0f}/s" if task.speed >= 10 else f"{task.speed:.1f}/s"


def progress_bar(visible: bool) -> Progress:
    """A progress bar on stderr.

    Args:
        visible: Whether it is shown.
    """
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), disable=not visible)
