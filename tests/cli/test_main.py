import subprocess
import sys
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


def test_help_loads_no_torch():
    code = "from aucue.cli.main import main; main(['--help']); import sys; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "False"


def test_version(capsys: pytest.CaptureFixture[str]):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("aucue 0.")


def test_unknown_command(capsys: pytest.CaptureFixture[str]):
    assert main(["explian", "x.jpg"]) == 2
    assert capsys.readouterr().err == "aucue: unknown command explian; did you mean explain?\n"
    assert main(["frobnicate"]) == 2
    assert "choose demo, cue" in capsys.readouterr().err


def _stub(monkeypatch: pytest.MonkeyPatch, **attributes) -> None:
    monkeypatch.setattr(entry, "import_module", lambda name: SimpleNamespace(**attributes))


def _raise(error: BaseException):
    def run(argv):
        raise error

    return run


def test_a_module_with_run_gets_the_arguments(monkeypatch: pytest.MonkeyPatch):
    _stub(monkeypatch, run=lambda argv: len(argv))
    assert main(["train", "a", "--b", "c"]) == 3


@pytest.mark.parametrize(
    ("error", "status", "printed"),
    [
        (errors.InputError("row 3 is empty"), 2, "aucue train: row 3 is empty\n"),
        (errors.OutputExistsError("out exists"), 2, "aucue train: out exists\n"),
        (PermissionError(13, "Permission denied", "/out"), 2, "aucue train: Permission denied: /out\n"),
        (KeyboardInterrupt(), 130, "\naucue: interrupted\n"),
        (SystemExit(2), 2, ""),
        (SystemExit(None), 0, ""),
    ],
)
def test_errors_become_one_line_and_a_status(monkeypatch, capsys, error, status, printed):
    _stub(monkeypatch, run=_raise(error))
    assert main(["train"]) == status
    assert capsys.readouterr().err == printed


def test_bugs_are_not_hidden(monkeypatch: pytest.MonkeyPatch):
    _stub(monkeypatch, run=_raise(ValueError("a bug")))
    with pytest.raises(ValueError, match="a bug"):
        main(["train"])
