"""What a data set should hold, against what is there."""

from collections.abc import Mapping
from typing import NamedTuple


class Finding(NamedTuple):
    """Something that a source found missing or odd, compared with what the set should hold.

    Attributes:
        where: A file, a file and a line, or a split and a class.
        what: One plain sentence.
    """

    where: str
    what: str


def count_findings(
    found: Mapping[tuple[str, str], int], expected: Mapping[tuple[str, str], int]
) -> list[Finding]:
    """Compare numbers of samples with those the set is published with.

    Args:
        found: Samples per (split, class).
        expected: Samples per (split, class); a pair it lacks should have none.

    Returns:
        One finding per pair whose numbers differ: those of `expected` in its order, then the others.
    """
    findings = []
    for split, name in dict.fromkeys((*expected, *found)):
        there, should = found.get((split, name), 0), expected.get((split, name), 0)
        if there != should:
            samples = f"{there:,} sample{'' if there == 1 else 's'}"
            findings.append(Finding(f"{split}/{name}", f"{samples} instead of {should:,}"))
    return findings
