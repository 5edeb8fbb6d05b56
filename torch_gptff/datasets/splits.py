"""Functions that make splits reproducibly: at random, by material, by element, or in folds.

Frames of one structure always stay together, whatever a split goes by, so that no part holds a copy of another's frame.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np

from torch_gptff.datasets.split import Frames, Indices, Split, as_table, check_leaks, group_codes
from torch_gptff.datasets.table import FrameTable
from torch_gptff.errors import LeakError, SplitError

FRACTIONS = {"train": 0.8, "validation": 0.1, "test": 0.1}

Group = Literal["material", "formula", "chemical system"]


def random_split(frames: Frames, fractions: Mapping[str, float] = FRACTIONS, seed: int = 0) -> Split:
    """Split frames at random.

    Args:
        frames: a dataset, or the table of one
        fractions: fraction of the frames in each part; their sum is 1
        seed: random seed

    Raises:
        SplitError: the fractions are invalid, or a part would be empty.
    """
    table = as_table(frames)
    made_by = {"method": "random", "seed": seed, "fractions": dict(fractions)}
    return _split(table, _dealt(_same_structure(table), fractions, seed), made_by)


def group_split(
    frames: Frames, fractions: Mapping[str, float] = FRACTIONS, seed: int = 0, group: Group = "material"
) -> Split:
    """Split groups at random, such that no material, formula or chemical system is in two parts.

    Args:
        frames: a dataset, or the table of one
        fractions: fraction of the frames in each part; their sum is 1, and they are met as nearly as whole groups allow
        seed: random seed
        group: property whose frames stay together

    Raises:
        SplitError: the fractions are invalid, or there are too few groups for the parts.
    """
    table = as_table(frames)
    made_by = {"method": "group", "group": group, "seed": seed, "fractions": dict(fractions)}
    return _split(table, _dealt(_joined(group_codes(table, group), table.structure), fractions, seed), made_by)


def element_split(
    frames: Frames,
    elements: Iterable[int],
    fractions: Mapping[str, float] | None = None,
    seed: int = 0,
    group: Group = "material",
) -> Split:
    """Every frame with one of these elements is ``test``; the others are dealt out by groups.

    Args:
        frames: a dataset, or the table of one
        elements: atomic numbers
        fractions: fractions of the other frames; by default all are ``train``
        seed: random seed
        group: see :func:`group_split`

    Raises:
        SplitError: all frames, or none, have such elements; or see :func:`group_split`.
    """
    table, held_out = as_table(frames), frozenset(elements)
    fractions = fractions or {"train": 1.0}
    if "test" in fractions:
        raise SplitError("the elements held out are the test set: give the fractions of the other parts alone")
    has = np.array([bool(held_out & each) for each in table.elements])[table.formula.codes]
    if has.all() or not has.any():
        raise SplitError(f"{'every' if has.all() else 'no'} frame has one of the elements {sorted(held_out)}")
    rest = np.flatnonzero(~has)
    groups = _joined(group_codes(table, group), table.structure)[rest]
    parts = {name: rest[places] for name, places in _dealt(groups, fractions, seed).items()}
    parts["test"] = np.flatnonzero(has)
    made_by = {
        "method": "element",
        "elements": sorted(held_out),
        "group": group,
        "seed": seed,
        "fractions": dict(fractions),
    }
    return _split(table, parts, made_by)


def k_fold(frames: Frames, k: int, seed: int = 0, group: Group | None = "material") -> Split:
    """Parts ``fold-1`` to ``fold-k`` of about the same size, for :meth:`Split.folds`.

    Args:
        frames: a dataset, or the table of one
        k: number of folds
        seed: random seed
        group: property whose frames stay together; ``None`` to draw single frames

    Raises:
        SplitError: fewer than two folds, or fewer groups than folds.
    """
    if k < 2:
        raise SplitError(f"{k} folds: there must be two at least")
    table = as_table(frames)
    groups = _same_structure(table) if group is None else _joined(group_codes(table, group), table.structure)
    parts = _dealt(groups, {f"fold-{fold + 1}": 1 / k for fold in range(k)}, seed)
    return _split(table, parts, {"method": "k-fold", "k": k, "group": group, "seed": seed})


def given_split(frames: Frames) -> Split:
    """The split that the files name. A warning tells of structures that are in two parts.

    Raises:
        SplitError: no part is named, or one alone.
    """
    table = as_table(frames)
    if len(table.split.names) < 2:
        raise SplitError(
            "the frames do not say which part of a split they belong to, or all say the same: divide them by material "
            "(--by material, group_split)"
        )
    parts = {name or "rest": np.flatnonzero(table.split.codes == code) for code, name in enumerate(table.split.names)}
    split = Split(table.fingerprint, parts, {"method": "given"})
    try:
        check_leaks(split, table)
    except LeakError as error:
        warnings.warn(f"the split that the files give leaks: {error}", stacklevel=2)
    return split


def _split(table: FrameTable, parts: Mapping[str, Indices], made_by: Mapping[str, Any]) -> Split:
    split = Split(table.fingerprint, parts, made_by)
    check_leaks(split, table)
    return split


def _same_structure(table: FrameTable) -> Indices:
    return np.unique(table.structure, return_inverse=True)[1]


def _joined(groups: Indices, structure: Indices) -> Indices:
    """Groups, joined where they share a structure: the components of the graph of groups and structures, ``[F]``."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    structures = np.unique(structure, return_inverse=True)[1]
    n_groups, n_structures = groups.max() + 1, structures.max() + 1
    size = n_groups + n_structures
    shared = coo_array((np.ones(len(groups), dtype=bool), (groups, n_groups + structures)), shape=(size, size))
    return connected_components(shared, directed=False)[1][groups]


def _dealt(groups: Indices, fractions: Mapping[str, float], seed: int) -> dict[str, Indices]:
    """Whole groups in random order, each to the part that still lacks most frames."""
    shares = list(fractions.values())
    if not shares or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
        raise SplitError(f"fractions must be positive and add up to 1; got {dict(fractions)}")
    _, groups, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    lacking = [share * len(groups) for share in shares]
    part_of_group = np.empty(len(sizes), dtype=np.int64)
    order = np.random.default_rng(seed).permutation(len(sizes))
    for group, size in zip(order.tolist(), sizes[order].tolist(), strict=True):
        part = lacking.index(max(lacking))
        lacking[part] -= size
        part_of_group[group] = part
    part_of_frame = part_of_group[groups]
    parts = {name: np.flatnonzero(part_of_frame == part) for part, name in enumerate(fractions)}
    empty = [name for name, indices in parts.items() if not len(indices)]
    if empty:
        raise SplitError(
            f"{len(sizes)} groups of frames that must stay together are too few for {dict(fractions)}: {empty[0]} "
            f"would be empty; {_other_way(len(sizes), len(groups), len(fractions))}"
        )
    return parts


def _other_way(n_groups: int, n_frames: int, n_parts: int) -> str:
    """Advice on a split that works for this number of parts."""
    if n_groups >= n_parts:
        return f"take fractions that are nearer to each other, such as {', '.join([f'{1 / n_parts:.2g}'] * n_parts)}"
    if n_groups > 1:
        return f"divide them into {n_groups} parts at most"
    if n_frames > 1:
        return (
            "if frames of one material may be in two parts, divide them at random (--by random, random_split), "
            "and expect errors that are smaller than those of new materials"
        )
    return "there must be more frames"
