"""Where a training's figures are logged while it runs, by name."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from aucue.errors import InputError, MissingExtraError
from aucue.work.tables import did_you_mean

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger


# Lightning is imported by the one that is opened: the names are checked before that.


def _csv(logs: Path, start: str) -> "Logger":
    from lightning.pytorch.loggers import CSVLogger

    return CSVLogger(logs, name="", version=start)


def _tensorboard(logs: Path, start: str) -> "Logger":
    from lightning.pytorch.loggers import TensorBoardLogger

    return TensorBoardLogger(logs, name="", version=start)


def _wandb(logs: Path, start: str) -> "Logger":
    from lightning.pytorch.loggers import WandbLogger

    logs.mkdir(parents=True, exist_ok=True)
    return WandbLogger(name=f"{logs.parent.name}/{start}", save_dir=logs, project="aucue")


def _mlflow(logs: Path, start: str) -> "Logger":
    from lightning.pytorch.loggers import MLFlowLogger

    return MLFlowLogger("aucue", run_name=f"{logs.parent.name}/{start}", save_dir=str(logs / "mlruns"))


LOGGERS: Mapping[str, Callable[[Path, str], "Logger"]] = MappingProxyType(
    {"csv": _csv, "tensorboard": _tensorboard, "wandb": _wandb, "mlflow": _mlflow}
)
"""By the names that `trainer.logger` takes."""


def open_loggers(names: str, logs: Path, start: str) -> "list[Logger]":
    """The loggers of a training.

    Args:
        names: Some of `LOGGERS`, with commas between; "none" for none.
        logs: Folder for those that write files.
        start: What this start of the training is called there.

    Raises:
        InputError: A name is none.
        MissingExtraError: What a logger needs is not installed.
    """
    return [_opened(name, logs, start) for name in logger_names(names)]


def logger_names(names: str) -> list[str]:
    """The single names, each once.

    Raises:
        InputError: One is none.
    """
    given = list(dict.fromkeys(name.strip() for name in names.split(",")))
    if given == ["none"]:
        return []
    for name in given:
        if name not in LOGGERS:
            raise InputError(
                f"trainer.logger: '{name}' is none of {', '.join(LOGGERS)}; write some with commas between, "
                f"or none.{did_you_mean(name, LOGGERS)}"
            )
    return given


def _opened(name: str, logs: Path, start: str) -> Any:
    try:
        return LOGGERS[name](logs, start)
    except ModuleNotFoundError as error:  # Lightning says it in its own words, over several lines
        raise MissingExtraError(
            f"trainer.logger: {name} is not installed; install it with: pip install {name}."
        ) from error
