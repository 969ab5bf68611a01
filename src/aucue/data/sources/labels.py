"""Names as people write them -> the names aucue uses."""

from collections.abc import Iterable, Sequence

from aucue.data.sources.source import SPLITS
from aucue.errors import InputError
from aucue.work.tables import did_you_mean

SYNONYMS = {
    "happy": "happiness",
    "sad": "sadness",
    "angry": "anger",
    "surprised": "surprise",
    "fearful": "fear",
    "disgusted": "disgust",
}
_SPLIT_NAMES = {name: name for name in SPLITS} | {
    "training": "train",
    "valid": "val",
    "validation": "val",
    "testing": "test",
}


def find_class(label: str | None, classes: Sequence[str]) -> str | None:
    """The class a label means, by name (whatever the case) or common synonym; None if there is none."""
    word = (label or "").strip().casefold()
    known = {name.casefold(): name for name in classes}
    return known.get(word) or known.get(SYNONYMS.get(word, ""))


def unknown_label(where: str, label: str | None, classes: Sequence[str]) -> InputError:
    """An error that says where, names the label and the labels that would have been understood."""
    known = [name.casefold() for name in classes]
    return InputError(
        f"{where}: unknown label '{label or ''}'; known labels: {', '.join(classes)}."
        f"{did_you_mean(label, known)}"
    )


def find_split(name: str) -> str | None:
    """The split a name means ("validation" is "val", ...); None if it means none."""
    return _SPLIT_NAMES.get(name.strip().casefold())


def check_split(name: str, where: str) -> str:
    """Like `find_split`.

    Raises:
        InputError: The name means no split.
    """
    split = find_split(name)
    if split is None:
        raise InputError(f"{where}: unknown split '{name}'; known splits: {', '.join(SPLITS)}.")
    return split


def check_classes(classes: Iterable[str]) -> tuple[str, ...]:
    """Class names as a tuple.

    Raises:
        InputError: There are fewer than two, or one occurs twice (whatever the case).
    """
    names = tuple(classes)
    if len(names) < 2 or len({name.casefold() for name in names}) < len(names):
        raise InputError(f"Expected two or more different classes, got {', '.join(names) or 'none'}.")
    return names


def read_label_names(pairs: Sequence[str] | None, classes: Sequence[str]) -> dict[str, str]:
    """What labels are called in a set, such as `1=surprise`.

    Args:
        pairs: `label=class` each; None for none.
        classes: The classes.

    Returns:
        Class by label, in small letters.

    Raises:
        InputError: A pair is none, or its class is not known.
    """
    names = {}
    for pair in pairs or ():
        label, equals, name = pair.partition("=")
        found = find_class(name, classes)
        if not equals or not label.strip():
            raise InputError(f"label-names: {pair!r} is no pair such as 1=surprise.")
        if found is None:
            raise unknown_label(f"label-names, {pair!r}", name, classes)
        names[label.strip().casefold()] = found
    return names
