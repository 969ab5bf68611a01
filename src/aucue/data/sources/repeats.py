"""The same picture twice: what is learned by heart there is no evidence in another split."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from aucue.data.sources.expected import Finding
from aucue.data.sources.listings import shorten
from aucue.data.sources.source import Source
from aucue.work.files import digest_of


def same_content(paths: Sequence[Path]) -> Mapping[Path, str]:
    """A digest for each file that may have a twin, byte for byte; only files of equal size are read.

    Args:
        paths: The files; what cannot be read has no digest.
    """
    sizes: dict[int, list[Path]] = {}
    for path in dict.fromkeys(paths):
        if path.is_file():
            sizes.setdefault(path.stat().st_size, []).append(path)
    digests = {}
    for same in sizes.values():
        for path in same if len(same) > 1 else ():
            try:
                digests[path] = digest_of(path)
            except OSError:  # preparing it says why
                continue
    return digests


class Repeats:
    """Files of a source that are there more than once, byte for byte, whatever they are called.

    A file that a set itself names twice is left to the set. Pictures that are no files (drawn ones, columns
    of a table) are not compared.

    Args:
        source: The samples.

    Attributes:
        findings: What is wrong: the same picture in two splits, or with two labels.
        harmless: Number of pictures that are there again with the same split and label.
    """

    def __init__(self, source: Source) -> None:
        self.harmless = 0
        found: list[Finding] = []
        first: dict[str, tuple[Path, str, str]] = {}
        for path, label, split, digest in _files(source):
            earlier, its_label, its_split = first.setdefault(digest, (path, label, split))
            if earlier == path:
                continue
            if its_split != split:
                found.append(Finding(str(path), f"the same picture as {earlier} of the split {its_split}"))
            elif its_label != label:
                found.append(
                    Finding(str(path), f"the same picture as {earlier}, which is labelled {its_label}")
                )
            else:
                self.harmless += 1
        self.findings = shorten(found, Path(source.name))


def _files(source: Source) -> list[tuple[Path, str, str, str]]:
    """Path, label, split and digest of the samples that may have a twin."""
    if not len(source) or not isinstance(source[0].image, Path):
        return []
    samples = [(s.image, s.label, s.split) for s in map(source.__getitem__, range(len(source)))]
    files = [(path, label, split) for path, label, split in samples if isinstance(path, Path)]
    digests = same_content([path for path, *_ in files])
    return [(path, label, split, digests[path]) for path, label, split in files if path in digests]
