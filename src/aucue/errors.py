"""The errors aucue raises on purpose: one sentence that says what is wrong, where, and what to do."""

from importlib.util import find_spec


def printable(text: object) -> str:
    """A name as it may be shown on a terminal or in a page: control characters and broken letters escaped."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape", "backslashreplace").decode()
        for letter in str(text)
    )


def said(error: object, first_line: bool = False) -> str:
    """What another library or the system says, as a part of a sentence: in one line, without its full stop.

    Args:
        error: Its error, or the text of it.
        first_line: Leave out all lines but the first, where they quote data.
    """
    text = str(getattr(error, "strerror", None) or error).strip() or type(error).__name__
    line = text.splitlines()[0] if first_line else " ".join(text.split())
    line = printable(line.removesuffix("."))
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."


_LONGEST = 400  # letters: libraries quote whatever they were given


class AucueError(Exception):
    """Base of every deliberate error; the command line prints it as one line and exits with status 2.

    A sentence begins with where (a file and row, a setting) or with a capital letter, puts names into
    'single' quotation marks, and ends with a full stop. Names of files and values in it are somebody else's:
    it never holds control characters.
    """

    def __str__(self) -> str:
        return printable(super().__str__())


class InputError(AucueError, ValueError):
    """Something the user handed over (file, row, entry, argument) cannot be used."""


class MissingExtraError(AucueError, ImportError):
    """An optional dependency is needed; the message names the extra that installs it."""


_BROUGHT_BY = {
    "datasets": "train",
    "lightning": "train",
    "tensorboard": "train",
    "matplotlib": "report",
}
"""Module -> the extra that installs it, of those that rooms import without asking."""


def require_extras(*modules: str) -> None:
    """Refuse what needs modules of extras that are not installed, before anything else is loaded.

    Raises:
        MissingExtraError: One is missing.
    """
    for module in modules:
        if find_spec(module) is None:
            raise missing_extra(ModuleNotFoundError(module, name=module)) or ModuleNotFoundError(module)


def missing_extra(error: ImportError) -> MissingExtraError | None:
    """What to tell of a module that cannot be imported; None if no extra of aucue brings it."""
    module = (error.name or "").partition(".")[0]
    if not isinstance(error, ModuleNotFoundError) or module not in _BROUGHT_BY:
        return None
    extra = _BROUGHT_BY[module]
    return MissingExtraError(
        f"This needs {module}, which is not installed; install it with: pip install 'aucue[{extra}]'."
    )


class WeightsError(AucueError, RuntimeError):
    """Pretrained weights can be found neither at timm's source nor in a local file."""


class HubError(AucueError, RuntimeError):
    """A model hub cannot be reached, or does not give or take what is asked."""


class OutputExistsError(AucueError, FileExistsError):
    """The output exists already and nobody asked to replace it."""
