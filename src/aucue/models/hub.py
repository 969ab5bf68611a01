"""Model files on a model hub: `hf:OWNER/NAME` wherever a model file can be named.

The hub's client is imported when an address is: a file on this machine does not wait for it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aucue.classifiers.weights import is_reachable
from aucue.errors import HubError, InputError, said
from aucue.models.naming import MODEL_FILE, SCHEME, is_address


def local_file(model: str | Path) -> Path:
    """Where a model file lies on this machine; one of a hub is fetched first, unless that was done before.

    Args:
        model: path, or `hf:OWNER/NAME`, with `@REVISION` behind it for another version than the newest.

    Returns:
        The path as given, or that of the copy in the hub's cache. Without a network the cached copy serves.

    Raises:
        InputError: the address is none.
        HubError: the hub cannot be reached, or has no such model.
    """
    if not is_address(model):
        return Path(model)
    from huggingface_hub import constants, hf_hub_download  # its parts are attributes only once imported

    repository, _, revision = Path(model).as_posix().removeprefix(SCHEME).partition("@")
    with hub_errors(repository):
        offline = not is_reachable(constants.ENDPOINT)
        return Path(
            hf_hub_download(repository, MODEL_FILE, revision=revision or None, local_files_only=offline)
        )


def require_hub() -> None:
    """Refuse at once what needs a hub that does not answer; its client would try again for half a minute.

    Raises:
        OfflineModeIsEnabled: It does not; `hub_errors` makes a sentence of that.
    """
    from huggingface_hub import constants
    from huggingface_hub.errors import OfflineModeIsEnabled

    if not is_reachable(constants.ENDPOINT):
        raise OfflineModeIsEnabled(constants.ENDPOINT)


def check_repository(repository: str) -> None:
    """Refuse a name under which no hub can keep a model.

    Raises:
        InputError: it is not of the form OWNER/NAME.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    with hub_errors(repository):
        validate_repo_id(repository)
        if "/" not in repository:
            raise HFValidationError(repository)


@contextmanager
def hub_errors(repository: str) -> Iterator[None]:
    """Turn what goes wrong with a hub into one sentence.

    Args:
        repository: what was asked for, OWNER/NAME.

    Raises:
        InputError: that is no name of a repository.
        HubError: anything else.
    """
    from huggingface_hub.errors import HFValidationError

    try:
        yield
    except HFValidationError as error:
        raise InputError(f"'{repository}' is no repository of a model hub; write OWNER/NAME.") from error
    except Exception as error:  # the hub's client passes on errors of its own and of what lies below it
        raise HubError(_sentence(repository, error)) from error


def _sentence(repository: str, error: Exception) -> str:
    from huggingface_hub import constants
    from huggingface_hub import errors as hub

    hub_address, switched_off = constants.ENDPOINT, constants.HF_HUB_OFFLINE
    away = "the hub is switched off (HF_HUB_OFFLINE)" if switched_off else f"{hub_address} cannot be reached"
    if isinstance(error, hub.LocalEntryNotFoundError):
        return f"{repository}: no copy is on this machine, and {away}."
    if isinstance(error, hub.OfflineModeIsEnabled):
        return f"{repository}: {away}."
    if isinstance(error, hub.LocalTokenNotFoundError):
        return f"{repository}: sending needs a login; run 'hf auth login' or set HF_TOKEN."
    if isinstance(error, hub.RevisionNotFoundError):
        return f"{repository}: there is no such version (what follows the @) at {hub_address}."
    if isinstance(error, hub.RepositoryNotFoundError):
        return f"{repository}: {hub_address} has none of that name, or it is private: run 'hf auth login'."
    if isinstance(error, hub.EntryNotFoundError):
        return f"{repository}: holds no {MODEL_FILE}, so it is no model of aucue."
    return f"{repository}: {hub_address} cannot be used ({said(error)})."
