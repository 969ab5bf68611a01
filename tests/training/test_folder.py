"""What a training finds in its folder: another training, damage, another process."""

import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from aucue.errors import AucueError, InputError, OutputExistsError
from aucue.training import OptimizerSettings, TrainConfig, fit
from aucue.training.checkpoints import read_checkpoint
from aucue.work.files import claimed

from .conftest import small_training

OUT = Path("run")  # relative, so that copies of the folder hold the same settings


@pytest.fixture(scope="module")
def done(rendered: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder that holds `run`, a training of two epochs."""
    folder = tmp_path_factory.mktemp("done")
    before = Path.cwd()
    os.chdir(folder)
    try:
        fit(of(rendered), progress=False)
    finally:
        os.chdir(before)
    return folder


def of(rendered: Path) -> TrainConfig:
    return replace(small_training(rendered, OUT), epochs=2)


@pytest.fixture
def config(done: Path, rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    """Settings of the training in a fresh copy of that folder, which is where the test runs."""
    shutil.copytree(done / OUT, tmp_path / OUT)
    monkeypatch.chdir(tmp_path)
    return of(rendered)


@pytest.fixture
def unfinished(config: TrainConfig) -> TrainConfig:
    """The same before its model was written."""
    (OUT / "model.safetensors").unlink()
    return config


def same_weights(first: Path, second: Path) -> bool:
    left, right = load_file(first), load_file(second)
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def kept() -> dict[str, bytes]:
    """Everything that training has made."""
    files = [*OUT.glob("*.safetensors"), *OUT.glob("checkpoints/*"), OUT / "config.yaml"]
    return {str(file): file.read_bytes() for file in files if file.exists()}


def test_after_a_failed_start_the_corrected_command_works(
    rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings without a checkpoint stand for nothing that could be lost."""
    monkeypatch.chdir(tmp_path)
    config = replace(of(rendered), epochs=1)
    failing = replace(config, optimizer=OptimizerSettings(name="sgd", lr=1e6))
    with pytest.raises(AucueError, match="The training diverged"):
        fit(failing, progress=False)
    assert (OUT / "config.yaml").exists()
    assert not list(OUT.glob("checkpoints/*.ckpt"))
    assert fit(config, progress=False).exists()


@pytest.mark.parametrize("content", [b"", b"out: [", b"out: \xff", b"- 1\n", b"!!int x\n"])
@pytest.mark.parametrize("finished", [True, False])
def test_damaged_settings_cost_nothing(
    config: TrainConfig, done: Path, content: bytes, finished: bool
) -> None:
    if not finished:
        (OUT / "model.safetensors").unlink()
    (OUT / "config.yaml").write_bytes(content)
    before = kept()
    with pytest.raises(InputError, match=r"run/config\.yaml.*; remove this file and run the same again"):
        fit(config, progress=False)
    assert kept() == before
    (OUT / "config.yaml").unlink()
    if finished or content == b"":  # the content is gone; going on once is enough
        assert same_weights(fit(config, progress=False), done / OUT / "model.safetensors")


@pytest.mark.parametrize("finished", [True, False])
def test_without_the_file_the_settings_are_known(config: TrainConfig, finished: bool) -> None:
    if not finished:
        (OUT / "model.safetensors").unlink()
    (OUT / "config.yaml").unlink()
    before = kept()
    with pytest.raises(OutputExistsError, match="other settings"):
        fit(replace(config, seed=6), progress=False)
    assert kept() == before


class Leaves:
    """Unpickling it writes a file."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return open, ("unpickled", "w")


def spoilt(content: bytes, how: str) -> bytes:
    if how == "pickle":
        return pickle.dumps(Leaves())
    if how == "cut":
        return content[: len(content) // 2]
    if how == "empty":
        return b""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :]


@pytest.mark.parametrize("how", ["pickle", "cut", "empty", "flipped"])
def test_a_damaged_checkpoint_is_a_sentence(unfinished: TrainConfig, done: Path, how: str) -> None:
    last = OUT / "checkpoints" / "last.ckpt"
    last.write_bytes(spoilt(last.read_bytes(), how))
    before = kept()
    with pytest.raises(InputError, match=r"last\.ckpt is damaged .*nothing was unpickled.*another --out"):
        fit(unfinished, progress=False)
    assert kept() == before
    assert not Path("unpickled").exists()
    shutil.copy(OUT / "checkpoints" / "best.ckpt", last)  # the way on that the sentence names
    if how == "flipped":  # which was damaged otherwise, the same way on
        assert same_weights(fit(unfinished, progress=False), done / OUT / "model.safetensors")


def test_a_pickle_inside_the_archive_of_a_checkpoint(unfinished: TrainConfig) -> None:
    last = OUT / "checkpoints" / "last.ckpt"
    torch.save({**read_checkpoint(last), "figures": Leaves()}, last)
    with pytest.raises(InputError, match="nothing was unpickled"):
        fit(unfinished, progress=False)
    assert not Path("unpickled").exists()


@pytest.mark.parametrize("change", ["settings", "weights", "entries"])
def test_a_checkpoint_of_something_else(unfinished: TrainConfig, change: str) -> None:
    last = OUT / "checkpoints" / "last.ckpt"
    content = read_checkpoint(last)
    if change == "settings":
        content["settings"]["seed"] = 7
    elif change == "weights":
        content["state_dict"].popitem()
    else:
        del content["loops"]
    torch.save(content, last)
    with pytest.raises(InputError, match=r"last\.ckpt is .*choose another --out"):
        fit(unfinished, progress=False)


def test_a_second_process_is_told(unfinished: TrainConfig) -> None:
    before = kept()
    with claimed(OUT), pytest.raises(InputError, match="Another process is writing to run"):
        fit(unfinished, progress=False)
    assert kept() == before
    assert fit(unfinished, progress=False).exists()  # the claim is gone


def test_a_file_is_no_folder(rendered: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(InputError, match="file is a file; --out needs a folder"):
            fit(small_training(rendered, tmp_path / "file"), overwrite=overwrite, progress=False)
    assert (tmp_path / "file").read_text() == "mine"
