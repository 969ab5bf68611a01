"""The same picture in two splits: what is learned by heart there is no evidence here."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from aucue.data.sources.expected import Finding
from aucue.data.sources.listings import shorten
from aucue.data.sources.source import Source


def repeated_across_splits(source: Source) -> list[Finding]:
    """Files that lie in more than one split, byte for byte, whatever they are called.

    A file that a set itself names in two splits is left to the set. Only files of equal size are read;
    pictures that are no files (drawn ones, columns of a table) are not compared.

    Args:
        source: The samples.
    """
    if not len(source) or not isinstance(source[0].image, Path):
        return []
    sizes: dict[int, list[tuple[str, Path]]] = {}
    for index in range(len(source)):
        sample = source[index]
        if isinstance(sample.image, Path) and sample.image.is_file():
            sizes.setdefault(sample.image.stat().st_size, []).append((sample.split, sample.image))
    findings = []
    for same in sizes.values():
        if len({split for split, _ in same}) > 1:
            findings += _equal(same)
    return shorten(findings, Path(source.name))


def _equal(files: Iterable[tuple[str, Path]]) -> list[Finding]:
    """Findings of files of one size."""
    first: dict[str, tuple[str, Path]] = {}
    findings = []
    for split, path in files:
        try:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError:  # preparing it says why
            continue
        before, earlier = first.setdefault(digest, (split, path))
        if before != split and earlier != path:
            findings.append(Finding(str(path), f"the same picture as {earlier} of the split {before}"))
    return findings
