"""The errors aucue raises on purpose: one sentence that says what is wrong, where, and what to do."""


class AucueError(Exception):
    """Base of every deliberate error; the command line prints it as one line and exits with status 2."""


class InputError(AucueError, ValueError):
    """Something the user handed over (file, row, entry, argument) cannot be used."""


class MissingExtraError(AucueError, ImportError):
    """An optional dependency is needed; the message names the extra that installs it."""


class WeightsError(AucueError, RuntimeError):
    """Pretrained weights can be found neither at timm's source nor in a local file."""


class HubError(AucueError, RuntimeError):
    """A model hub cannot be reached, or does not give or take what is asked."""


class OutputExistsError(AucueError, FileExistsError):
    """The output exists already and nobody asked to replace it."""
