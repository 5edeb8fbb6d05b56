"""Files of :func:`torch.save`, read without running what they hold: tensors and plain values only."""

from __future__ import annotations

import pickle
import pickletools
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from torch_gptff.errors import CheckpointFormatError, UnsafeCheckpointError


def load_tensors(path: Path, if_unsafe: str, if_damaged: str) -> Any:
    """Load the content of a file, on the CPU.

    Args:
        path: the file
        if_unsafe: what to do about a file that holds other objects, for the message
        if_damaged: what to do about a damaged file, for the message

    Raises:
        FileNotFoundError: no such file.
        UnsafeCheckpointError: it holds objects other than tensors and plain values.
        CheckpointFormatError: it is truncated or corrupt, or PyTorch did not write it.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}")
    is_archive = zipfile.is_zipfile(path)
    try:
        if is_archive:
            _verify_check_sums(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickles that PyTorch did not write
            return torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # a damaged file fails in as many ways as it has bytes
        if isinstance(error, pickle.UnpicklingError) and (is_archive or _is_pickle(path)):
            raise UnsafeCheckpointError(
                f"{path} holds objects other than tensors and is not loaded: unpickling them could run code. "
                f"{if_unsafe}"
            ) from error
        raise CheckpointFormatError(
            f"{path} is not a checkpoint that PyTorch wrote, or it is truncated or corrupt: {if_damaged}"
        ) from error


def _verify_check_sums(path: Path) -> None:
    """Compare every tensor with the check sum beside it, which :func:`torch.load` does not look at."""
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise zipfile.BadZipFile(f"{damaged} does not match its check sum")


def _is_pickle(path: Path) -> bool:
    """Whether the file is a whole pickle, which is looked through and not executed."""
    try:
        with path.open("rb") as file:
            for _ in pickletools.genops(file):
                pass
    except ValueError:
        return False
    return True
