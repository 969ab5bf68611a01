"""The progress bar of long jobs: how many, how fast, how long still; on stderr."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)

from aucue.errors import printable
from aucue.work.terminal import Terminal

T = TypeVar("T")


class _Description(TextColumn):
    """What is worked on, whose name may hold anything."""

    def __init__(self) -> None:
        super().__init__("{task.description}", style="progress.description", markup=False)

    def render(self, task: Task):
        text = super().render(task)
        text.plain = printable(text.plain)
        return text


class _Rate(ProgressColumn):
    def render(self, task: Task) -> str:
        if not task.speed:
            return ""
        return f"{task.speed:.0f}/s" if task.speed >= 10 else f"{task.speed:.1f}/s"


def progress_bar(visible: bool, transient: bool = False) -> Progress:
    """A progress bar on stderr.

    Args:
        visible: Whether it is shown.
        transient: Whether it goes when it has ended.
    """
    columns = (_Description(), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    return Progress(*columns, console=Terminal(stderr=True), disable=not visible, transient=transient)


def tracked(items: Iterable[T], description: str | None, total: int) -> Iterator[T]:
    """The items, with a progress bar that goes when all are done.

    Args:
        items: What is worked on.
        description: Text beside the bar; None shows no bar.
        total: How many items there are.
    """
    with progress_bar(description is not None, transient=True) as bar:
        yield from bar.track(items, total=total, description=description or "")
