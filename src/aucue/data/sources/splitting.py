"""Samples without a split -> train, val and test: every class in its share, no person on two sides."""

import re
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path

import numpy as np

from aucue.data.sources.repeats import same_content
from aucue.errors import InputError

SHARES = {"test": 0.2, "val": 0.1}
"""Of each class, where a set says nothing of splits; the rest is trained on."""


def split_of_each(labels: Sequence[str], groups: Sequence[Hashable | None], seed: int = 0) -> list[str]:
    """Deal samples out to splits.

    Args:
        labels: Class of each sample.
        groups: Samples with an equal group (a person, the content of a file) stay together; one whose group
            is None stands alone.
        seed: Of the draw; the same one gives the same splits.

    Returns:
        The split of each sample: `SHARES` of every class, at least one sample of a class that has two or
        more, if groups allow; "train" for the others.
    """
    classes = np.unique(labels, return_inverse=True)[1]
    splits = np.full(len(labels), "train", dtype="<U5")
    left = 1.0
    for name, share in SHARES.items():
        rows = np.flatnonzero(splits == "train")
        if len(rows):
            members = group_members([groups[row] for row in rows.tolist()])
            splits[rows[draw(classes[rows], members, share / left, seed)]] = name
        left -= share
    return splits.tolist()


def group_members(groups: Iterable[Hashable | None]) -> list[np.ndarray]:
    """Samples of each group, in the order of their first samples."""
    members: dict[Hashable, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(("alone", index) if group is None else ("group", group), []).append(index)
    return [np.array(indices) for indices in members.values()]


def draw(labels: np.ndarray, groups: Sequence[np.ndarray], fraction: float, seed: int) -> np.ndarray:
    """Draw groups, in random order: one is taken if that brings the class counts nearer to the wanted ones.

    Args:
        labels: Class ids (N,).
        groups: Samples of each group.
        fraction: Share of each class to draw.
        seed: Of the order.

    Returns:
        Whether each sample was drawn (N,).
    """
    counts = np.bincount(labels)
    missing = np.where(counts > 1, np.maximum(1, np.rint(counts * fraction)), 0)
    drawn = np.zeros(len(labels), dtype=bool)
    for group in np.random.default_rng(seed).permutation(len(groups)):
        members = groups[group]
        after = missing - np.bincount(labels[members], minlength=len(counts))
        if np.abs(after).sum() < np.abs(missing).sum():
            drawn[members] = True
            missing = after
    return drawn


def groups_of_files(paths: Sequence[Path], persons: Sequence[str | None]) -> list[Hashable | None]:
    """What has to stay on one side: pictures of a person and, where none is known, of equal content."""
    contents = same_content(paths)
    return [person or contents.get(path) for path, person in zip(paths, persons, strict=True)]


def persons_in(paths: Sequence[str], pattern: str | None) -> list[str | None]:
    r"""Who is seen, by the name of a file.

    Args:
        paths: Of the files.
        pattern: Regular expression that is looked for in each path; its first group, or all that it finds, is
            the person: `(\w+)_\d+`. None knows nobody.

    Raises:
        InputError: It is no regular expression, or is found in no path.
    """
    if pattern is None:
        return [None] * len(paths)
    try:
        wanted = re.compile(pattern)
    except re.error as error:
        raise InputError(f"person: '{pattern}' is no regular expression ({error}).") from error
    found = [wanted.search(path) for path in paths]
    if paths and not any(found):
        raise InputError(f"person: '{pattern}' is found in no path, such as '{paths[0]}'; mend it.")
    return [match and match[min(1, wanted.groups)] for match in found]
