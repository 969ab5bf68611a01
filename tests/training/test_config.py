"""Settings that are written in several ways."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from aucue.errors import InputError
from aucue.models.naming import MODEL_FILE
from aucue.training.checks import check_settings
from aucue.training.config import DataSettings, TrainConfig
from aucue.training.folder import is_finished
from aucue.training.names import CONFIG_NAME


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("set", "set"),
        ("set/", "set"),
        ("./set", "set"),
        ("sets//mine/./", "sets/mine"),
        ("/sets/mine/", "/sets/mine"),
        ("../set", "../set"),
        ("link/../set", "link/../set"),  # not `set`, if the link leads elsewhere
        ("./", "."),
        ("", ""),
    ],
)
def test_the_folder_of_a_set_has_one_spelling(given: str, taken: str) -> None:
    assert DataSettings(given).path == taken


def test_a_training_goes_on_however_the_folder_of_its_set_is_spelt(tmp_path: Path) -> None:
    began = TrainConfig(str(tmp_path), DataSettings("set"))
    (tmp_path / MODEL_FILE).touch()
    settings = began.to_dict()
    for written in ("set", "set/"):  # the latter by an earlier version
        settings["data"]["path"] = written
        (tmp_path / CONFIG_NAME).write_text(yaml.safe_dump(settings))
        for path in ("set", "set/", "./set"):
            assert is_finished(tmp_path, TrainConfig(str(tmp_path), DataSettings(path)))


@pytest.mark.parametrize("path", [None, 5, "", " "])
def test_what_is_no_folder_is_named(path: Any) -> None:
    with pytest.raises(InputError, match=r"^data\.path: "):
        check_settings(TrainConfig("run", DataSettings(path)))
