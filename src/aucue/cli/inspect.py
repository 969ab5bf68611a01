"""`aucue inspect`: what is odd in a prepared set, before anything is trained on it."""

from pathlib import Path


def command(
    data: Path,
    *,
    out: Path | None = None,
    against: list[Path] | None = None,
    model: Path | None = None,
    faces: int = 300,
    overwrite: bool = False,
) -> int:
    """Look at a prepared set: faces per class and split, sizes, landmarks, odd ones first, and copies.

    Writes inspection.html, which shows the faces with their landmarks, faces.csv with a row per face, and
    inspection.json.

    Args:
        data: Folder that aucue prepare wrote.
        out: Folder for the page; by default a folder inspection in that of the set.
        against: Folders of further prepared sets, such as the one that a model was trained on: faces that are
            in these, too, are named.
        model: Model file, hf:OWNER/NAME or box: does its card say that it was trained on this collection?
        faces: Faces on the page.
        overwrite: Replace the files of an earlier inspection.

    Returns:
        Exit status.
    """
    from aucue.data.description import describe
    from aucue.models import require_file

    describe(data)
    if model is not None:
        require_file(model)
    from aucue.inspection import inspect_set, write_inspection
    from aucue.inspection.files import check_writable
    from aucue.work.terminal import Terminal

    folder = out or data / "inspection"
    check_writable(folder, overwrite, faces)
    inspection = inspect_set(data, against or (), model)
    terminal = Terminal()
    for warning in inspection.warnings:
        terminal.say(f"Warning: {warning}")
    odd = sum(face.odd > 0 for face in inspection.faces)
    terminal.say(f"{len(inspection.faces)} faces, {odd} of them odd in some way.")
    page = write_inspection(inspection, folder, overwrite, faces)
    terminal.say(f"Page: {page}")
    return 0
