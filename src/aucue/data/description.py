"""What lies in the folder of a prepared set beside the data: its description, problems and findings."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aucue.errors import InputError

FORMAT = 1
DESCRIPTION_FILE = "aucue.json"
PROBLEMS_FILE = "problems.csv"
FINDINGS_FILE = "findings.csv"
UNFINISHED_FOLDER = ".unfinished"


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        InputError: It is none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); prepare the set again") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} does not hold a JSON object; prepare the set again")
    return content


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object, whole or not at all."""
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(unfinished, path)
