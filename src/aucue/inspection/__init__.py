"""A prepared set -> what is odd in it: a page to look at, and a table; before anything is trained on it."""

from typing import TYPE_CHECKING

from aucue._lazy import on_first_use

if TYPE_CHECKING:
    from aucue.inspection.faces import InspectedFace, Inspection, inspect_set
    from aucue.inspection.files import write_inspection
    from aucue.inspection.twins import find_twins, fingerprints

_HOME = {
    "faces": ("InspectedFace", "Inspection", "inspect_set"),
    "files": ("write_inspection",),
    "twins": ("find_twins", "fingerprints"),
}

__all__ = ["inspect_set", "Inspection", "InspectedFace", "write_inspection", "find_twins", "fingerprints"]

__getattr__ = on_first_use(__name__, _HOME)
