"""Source: a folder of photographs, one sub-folder per label."""

import hashlib
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aucue.data.sources.expected import Finding
from aucue.data.sources.labels import check_classes, check_split, find_class, find_split, unknown_label
from aucue.data.sources.source import Sample
from aucue.errors import InputError
from aucue.faces import PHOTO_SUFFIXES
from aucue.facs import EXPRESSIONS

logger = logging.getLogger(__name__)

SUFFIXES = PHOTO_SUFFIXES


class FolderSource:
    """Photographs in `root/<split>/<label>/` or, all of one split, in `root/<label>/`.

    Folders inside a label's folder are searched too. Samples are in the order of their paths; files whose
    names do not look like pictures are ignored (and counted in the log).

    Args:
        root: The folder.
        classes: Class names in the order of their ids; folders may be named by synonyms ("happy").
        split: Split of all samples where the folders do not say.
        name: Name of the set; by default the folder's.

    Raises:
        InputError: No such folder, no picture in it, or a sub-folder whose name is no known label.
    """

    findings: tuple[Finding, ...] = ()

    def __init__(
        self,
        root: str | os.PathLike[str],
        classes: Sequence[str] = EXPRESSIONS,
        split: str = "train",
        name: str | None = None,
    ) -> None:
        self.root = Path(root)
        self.classes = check_classes(classes)
        if not self.root.is_dir():
            raise InputError(f"{self.root} is not a folder; give the folder that holds one folder per label")
        self.name = name or self.root.resolve().name
        self._entries = list(self._find(check_split(split, "split")))
        if not self._entries:
            raise InputError(
                f"{self.root}: no pictures found; expected <split>/<label>/*.jpg or <label>/*.jpg, "
                f"where a label is one of {', '.join(self.classes)}"
            )

    @property
    def provenance(self) -> Mapping[str, Any]:
        """The folder's name and a digest of the paths, splits and labels found in it."""
        listing = "\n".join("\t".join(entry) for entry in self._entries)
        digest = hashlib.sha256(listing.encode(errors="surrogateescape")).hexdigest()
        return {"kind": "folder", "root": self.root.resolve().name, "listing_sha256": digest}

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Sample:
        file, label, split = self._entries[index]
        return Sample(key=file, label=label, split=split, image=self.root / file)

    def _find(self, split: str) -> Iterator[tuple[str, str, str]]:
        """All pictures as (path below the root, label, split)."""
        folders = _folders(self.root)
        if folders and all(find_split(folder.name) for folder in folders):
            for folder in folders:
                yield from self._labelled(_folders(folder), check_split(folder.name, str(folder)))
        else:
            yield from self._labelled(folders, split)

    def _labelled(self, folders: list[Path], split: str) -> Iterator[tuple[str, str, str]]:
        for folder in folders:
            label = find_class(folder.name, self.classes)
            if label is None:
                raise unknown_label(str(folder), folder.name, self.classes)
            for path in _pictures(folder):
                yield path.relative_to(self.root).as_posix(), label, split


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def _pictures(folder: Path) -> Iterator[Path]:
    ignored = 0
    for parent, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                yield Path(parent, name)
            else:
                ignored += not name.startswith(".")
    if ignored:
        logger.warning(
            "%s: %d files ignored, their names do not end in %s", folder, ignored, ", ".join(SUFFIXES)
        )
