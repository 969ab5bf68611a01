"""`python -m aucue.rendering OUT.png` paints the contact sheet of the documentation."""

import argparse
from pathlib import Path

from aucue.rendering.sheet import PEOPLE, contact_sheet


def main() -> None:
    """Write a contact sheet."""
    parser = argparse.ArgumentParser(prog="python -m aucue.rendering", description=contact_sheet.__doc__)
    parser.add_argument("out", type=Path, help="picture to write")
    parser.add_argument("--people", type=int, nargs="+", default=PEOPLE, help="seeds of the identities")
    parser.add_argument("--size", type=int, default=128, help="side of one face in pixels")
    parser.add_argument("--seed", type=int, default=0, help="of views and intensities")
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(options.people, size=options.size, seed=options.seed).save(options.out, optimize=True)


if __name__ == "__main__":
    main()
