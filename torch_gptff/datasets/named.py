"""Published datasets by name, downloaded and verified, or read from a folder that has them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch_gptff.cache import cache_folder
from torch_gptff.datasets.sources import Source
from torch_gptff.errors import DatasetError, DownloadError
from torch_gptff.io.published_file import PublishedFile


@dataclass(frozen=True)
class NamedData:
    """A published dataset.

    Attributes:
        holds: description in one line
        home: address of its publication
        files: files that are downloaded, by their local path; empty where the publisher states no check sum
        sources: paths within its folder that are read, with the options of the reader; ``""`` is the folder itself
        format: format of its files
    """

    holds: str
    home: str
    format: str
    files: Mapping[str, PublishedFile] = field(default_factory=dict)
    sources: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"": {}})


_MLEARN = "https://raw.githubusercontent.com/materialsvirtuallab/mlearn/10c427a5480c6281c15c64efaf869b03be04818f/data/"
_ALIGNN = (
    "https://raw.githubusercontent.com/usnistgov/alignn/a8be0bed552ac70c14b8db825a48dbca1d14ad8d/"
    "alignn/examples/sample_data_ff/mlearn_data/"
)
_DNP20 = (
    "https://raw.githubusercontent.com/saidigroup/20-DNPs-Tm/5cf1f98a7e536c216a8e9dc4b5bf45c5e9108270/"
    "Training%20Datasets/"
)
_DNP23 = (
    "https://raw.githubusercontent.com/saidigroup/23-Single-Element-DNPs/8b3ba91386c3d607901769b05b8f01d8c3202757/"
    "Training_Data/"
)


def _mlearn(path: str, sha256: str) -> PublishedFile:
    return PublishedFile(_MLEARN + path, sha256, "BSD-3-Clause")


def _alignn(element: str, sha256: str) -> PublishedFile:
    return PublishedFile(f"{_ALIGNN}{element}/id_prop.json", sha256, "NIST")


def _dnp(url: str, sha256: str) -> PublishedFile:
    return PublishedFile(url, sha256, "GPL-3.0")


NAMED = {
    "mlearn": NamedData(
        "six elements, 1,402 + 164 frames (Zuo et al. 2020)",
        "https://github.com/materialsvirtuallab/mlearn",
        "mlearn",
        files={
            "Cu/id_prop.json": _alignn("Cu", "da912b6e4daf7eecd85f5873c91fa7f3c63e2c339596a420af4a89147218b76e"),
            "Ni/id_prop.json": _alignn("Ni", "a66cfc5211785133c5f6c8e958fb6cca3f7dcaac92aed579d23f033dd7852156"),
            **{
                path: _mlearn(path, sha256)
                for path, sha256 in {
                    "Cu/test.json": "1805a315ce8d0ce4a18bb761df4c4f619909ce114d598d426015d0071edc98c2",
                    "Ge/test.json": "737ea6159c9dd27ebee7fb8ffae22f15e20466884927771248ca4f5b2cd3f093",
                    "Ge/training.json": "43dee02009a5167f94c7aafce19051222bcfc328c46181750cc2a2018187ca00",
                    "Li/test.json": "554d0ce60b35a07b357be3a80bf04f68eb8fc97b5a88328caf08c860b5e9b260",
                    "Li/training.json": "1cac01475c5a4fb85771ee1fd23366a6b8abfb9891e0c9e088b6e37228e147b3",
                    "Mo/test.json": "68169e2927c2115daa2f504805fcb9548ee65daf2dd015428807ba92f8e13bb8",
                    "Mo/training.json": "b13305fca0d0d2631ab080c8fcf13c743ee79a911712fb65a34ca88fadf09f9a",
                    "Ni/test.json": "dccbfa14ddff5d1d35f658c48b68f6b431f95496a5261ef8b8f4d1d41e36008a",
                    "Si/test.json": "d452b30a89f23bff76f7cc529b7b6c2d159ea81ccd5a4599fb1a18207654fa91",
                    "Si/training.json": "ae6d4b0a65b00e0fcf7ba0a6fad366716710d2f0d21d70199203089c6866b500",
                }.items()
            },
        },
    ),
    "single-element-dnps": NamedData(
        "Ti, Zr, Nb, Ni, Os, Re: 7,842 frames (Andolina and Saidi 2023)",
        "https://github.com/saidigroup/20-DNPs-Tm and https://github.com/saidigroup/23-Single-Element-DNPs",
        "deepmd",
        files={
            "iter0_Ti.tar.xz": _dnp(
                _DNP23 + "Ti/iter0_Ti.tar.xz", "671f4a2f54fd87b43768572a0fce852d38d4a6969f8e6cc038e7402bf0c753d6"
            ),
            **{
                name: _dnp(_DNP20 + name, sha256)
                for name, sha256 in {
                    "Nb_org1.tar.gz": "907c143bb3492690ebc436830f6a8f37d215eef4f284eec421b627b3ca043086",
                    "Ni_org0.tar.gz": "893850a623205a4a2abbde53ec31b6f96b46f3eb1fe1ebd0d962f4814c4287dc",
                    "Os_org0.tar.gz": "8f241c730a3415bd8696c5dbafa479eea0a8f8420517cd90610ac18d473f2fb3",
                    "Re_org0.tar.gz": "5c052a0199eaf6d63ef5c966525d90fb737455fbe43d3b4f36f5819a8ac9b8e1",
                    "Zr_org0c5.tar.gz": "108a19e8afa6ece93a0374cfcb3e066d6d3c18ab7926e734e0066a441c6b7588",
                    "Zr_org2.tar.gz": "d66851399b20af616e5135b6339cd20722e53ab6ac507a20f9a4aa5233a971c3",
                }.items()
            },
        },
        sources={
            "iter0_Ti.tar.xz": {"type_map": ("Ti",)},
            "Nb_org1.tar.gz": {"type_map": ("Nb",)},
            "Ni_org0.tar.gz": {"type_map": ("Ni",)},
            "Os_org0.tar.gz": {"type_map": ("Os",)},
            "Re_org0.tar.gz": {"type_map": ("Re",)},
            "Zr_org0c5.tar.gz": {"type_map": ("Zr",)},
            "Zr_org2.tar.gz": {"type_map": ("Zr",)},
        },
    ),
    "lgps": NamedData(
        "Li10GeP2S12, 6,550 frames of 50 and 400 atoms (Huang et al. 2021)",
        "https://github.com/John2021-hub/mace-ft-tutorial, examples/LiGePS-SSE-PBE",
        "deepmd",
        sources={"": {"type_map": ("Li", "Ge", "P", "S")}},
    ),
    "acwf": NamedData(
        "equations of state of 960 unaries and oxides by VASP (Bosoni et al. 2024)",
        "https://github.com/aiidateam/acwf-verification-scripts",
        "acwf",
        sources={f"results-{name}-verification-PBE-v1-vasp.json": {} for name in ("unaries", "oxides")},
    ),
    "mptrj": NamedData(
        "MPtrj, 1,580,395 frames of the Materials Project (Deng et al. 2023)",
        "https://doi.org/10.6084/m9.figshare.23713842.v2",
        "mptrj",
        sources={"MPtrj_2022.9_full.json": {}},
    ),
    "matpes-pbe": NamedData(
        "MatPES, 434,712 frames, PBE",
        "https://s3.us-east-1.amazonaws.com/materialsproject-contribs/MatPES_2025_1/MatPES-PBE-2025.1.json.gz",
        "matpes",
        sources={"MatPES-PBE-2025.1.json.gz": {}},
    ),
    "matpes-r2scan": NamedData(
        "MatPES, 387,897 frames, r2SCAN",
        "https://s3.us-east-1.amazonaws.com/materialsproject-contribs/MatPES_2025_1/MatPES-R2SCAN-2025.1.json.gz",
        "matpes",
        sources={"MatPES-R2SCAN-2025.1.json.gz": {}},
    ),
}
"""Published datasets by name. Those without ``files`` must be downloaded by hand."""


def named_sources(name: str, folder: str | Path | None = None) -> tuple[Source, ...]:
    """The sources of a published dataset, from which a dataset can be made.

    Args:
        name: a key of :data:`NAMED`
        folder: where its files are; by default the user's cache folder, or ``$TORCH_GPTFF_CACHE``, into which those
            that are not there yet are fetched

    Raises:
        DatasetError: the name is unknown, or the folder lacks its files.
        DownloadError: a file could not be fetched, or is not the one that was published.
    """
    if name not in NAMED:
        raise DatasetError(f"there is no dataset {name!r} by name; there are {', '.join(NAMED)}")
    data = NAMED[name]
    if folder is None and data.files:
        where = cache_folder() / "datasets" / name
        for path, file in data.files.items():
            _fetch(file, where / path, name)
    elif folder is None:
        raise DatasetError(f"{name} cannot be downloaded automatically: get it from {data.home}, and name its folder")
    else:
        where = Path(folder).expanduser()
    missing = [path for path in data.sources if not (where / path).exists()]
    if missing:
        raise DatasetError(f"{where} has no {missing[0]}, as {name} should; its home is {data.home}")
    return tuple(Source(where / path, data.format, options=options) for path, options in data.sources.items())


def _fetch(file: PublishedFile, path: Path, name: str) -> None:
    import pooch
    import requests

    pooch.get_logger().setLevel(logging.WARNING)
    by_hand = f"fetch it on another machine, put it at {path.name} into a folder with the others, and name that folder"
    try:
        pooch.retrieve(file.url, f"sha256:{file.sha256}", path.name, path.parent)
    except (requests.RequestException, OSError) as error:
        raise DownloadError(
            f"{name}: {file.url} could not be downloaded ({error}). Without a network, {by_hand}"
        ) from error
    except ValueError as error:
        raise DownloadError(
            f"{name}: the download of {file.url} is not the published file: its sha256 differs, so it was not kept. "
            f"Try again; if it stays so, {by_hand}"
        ) from error
