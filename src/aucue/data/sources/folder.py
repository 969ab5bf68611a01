"""Source: a folder of photographs, one sub-folder per label."""

import hashlib
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aucue.data.sources.expected import Finding
from aucue.data.sources.labels import (
    check_classes,
    check_split,
    find_class,
    find_split,
    read_label_names,
    unknown_label,
)
from aucue.data.sources.listings import folders_in, is_ignored, list_findings, shorten, unwrapped
from aucue.data.sources.source import Sample
from aucue.data.sources.splitting import groups_of_files, persons_in, split_of_each
from aucue.errors import InputError, printable
from aucue.faces import PHOTO_SUFFIXES, UNREADABLE_SUFFIXES
from aucue.facs import EXPRESSIONS
from aucue.work.files import LOCK_FILE, files_below

logger = logging.getLogger(__name__)

_UNKNOWN = ""  # split of pictures whose folders name none
_BROKEN = "a link that leads nowhere"


class FolderSource:
    """Photographs in `root/<split>/<label>/` or, without splits, in `root/<label>/`.

    Without splits, a fifth of each class becomes the split test and a tenth the split val; persons, where
    they are known, and equal files stay together. Folders inside a label's folder are searched too, those
    behind links as well; one that cannot be is a finding. Samples are in the order of their paths, what lies
    behind links last; files whose names do not look like pictures are ignored (and counted in the log).

    Args:
        root: The folder.
        classes: Class names in the order of their ids; folders may be named by synonyms ("happy").
        split: Split of all samples where the folders do not say, instead of a draw.
        name: Name of the set; by default the folder's.
        label_names: What the folders' names mean, such as 1=surprise 2=fear, where they are no classes.
        person: Regular expression that finds in a path who is seen, such as `([a-z]+)_[0-9]+`: its first
            group, or all of it.
        out: Where the prepared set goes, which is none of the photographs if it lies in `root`.

    Raises:
        InputError: No such folder, no picture in it, or a sub-folder whose name is no known label or split.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        classes: Sequence[str] = EXPRESSIONS,
        split: str | None = None,
        name: str | None = None,
        label_names: Sequence[str] | None = None,
        *,
        person: str | None = None,
        out: str | os.PathLike[str] | None = None,
    ) -> None:
        self.root, self._out = Path(root), None if out is None else Path(out).resolve()
        self.classes = check_classes(classes)
        self._names = read_label_names(label_names, self.classes)
        if not self.root.is_dir():
            raise InputError(f"{self.root} is not a folder; give the folder that holds one folder per label.")
        self.name = name or self.root.resolve().name
        self.findings: list[Finding] = []
        self.root = unwrapped(self.root, self._is_labelled)
        self._entries = list(self._find(None if split is None else check_split(split, "split")))
        if not self._entries:
            why = "".join(f" ({where}: {what})" for where, what in self.findings[:1])
            raise InputError(
                f"{self.root}: no pictures found; expected <split>/<label>/*.jpg or <label>/*.jpg, "
                f"where a label is one of {', '.join(self.classes)}{why}."
            )
        self._persons = persons_in([file for file, *_ in self._entries], person)
        self._entries = self._with_splits()

    @property
    def provenance(self) -> Mapping[str, Any]:
        """The folder's name and a digest of the paths, splits and labels found in it."""
        rows = zip(self._entries, self._persons, strict=True)
        listing = "\n".join("\t".join([*entry, person] if person else entry) for entry, person in rows)
        digest = hashlib.sha256(listing.encode(errors="surrogateescape")).hexdigest()
        return {"kind": "folder", "root": self.root.resolve().name, "listing_sha256": digest}

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Sample:
        file, label, split = self._entries[index]
        person = self._persons[index]
        return Sample(key=file, label=label, split=split, image=self.root / file, person=person)

    def _is_labelled(self, folder: Path) -> bool:
        return any(self._label(each.name) or find_split(each.name) for each in self._folders_in(folder))

    def _folders_in(self, folder: Path) -> list[Path]:
        """Folders of splits or labels."""
        found = [each for each in folders_in(folder) if self._label(each.name) or not self._is_left_out(each)]
        for path in sorted(folder.iterdir()):
            if (self._label(path.name) or find_split(path.name)) and not os.path.exists(path):
                self._leave_out(path, _BROKEN)
        return found

    def _is_left_out(self, folder: Path) -> bool:
        """Whether a system left a folder there, or aucue wrote it (which is listed, but for `out`)."""
        if is_ignored(folder.name) or folder.resolve() == self._out:
            return True
        if os.path.exists(folder / LOCK_FILE):  # False, too, of a folder that must not be entered
            self._leave_out(folder, "aucue wrote this folder")
            return True
        return False

    def _leave_out(self, path: Path, why: str) -> None:
        finding = Finding(str(path), f"left out: {why}")
        self.findings += [finding] * (finding not in self.findings)

    def _label(self, name: str) -> str | None:
        return self._names.get(name.strip().casefold()) or find_class(name, self.classes)

    def _with_splits(self) -> list[tuple[str, str, str]]:
        """The pictures, where the folders name no split with one that is drawn."""
        if not any(split == _UNKNOWN for *_, split in self._entries):
            return self._entries
        groups = groups_of_files([self.root / file for file, *_ in self._entries], self._persons)
        splits = split_of_each([label for _, label, _ in self._entries], groups)
        return [(*entry[:2], split) for entry, split in zip(self._entries, splits, strict=True)]

    def _find(self, split: str | None) -> Iterator[tuple[str, str, str]]:
        """All pictures as (path below the root, label, split)."""
        folders = self._folders_in(self.root)
        if any(find_split(folder.name) for folder in folders):
            for folder in folders:
                yield from self._labelled(self._folders_in(folder), self._split(folder))
        else:
            yield from self._labelled(folders, split or _UNKNOWN)

    def _split(self, folder: Path) -> str:
        """The split of a folder that lies beside folders of splits."""
        if self._label(folder.name):
            raise InputError(
                f"{self.root} holds folders of splits and the label {folder.name}; "
                "put each label's folder into a split's."
            )
        return check_split(folder.name, str(folder))

    def _labelled(self, folders: list[Path], split: str) -> Iterator[tuple[str, str, str]]:
        for folder in folders:
            label = self._label(folder.name)
            if label is None:
                raise unknown_label(str(folder), folder.name, self.classes)
            for path in self._pictures(folder):
                yield path.relative_to(self.root).as_posix(), label, split

    def _pictures(self, folder: Path) -> Iterator[Path]:
        pictures, other, unreadable, broken = 0, 0, [], []
        for path in files_below(folder, self._leave_out, self._is_left_out):
            name = path.name.lower()
            if is_ignored(name):
                continue
            if name.endswith(PHOTO_SUFFIXES):
                pictures += 1
                yield path
            elif name.endswith(UNREADABLE_SUFFIXES):
                unreadable.append(path.relative_to(folder).as_posix())
            elif not os.path.exists(path):  # perhaps a folder of a disk that is not there
                broken.append(Finding(str(path), f"left out: {_BROKEN}"))
            else:
                other += 1
        state = "in a format that is not read here: save them as JPEG or PNG"
        of = pictures + len(unreadable)
        self.findings += shorten(broken, folder)
        self.findings += list_findings(unreadable, of, "photographs", state, folder)
        if other:
            endings = ", ".join(PHOTO_SUFFIXES)
            where = printable(folder)
            logger.warning("%s: %d files ignored, their names do not end in %s", where, other, endings)
