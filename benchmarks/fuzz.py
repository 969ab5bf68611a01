"""Damaged inputs: files of every kind that aucue reads are mutated; its answer may be one sentence at worst.

    python benchmarks/fuzz.py --count 10000 --seed 0

prints a table (kind, inputs, read, refused, tracebacks, seconds of the slowest) and writes an example of
every other error to --out. --gigabytes bounds the memory, so that a bomb shows as an error.
"""

import argparse
import faulthandler
import json
import random
import re
import resource
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aucue.errors import AucueError
from fuzz_inputs import Kind, all_kinds

HANG = 20
"""Seconds after which reading counts as hanging."""

_WORDS = (
    *(
        "null",
        "true",
        "[]",
        "{}",
        "-1",
        "1e999",
        "NaN",
        "Infinity",
        '""',
        '"\\u0000"',
        "9" * 400,
        "2001-13-45",
    ),
    *(
        "!!int x",
        "!!python/object:os.system x",
        "&a [*a]",
        "=1+1",
        "../../etc/hostname",
        "/etc/hostname",
        "\x1b[31m",
    ),
    *(
        "http://127.0.0.1:9/a",
        "[" * 300,
        "{" * 300,
        "\ufeff",
        "\udcff",
        ",,",
        ";",
        "\t",
        "\r",
        "'",
        '"',
        "%s%n",
    ),
)


@dataclass
class Tally:
    """What became of the inputs of a kind.

    Attributes:
        read: Read without complaint.
        refused: Answered with one sentence.
        wrong: Any other error -> how often.
        slowest: Seconds.
    """

    read: int = 0
    refused: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0


def mutated(content: bytes, chance: random.Random) -> bytes:
    """The content with one to three changes: of bits, bytes, words, lines, length, or of a JSON value."""
    for _ in range(chance.choice((1, 1, 2, 3))):
        content = chance.choice(_MUTATIONS)(content, chance)
    return content


def _bit(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content or b"\0")
    changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _span(content: bytes, chance: random.Random) -> tuple[int, int]:
    start = chance.randrange(len(content) + 1)
    return start, min(len(content), start + chance.choice((1, 4, 16, 64, 256)))


def _removed(content: bytes, chance: random.Random) -> bytes:
    start, stop = _span(content, chance)
    return content[:start] + content[stop:]


def _repeated(content: bytes, chance: random.Random) -> bytes:
    start, stop = _span(content, chance)
    return content[:stop] + content[start:stop] * chance.choice((1, 2, 40)) + content[stop:]


def _noise(content: bytes, chance: random.Random) -> bytes:
    start, stop = _span(content, chance)
    return content[:start] + chance.randbytes(stop - start or 3) + content[stop:]


def _short(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content) + 1)]


def _word(content: bytes, chance: random.Random) -> bytes:
    """Replace a word or number; in a binary file's text, too."""
    found = list(re.finditer(rb"[A-Za-z0-9_.\-]{1,40}", content[:200_000]))
    new = chance.choice(_WORDS).encode(errors="surrogateescape")
    if not found:
        return content + new
    old = chance.choice(found)
    return content[: old.start()] + new + content[old.end() :]


def _line(content: bytes, chance: random.Random) -> bytes:
    lines = content.split(b"\n")
    i, j = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[i], lines[j] = lines[j], lines[i] if chance.random() < 0.5 else b""
    return b"\n".join(lines)


def _value(content: bytes, chance: random.Random) -> bytes:
    """Replace, remove or move a value of a JSON document (or of one of its lines)."""
    lines = content.split(b"\n")
    i = chance.randrange(len(lines)) if content[:1] == b"{" and b"}\n{" in content else None
    try:
        document = json.loads(content if i is None else lines[i])
    except (ValueError, RecursionError):
        return _word(content, chance)
    holders = [each for each in _holders(document) if each]
    if not holders:
        return b"[]"
    holder: Any = chance.choice(holders)
    key = chance.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
    if chance.random() < 0.25:
        del holder[key]
    else:
        holder[key] = chance.choice(
            (
                None,
                True,
                -1,
                0,
                1e300,
                "",
                "x",
                [],
                {},
                [[1]],
                {"a": {"b": []}},
                ["x"] * 3,
                "../../x",
                "\x1b[2J",
            )
        )
    new = json.dumps(document).encode()
    if i is None:
        return new
    lines[i] = new
    return b"\n".join(lines)


def _holders(value: object) -> Iterator[Any]:
    if isinstance(value, dict | list):
        yield value
        for each in value.values() if isinstance(value, dict) else value:
            yield from _holders(each)


_MUTATIONS = (_bit, _removed, _repeated, _noise, _short, _word, _word, _line, _value, _value)


@contextmanager
def _alarm(seconds: int) -> Iterator[None]:
    def ring(*_: object) -> None:
        raise TimeoutError(f"hangs for {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _nothing_ignored() -> Iterator[None]:
    """Raise what Python would only print, with its traceback: errors in callbacks of libraries."""
    ignored: list[BaseException] = []
    before, sys.unraisablehook = sys.unraisablehook, lambda told: ignored.append(told.exc_value)  # type: ignore
    try:
        yield
    finally:
        sys.unraisablehook = before
        if ignored:
            raise ignored[0]


def try_one(kind: Kind, chance: random.Random, tally: Tally) -> tuple[str, bytes] | None:
    """Mutate one file of a kind, read, and put the file back; what went wrong and with which content."""
    file = chance.choice(kind.files)
    content = file.read_bytes()
    new = mutated(content, chance)
    file.write_bytes(new)
    start = time.monotonic()
    try:
        with _alarm(HANG), _nothing_ignored():
            kind.read()
        tally.read += 1
    except AucueError as error:
        tally.refused += 1
        if "\n" in str(error).strip() or "\x1b" in str(error):
            return _wrong(tally, "a message of several lines, or with control characters", new)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return _wrong(tally, _where(error), new)
    finally:
        tally.slowest = max(tally.slowest, time.monotonic() - start)
        file.write_bytes(content)
    return None


def _wrong(tally: Tally, what: str, content: bytes) -> tuple[str, bytes]:
    tally.wrong[what] += 1
    return what, content


def _where(error: BaseException) -> str:
    """Kind of the error, and the last line of ours that it passed."""
    ours = [each for each in traceback.extract_tb(error.__traceback__) if "/aucue/" in each.filename]
    place = f"{ours[-1].filename.rpartition('/aucue/')[2]}:{ours[-1].lineno}" if ours else "outside of aucue"
    return f"{type(error).__name__} at {place}: {' '.join(str(error).split())[:120]}"


def fuzz(kinds: dict[str, Kind], count: int, seed: int, keep: Path | None = None) -> dict[str, Tally]:
    """Try mutated inputs.

    Args:
        kinds: By name.
        count: Inputs, about, over all kinds.
        seed: Of the mutations.
        keep: Folder that gets an example of every error.
    """
    shares = {name: 1 / kind.slow for name, kind in kinds.items()}
    tallies = {}
    for name, kind in kinds.items():
        tallies[name] = tally = Tally()
        print(f"{name} ...", file=sys.stderr)
        for index in range(max(1, round(count * shares[name] / sum(shares.values())))):
            found = try_one(kind, random.Random(f"{seed} {name} {index}"), tally)
            if found and keep and tally.wrong[found[0]] == 1:
                keep.mkdir(parents=True, exist_ok=True)
                stem = f"{re.sub('[^a-z0-9]+', '-', name)}-{len(tally.wrong)}"
                (keep / f"{stem}.input").write_bytes(found[1])
                (keep / f"{stem}.txt").write_text(found[0] + "\n", errors="backslashreplace")
    return tallies


def main() -> int:
    """Fuzz all kinds and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=10_000, help="inputs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=[], help="kinds")
    parser.add_argument("--without", nargs="*", default=[], help="kinds")
    parser.add_argument("--out", type=Path, default=Path("runs/fuzz"), help="an example of every error")
    parser.add_argument("--gigabytes", type=float, default=0, help="bound on the address space; 0: none")
    options = parser.parse_args()
    faulthandler.enable()
    warnings.simplefilter("ignore")
    if options.gigabytes:
        most = int(options.gigabytes * 2**30)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    with TemporaryDirectory() as folder:
        kinds = {
            name: kind
            for name, kind in all_kinds(Path(folder)).items()
            if name not in options.without and (not options.only or name in options.only)
        }
        start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        tallies = fuzz(kinds, options.count, options.seed, options.out)
    print("| kind | inputs | read | one sentence | tracebacks | slowest, s |\n|---|---:|---:|---:|---:|---:|")
    for name, tally in tallies.items():
        wrong = tally.wrong.total()
        number = tally.read + tally.refused
        print(
            f"| {name} | {number + wrong} | {tally.read} | {tally.refused} | {wrong} | {tally.slowest:.1f} |"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"\nMemory: {start / 1024:.0f} MB before, at most {peak / 1024:.0f} MB.")
    for name, tally in tallies.items():
        for what, times in tally.wrong.most_common():
            print(f"{name}: {times} x {what}", file=sys.stderr)
    return 1 if any(tally.wrong for tally in tallies.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
