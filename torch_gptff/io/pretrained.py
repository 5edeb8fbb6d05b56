"""Checkpoints by name: one that comes with the package, and published ones, fetched once, verified, and kept."""

from __future__ import annotations

import logging
from pathlib import Path

from torch_gptff.cache import cache_folder
from torch_gptff.defaults import DEFAULT_MODEL
from torch_gptff.errors import CheckpointError, DownloadError
from torch_gptff.io.checkpoint import load
from torch_gptff.io.published import load_published
from torch_gptff.io.published_file import PublishedFile
from torch_gptff.potential import Potential

_HOME = (
    "https://raw.githubusercontent.com/atomly-materials-research-lab/GPTFF/"
    "c850738624006c34a3859428966b72702763ea4b/pretrained/"
)

PRETRAINED = {
    "gptff-v1": PublishedFile(
        _HOME + "gptff_v1.pth", "fb798e5fa2fd6c159231d9c2ae23eb9b912ccc927eb8b9f34d473adc4b784323", "GPL-3.0"
    ),
    "gptff-v2": PublishedFile(
        _HOME + "gptff_v2.pth", "549e862d93b8fbc0ad052162bad90492040c68c196480427ae8266209a077900", "GPL-3.0"
    ),
}
"""The published checkpoints by name."""

SHIPPED = {
    name: Path(__file__).parent / "weights" / f"{name}.safetensors"
    for name in (DEFAULT_MODEL, "gptff-universal-large", "gptff-universal-0.1")
}
"""The checkpoints that come with the package; that of version 0.1 is kept for results that were made with it."""


def load_pretrained(name_or_path: str | Path = DEFAULT_MODEL, reference: str | None = None) -> Potential:
    """A potential by name, or from a file: a checkpoint of this package, or a published ``.pth``.

    Args:
        name_or_path: ``"gptff-universal"``, the larger ``"gptff-universal-large"``, or that of version 0.1,
            ``"gptff-universal-0.1"``, which come with the package; ``"gptff-v1"`` or ``"gptff-v2"``, which are fetched
            once and kept in the user's cache folder, or in ``$TORCH_GPTFF_CACHE``; or a path
        reference: source whose reference energies are relative to, see
            :meth:`~torch_gptff.Potential.use_reference`; by default the one that was saved

    Raises:
        CheckpointError: neither a known name nor a file, or see :func:`load` and :func:`load_published`.
        DownloadError: the checkpoint could not be fetched, or is not the one that was published.
        UnknownReferenceError: the model has no such reference.
    """
    potential = _load(name_or_path)
    return potential if reference is None else potential.use_reference(reference)


def _load(name_or_path: str | Path) -> Potential:
    if str(name_or_path) in SHIPPED:
        return load(SHIPPED[str(name_or_path)])
    if str(name_or_path) in PRETRAINED:
        return load_published(fetch(str(name_or_path)))
    path = Path(name_or_path).expanduser()
    if not path.is_file():
        names = ", ".join((*SHIPPED, *PRETRAINED))
        raise CheckpointError(f"no model {str(name_or_path)!r}: give a path to a checkpoint, or one of {names}")
    return load_published(path) if path.suffix == ".pth" else load(path)


def fetch(name: str) -> Path:
    """The verified file of a named checkpoint, from the cache or from its home.

    Raises:
        DownloadError: it could not be fetched, or its sha256 is not the published one; nothing is left behind.
    """
    import pooch
    import requests

    file = PRETRAINED[name]
    folder = cache_folder()
    pooch.get_logger().setLevel(logging.WARNING)
    by_hand = f"fetch {file.url} on another machine and give the path of the file instead of {name!r}"
    try:
        return Path(pooch.retrieve(file.url, f"sha256:{file.sha256}", file.url.rsplit("/", 1)[-1], folder))
    except (requests.RequestException, OSError) as error:
        raise DownloadError(f"{name} could not be fetched ({error}). Without a network, {by_hand}") from error
    except ValueError as error:
        raise DownloadError(
            f"what {file.url} sent is not the published {name}: its sha256 differs, so it was not kept. Try again; if "
            f"it stays so, {by_hand}"
        ) from error
