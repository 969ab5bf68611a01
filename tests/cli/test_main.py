import os
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from aucue import errors
from aucue.cli import main as entry
from aucue.cli.main import COMMANDS, main


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"  {name}" in text for name in COMMANDS)
    assert main([]) == 2


def test_version(capsys: pytest.CaptureFixture[str]):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("aucue 0.")


def test_unknown_command(capsys: pytest.CaptureFixture[str]):
    assert main(["explian", "x.jpg"]) == 2
    assert capsys.readouterr().err.endswith(", doctor. Did you mean 'explain'?\n")
    assert main(["frobnicate"]) == 2
    assert capsys.readouterr().err.startswith(
        "aucue: There is no command 'frobnicate'; choose from demo, cue, "
    )


def _stub(monkeypatch: pytest.MonkeyPatch, **attributes) -> None:
    monkeypatch.setattr(entry, "import_module", lambda name: SimpleNamespace(**attributes))


def _raise(error: BaseException):
    def run(argv):
        raise error

    return run


def test_a_module_with_run_gets_the_arguments(monkeypatch: pytest.MonkeyPatch):
    _stub(monkeypatch, run=lambda argv: len(argv))
    assert main(["train", "a", "--b", "c"]) == 3


def _wrapped(error: Exception) -> Exception:
    """An error of a library that says in its own words what the system said."""
    try:
        try:
            raise error
        except OSError as cause:
            raise RuntimeError("writing failed") from cause
    except RuntimeError as wrapped:
        return wrapped


FULL, FREE = "aucue train: No space left on device", "free some space and run the same again."
MEMORY = "aucue train: There is not enough memory; take smaller batches or photographs, or fewer workers.\n"


@pytest.mark.parametrize(
    ("error", "status", "printed"),
    [
        (errors.InputError("row 3 is empty"), 2, "aucue train: row 3 is empty\n"),
        (errors.OutputExistsError("out exists"), 2, "aucue train: out exists\n"),
        (PermissionError(13, "Permission denied", "/out"), 2, "aucue train: Permission denied: /out.\n"),
        (OSError(28, "No space left on device", "/out/a.png"), 2, f"{FULL}: /out/a.png; {FREE}\n"),
        (OSError(28, "No space left on device"), 2, f"{FULL}; {FREE}\n"),
        (_wrapped(OSError(28, "No space left on device")), 2, f"{FULL}; {FREE}\n"),
        (
            OSError(30, "Read-only file system", "/out"),
            2,
            "aucue train: Read-only file system: /out; choose a folder that can be written to.\n",
        ),
        (
            OSError(36, "File name too long", "aa"),
            2,
            "aucue train: File name too long: aa; choose a shorter name.\n",
        ),
        (FileExistsError(17, "File exists", "/out"), 2, "aucue train: File exists: /out.\n"),
        (NotADirectoryError(20, "Not a directory", "/out/a"), 2, "aucue train: Not a directory: /out/a.\n"),
        (FileNotFoundError(2, "No such file", "a", None, "b"), 2, "aucue train: No such file: a -> b.\n"),
        (
            BrokenPipeError(32, "Broken pipe"),
            2,
            "aucue train: Broken pipe; whatever was to read the output has ended.\n",
        ),
        (OSError("cannot write mode P as JPEG"), 2, "aucue train: cannot write mode P as JPEG.\n"),
        (errors.InputError("a\x1b[31mb\udcff\nrow 2"), 2, "aucue train: a\\x1b[31mb\\udcff\\nrow 2\n"),
        (PermissionError(13, "No", "a\x1b"), 2, "aucue train: No: a\\x1b.\n"),
        (MemoryError(), 2, MEMORY),
        (type("OutOfMemoryError", (RuntimeError,), {})("CUDA"), 2, MEMORY),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), 2, MEMORY),
        (KeyboardInterrupt(), 130, "\naucue: interrupted\n"),
        (SystemExit(2), 2, ""),
        (SystemExit(None), 0, ""),
    ],
)
def test_errors_become_one_line_and_a_status(monkeypatch, capsys, error, status, printed):
    _stub(monkeypatch, run=_raise(error))
    assert main(["train"]) == status
    assert capsys.readouterr().err == printed


@pytest.mark.parametrize("error", [ValueError("a bug"), _wrapped(FileNotFoundError(2, "No such file"))])
def test_bugs_are_not_hidden(monkeypatch: pytest.MonkeyPatch, error: Exception):
    _stub(monkeypatch, run=_raise(error))
    with pytest.raises(type(error), match=str(error)):
        main(["train"])


def _print(*texts: str):
    def run(argv):
        print(*texts, sep="\n")
        return 0

    return run


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_errors_in_a_ring_are_not_followed_for_ever(monkeypatch: pytest.MonkeyPatch):
    error, other = RuntimeError("raised anew"), RuntimeError("because of")
    error.__cause__, other.__cause__ = other, error
    _stub(monkeypatch, run=_raise(error))
    with pytest.raises(RuntimeError, match="raised anew"):
        main(["train"])


def test_torch_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys):
    error = ModuleNotFoundError("No module named 'torch'", name="torch")
    _stub(monkeypatch, run=_raise(error))
    assert main(["train"]) == 2
    assert capsys.readouterr().err.startswith("aucue train: This needs torch, which is not installed")


def test_an_output_that_is_full(monkeypatch, capsys):
    _stub(monkeypatch, run=_print("much"))
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main(["train"]) == 2
        full.flush()  # as Python does when it ends: nothing is complained of twice
    assert capsys.readouterr().err == f"{FULL}; {FREE}\n"


def test_an_output_that_nobody_reads(monkeypatch, capsys):
    _stub(monkeypatch, run=_print("much"))
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert main(["train"]) == 2
    assert "Broken pipe; whatever was to read the output has ended." in capsys.readouterr().err


def test_names_that_are_no_unicode_are_printed(monkeypatch, tmp_path):
    _stub(monkeypatch, run=_print("a\udcff.jpg", "Привет.jpg"))
    with open(tmp_path / "out.txt", "w", encoding="ascii") as out:
        monkeypatch.setattr(sys, "stdout", out)
        assert main(["train"]) == 0
    said = (tmp_path / "out.txt").read_text().splitlines()
    assert said == ["a\\udcff.jpg", r"\u041f\u0440\u0438\u0432\u0435\u0442.jpg"]


def test_the_package_can_be_run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "argv", ["aucue", "--version"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_module("aucue", run_name="__main__")
    assert capsys.readouterr().out.startswith("aucue 0.")
