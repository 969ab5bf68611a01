from pathlib import Path

import pytest

from aucue.errors import InputError, MissingExtraError
from aucue.training import TrainConfig, TrainerSettings, loggers
from aucue.training.loggers import LOGGERS, logger_names, open_loggers


def test_names_choose_loggers(tmp_path: Path) -> None:
    assert logger_names("csv, tensorboard,csv") == ["csv", "tensorboard"]
    assert open_loggers("none", tmp_path, "start_1") == []
    opened = open_loggers("csv", tmp_path, "start_1")
    assert [type(logger).__name__ for logger in opened] == ["CSVLogger"]
    assert opened[0].log_dir == str(tmp_path / "start_1")  # pyright: ignore[reportAttributeAccessIssue]


def test_an_unknown_name_is_told_before_anything_is_read(tmp_path: Path) -> None:
    config = TrainConfig(str(tmp_path / "run"), None, trainer=TrainerSettings(logger="csv,wanbd"))  # pyright: ignore
    with pytest.raises(InputError, match=r"'wanbd' is none of csv, tensorboard, wandb, mlflow"):
        logger_names(config.trainer.logger)


def test_a_logger_that_is_not_installed_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(logs: Path, start: str) -> None:
        raise ModuleNotFoundError("Install wandb in several lines.")

    monkeypatch.setattr(loggers, "LOGGERS", {**LOGGERS, "wandb": missing})
    with pytest.raises(
        MissingExtraError, match=r"^trainer\.logger: wandb is not installed; .* pip install wandb\.$"
    ):
        open_loggers("wandb", tmp_path, "start_1")
