"""A frame as bytes, and back: the numbers as they lie in memory, no pickle, so that nothing but data is ever read.

Layout, little-endian::

    version u8 | number of fields u8 | fields | check sum u32 (CRC-32 of all before it)
    field:  name u8 [length u8, name] | dtype u8 | stored dtype u8 | dimensions u8 | sizes u32 each | values

A name is a place in :data:`NAMES`, or :data:`OTHER` followed by the name itself. Integers are stored in the narrowest
dtype that holds their values; a string is a field of the dtype :data:`TEXT`.
"""

from __future__ import annotations

import math
import struct
import zlib

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import Data

from torch_gptff.errors import CorruptDatasetError, DatasetError
from torch_gptff.graph import CrystalData

VERSION = 1

NAMES = (
    *("z", "pos", "cell", "pbc", "energy", "forces", "stress"),
    *("source", "material", "frame_id", "split"),
    *("edge_index", "edge_shift", "angle_index"),
)  # stored files name fields by their place: only ever append
OTHER = 255

DTYPES = tuple(
    np.dtype(name) for name in ("?", "u1", "i1", "u2", "i2", "u4", "i4", "i8", "f2", "f4", "f8")
)  # stored files name them by their place: only ever append
TEXT = 254

_NARROW = tuple(np.dtype(name) for name in ("u1", "i1", "u2", "i2", "u4", "i4", "i8"))
_CODES = {dtype: code for code, dtype in enumerate(DTYPES)}
_PLACES = {name: place for place, name in enumerate(NAMES)}


def encode(frame: Data) -> bytes:
    """The bytes of a frame.

    Raises:
        DatasetError: a field is neither a tensor nor a string.
    """
    fields = frame.to_dict()
    pieces = [struct.pack("<BB", VERSION, len(fields))]
    for name, value in fields.items():
        pieces.append(_encoded_name(name))
        if isinstance(value, str):
            text = value.encode()
            pieces += [struct.pack("<BBBI", TEXT, TEXT, 1, len(text)), text]
        elif isinstance(value, Tensor):
            values = value.detach().cpu().numpy()
            stored = _narrowed(values)
            head = (_code(values.dtype, name), _code(stored.dtype, name), stored.ndim, *stored.shape)
            pieces += [struct.pack(f"<BBB{stored.ndim}I", *head), stored.tobytes()]
        else:
            raise DatasetError(f"a frame can be stored with tensors and strings, and {name} is {type(value).__name__}")
    record = b"".join(pieces)
    return record + struct.pack("<I", zlib.crc32(record))


def decode(record: bytes | memoryview) -> CrystalData:
    """The frame of the bytes that :func:`encode` gave.

    Raises:
        CorruptDatasetError: the bytes are damaged, or no frame.
    """
    end = len(record) - 4
    if end < 2 or zlib.crc32(record[:end]) != struct.unpack_from("<I", record, end)[0]:
        raise CorruptDatasetError("a stored frame does not match its check sum")
    version, n_fields = struct.unpack_from("<BB", record)
    if version != VERSION:
        raise CorruptDatasetError(f"frames of format {version} were stored by another version of this package")
    at = 2
    fields: dict[str, Tensor | str] = {}
    for _ in range(n_fields):
        name, at = _decoded_name(record, at)
        code, stored_code, n_dims = struct.unpack_from("<BBB", record, at)
        shape = struct.unpack_from(f"<{n_dims}I", record, at + 3)
        at += 3 + 4 * n_dims
        if code == TEXT:
            fields[name] = bytes(record[at : at + shape[0]]).decode()
            at += shape[0]
        else:
            stored, count = DTYPES[stored_code], math.prod(shape)
            values = np.frombuffer(record, stored, count, at).astype(DTYPES[code]).reshape(shape)  # a copy
            fields[name] = torch.from_numpy(values)
            at += count * stored.itemsize
    return CrystalData(**fields)


def _encoded_name(name: str) -> bytes:
    if name in _PLACES:
        return struct.pack("<B", _PLACES[name])
    text = name.encode()
    return struct.pack("<BB", OTHER, len(text)) + text


def _decoded_name(record: bytes | memoryview, at: int) -> tuple[str, int]:
    if record[at] != OTHER:
        return NAMES[record[at]], at + 1
    end = at + 2 + record[at + 1]
    return bytes(record[at + 2 : end]).decode(), end


def _narrowed(values: NDArray) -> NDArray:
    if values.dtype.kind not in "iu" or values.size == 0:
        return values
    low, high = int(values.min()), int(values.max())
    return values.astype(next(each for each in _NARROW if np.iinfo(each).min <= low and high <= np.iinfo(each).max))


def _code(dtype: np.dtype, name: str) -> int:
    if dtype not in _CODES:
        raise DatasetError(f"a frame cannot be stored with {name} of {dtype}")
    return _CODES[dtype]
