"""Models on the Hugging Face Hub: `model.push_to_hub("org/model")` and `hf://org/model`.

A repository holds the bundle in `model/` and a model card as its `README.md`, which may be edited there
without damage to the bundle. The token, the endpoint and the cache are those of `huggingface_hub`
(`hf auth login`, `HF_TOKEN`, `HF_ENDPOINT`, `HF_HOME`); with `HF_HUB_OFFLINE=1` models come from the cache.
"""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from aisle import __version__
from aisle.errors import AisleError, extra, first_line
from aisle.inference.folder import MANIFEST
from aisle.inference.hub_card import hub_card

# `Path` turns `hf://` into `hf:/`.
_ADDRESS = re.compile(r"^hf:/{1,2}(?P<repo>[\w.-]+(?:/[\w.-]+)?)(?:@(?P<revision>.+))?$")
_FOLDER = "model"


class HubError(AisleError):
    """A model cannot be pushed to the Hub, or loaded from there."""


class HubAddress(NamedTuple):
    """`hf://org/model@revision`: a repository, and a branch, a tag or a commit of it."""

    repo_id: str
    revision: str | None

    def __str__(self) -> str:
        return f"hf://{self.repo_id}" + (f"@{self.revision}" if self.revision else "")


def hub_address(folder: str | Path) -> HubAddress | None:
    """The address of a model on the Hub; None for a local folder.

    Raises:
        HubError: It begins like an address and is none.
    """
    text = Path(folder).as_posix()
    if not text.startswith("hf:/"):
        return None
    match = _ADDRESS.match(text)
    if match is None:
        raise HubError(f"{text}: write hf://ORGANISATION/MODEL, or hf://ORGANISATION/MODEL@REVISION")
    revision = match["revision"]
    return HubAddress(match["repo"], unquote(revision) if revision else None)


def download(address: HubAddress) -> Path:
    """The local folder of a model on the Hub, downloaded where it is not in the cache.

    Raises:
        HubError: It is not there, holds no model, or access is denied; or it is not in the cache and the Hub
            cannot be reached.
        MissingExtraError: huggingface_hub is not installed.
    """
    api = _client(str(address))
    with _one_line(str(address)):
        folder = Path(api.snapshot_download(address.repo_id, revision=address.revision))
    if not any((candidate / MANIFEST).exists() for candidate in (folder, folder / _FOLDER)):
        raise HubError(f"{address} holds no model of Aisle: it has no {MANIFEST}")
    return folder


def push(
    model: Any,
    repo_id: str,
    *,
    license: str | None,
    private: bool | None,
    revision: str | None,
    commit_message: str | None,
    create_pr: bool,
    token: str | None,
) -> str:
    """Write a model and its card to a repository; arguments and errors as of `BasePredictor.push_to_hub`."""
    api = _client("push_to_hub", token)
    with tempfile.TemporaryDirectory(prefix="aisle-hub-") as name, _one_line(repo_id):
        folder = Path(name)
        saved = model.save(folder / _FOLDER)
        repository = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        if revision is not None:
            api.create_branch(repository, branch=revision, exist_ok=True)
        (folder / "README.md").write_text(hub_card(saved, repository, license), "utf-8")
        commit = api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            revision=revision,
            commit_message=commit_message or f"Model {saved.model_id}",
            create_pr=create_pr,
            delete_patterns=[f"{_FOLDER}/*"],  # files of an earlier model
        )
    return str(commit.pr_url or commit.repo_url)


def _client(action: str, token: str | None = None) -> Any:
    hub: Any = extra("huggingface_hub", "hub", action)
    return hub.HfApi(token=token, library_name="aisle", library_version=__version__)


@contextmanager
def _one_line(action: str) -> Iterator[None]:
    """Turn errors of huggingface_hub into one line.

    Raises:
        HubError: One was raised.
    """
    from huggingface_hub import errors

    try:
        yield
    except errors.RevisionNotFoundError as error:
        raise HubError(f"{action}: the Hub has no such revision") from error
    except errors.GatedRepoError as error:
        raise HubError(f"{action}: access to this repository has to be granted on its page first") from error
    except errors.RepositoryNotFoundError as error:
        message = "the Hub has no such repository, or your token may not read it (`hf auth login`, HF_TOKEN)"
        raise HubError(f"{action}: {message}") from error
    except errors.LocalEntryNotFoundError as error:
        message = "it is not in the cache, and the Hub cannot be reached"
        raise HubError(f"{action}: {message} ({first_line(error)})") from error
    except errors.OfflineModeIsEnabled as error:
        raise HubError(f"{action}: HF_HUB_OFFLINE is set, so the Hub is not asked") from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        advice = "; log in with `hf auth login` or set HF_TOKEN" if status in (401, 403) else ""
        message = (error.server_message or first_line(error)).strip().splitlines()[0]
        raise HubError(f"{action}: the Hub answered {status}: {message[:200]}{advice}") from error
    except (errors.HFValidationError, OSError) as error:
        raise HubError(f"{action}: {first_line(error)}") from error
