"""The folder of a training: whose settings it holds, whether it is finished, and who may write to it."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from aucue.errors import InputError, OutputExistsError
from aucue.models.naming import MODEL_FILE
from aucue.training.config import DataSettings, TrainConfig
from aucue.training.names import CHECKPOINTS, CONFIG_NAME, LAST
from aucue.work.files import appearing, claimed
from aucue.work.tables import read_mapping

if TYPE_CHECKING:
    from torch import nn


def is_finished(out: Path, config: TrainConfig, overwrite: bool = False) -> bool:
    """Whether a folder holds the model of these settings.

    Args:
        out: The folder, which need not exist.
        config: The settings.
        overwrite: Whatever it holds is to be replaced.

    Raises:
        OutputExistsError: It holds a training with other settings.
        InputError: It is a file, or what it holds is damaged.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; --out needs a folder.")
    model, last = out / MODEL_FILE, out / CHECKPOINTS / LAST
    if overwrite or not (model.exists() or last.exists()):
        return False  # whatever else is there came from a start that failed: nothing of it is lost
    if _of_training(_settings_of(out)) != _of_training(_plain(config)):
        told = next(file for file in (out / CONFIG_NAME, model, last) if file.exists())
        raise OutputExistsError(
            f"{out} holds a training with other settings (see {told}); "
            "choose another --out or pass --overwrite."
        )
    return model.exists()


def take(
    claim: ExitStack, out: Path, config: TrainConfig, overwrite: bool, network: "nn.Module"
) -> Path | None:
    """Make a folder that of these settings, and of this process alone.

    Args:
        claim: What gives the folder back when it is closed.
        out: The folder.
        config: The settings.
        overwrite: Remove what another training left there.
        network: What the checkpoint has to fit.

    Returns:
        The checkpoint to go on from; None for a new training.

    Raises:
        OutputExistsError: The folder holds a training with other settings.
        InputError: Another process writes there, or what is there is damaged.
    """
    claim.enter_context(claimed(out))
    last = out / CHECKPOINTS / LAST
    if overwrite:
        for stale in (out / MODEL_FILE, *(out / CHECKPOINTS).glob("*.ckpt")):
            stale.unlink(missing_ok=True)
    is_finished(out, config)  # once more: another process may have written since
    if last.exists():
        _check_fits(last, config, network)
    with appearing(out / CONFIG_NAME) as unfinished:
        unfinished.write_text(yaml.safe_dump(config.to_dict(), sort_keys=False), encoding="utf-8")
    return last if last.exists() else None


def _settings_of(out: Path) -> Any:
    """Settings of the training that a folder holds: as its config.yaml says, without one as stored inside the
    model or the checkpoint.
    """
    file = out / CONFIG_NAME
    if not file.exists():
        if (out / MODEL_FILE).exists():
            from aucue.models import load_card

            return load_card(out / MODEL_FILE).provenance.get("settings")
        from aucue.training.checkpoints import read_checkpoint

        return _as_yaml(read_checkpoint(out / CHECKPOINTS / LAST)["settings"])
    try:
        return read_mapping(file)
    except InputError as error:
        raise InputError(
            f"{str(error).removesuffix('.')}; remove this file and run the same again: model and checkpoints "
            "hold the settings, too, and the training goes on."
        ) from error


def _check_fits(last: Path, config: TrainConfig, network: "nn.Module") -> None:
    from aucue.training.checkpoints import read_checkpoint

    checkpoint = read_checkpoint(last)
    try:
        network.load_state_dict(checkpoint["state_dict"])
        fits = _of_training(_as_yaml(checkpoint["settings"])) == _of_training(_plain(config))
    except (RuntimeError, TypeError, AttributeError):
        fits = False
    if not fits:
        raise InputError(f"{last} is of another training; choose another --out, which loses nothing.")


def _plain(config: TrainConfig) -> Any:
    """Settings as they are read again."""
    return _as_yaml(config.to_dict())


def _of_training(settings: Any) -> Any:
    """Settings without those that change nothing of a training: where it is logged, how its set is spelt.

    Those of before 0.2 name an accelerator and the number of devices.
    """
    if not isinstance(settings, dict) or not isinstance(settings.get("trainer"), dict):
        return settings
    data = settings.get("data")
    if isinstance(data, dict) and isinstance(data.get("path"), str):
        settings = {**settings, "data": {**data, "path": DataSettings(data["path"]).path}}
    trainer = {name: value for name, value in settings["trainer"].items() if name != "logger"}
    if "accelerator" in trainer:
        kind = {"gpu": "cuda"}.get(trainer.pop("accelerator"), "auto")
        count = trainer.pop("devices", 1)
        trainer["device"] = kind if count == 1 else f"{count}x{kind}"
    return {**settings, "trainer": trainer}


def _as_yaml(settings: Any) -> Any:
    return yaml.safe_load(yaml.safe_dump(settings))
