"""Replay sets by name: known crystals with the labels of the checkpoint that is trained further.

Fine-tuning changes what the new frames say nothing of. Frames that the checkpoint labelled itself, before, hold it
there, as in `Learning without Forgetting <https://arxiv.org/abs/1606.09282>`_: no frame of its training is needed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from torch_gptff.cache import cache_folder
from torch_gptff.errors import ConfigError
from torch_gptff.potential import Potential
from torch_gptff.training.config import DataSettings, SourceSettings

if TYPE_CHECKING:
    from ase import Atoms

    from torch_gptff.training.distillation import DistillationSettings, Seed

UNIVERSAL = "universal"
"""Name of the replay set of known crystals."""

MAX_ATOMS = 12
"""Largest number of atoms in the cell of a crystal."""

VARIANTS = 3
"""Number of variants of a crystal with another element."""

logger = logging.getLogger(__name__)


def with_replay_sets(data: DataSettings, checkpoint: str | None) -> DataSettings:
    """The settings with folders in place of the names of replay sets, which are made where they are not there yet.

    Args:
        data: settings of the data
        checkpoint: name or path of the checkpoint that is trained further

    Raises:
        ConfigError: there is no checkpoint to label a set.
        DistillationError: the checkpoint knows none of the crystals.
        CheckpointError, DownloadError: see :func:`~torch_gptff.load_pretrained`.
    """
    if not any(map(_is_by_name, data.replay)):
        return data
    if checkpoint is None:
        raise ConfigError(
            f"data.replay: the frames of {UNIVERSAL!r} are labelled by the checkpoint that is trained further: name "
            "one in model.checkpoint, or give a file of frames"
        )
    folder = str(replay_set(checkpoint))
    replayed = (
        replace(source, path=folder, name=source.title) if _is_by_name(source) else source for source in data.replay
    )
    return replace(data, replay=tuple(replayed))


def _is_by_name(source: SourceSettings) -> bool:
    return source.path == UNIVERSAL and source.format is None and not Path(source.path).exists()


def replay_set(checkpoint: str) -> Path:
    """The dataset of known crystals with the labels of a checkpoint, from the cache folder, or made now.

    Every crystal is there as it is, strained, rattled, and at another volume.

    Args:
        checkpoint: name or path of a checkpoint

    Raises:
        DistillationError: the checkpoint knows none of the crystals.
        CheckpointError, DownloadError: see :func:`~torch_gptff.load_pretrained`.
    """
    from torch_gptff.calculators import GPTFFCalculator
    from torch_gptff.training.distillation import DistillationSettings, Teacher, distill

    calculator = GPTFFCalculator(checkpoint)
    seeds = known_crystals(calculator.potential)
    settings = DistillationSettings(strained=1, rattled=1, rescaled=1, temperatures=())
    folder = cache_folder() / "replay" / f"{UNIVERSAL}-{_key(calculator.potential, seeds, settings)}"
    if folder.is_dir():
        return folder
    logger.info(f"{checkpoint} labels {len(seeds):,} known crystals and copies of them, to be kept in {folder}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{UNIVERSAL}-", dir=folder.parent))
    try:
        made = distill(seeds, Teacher(Path(checkpoint).stem, calculator), work / "made", settings)
        if not folder.is_dir():  # another process may have been faster
            os.replace(made.dataset, folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder


def known_crystals(potential: Potential) -> list[Seed]:
    """Crystals that a potential was trained for: the prototypes in pymatgen, and variants with another element.

    The prototypes are real crystals of the `AFLOW Library of Crystallographic Prototypes
    <https://doi.org/10.1016/j.commatsci.2017.01.017>`_ with at most :data:`MAX_ATOMS` atoms. In a variant a chemically
    near element stands for one of theirs, see :mod:`torch_gptff.training.distillation.substitution`. Crystals with an
    element that the potential does not know, or two that it was never trained on together, are left out.
    """
    from ase.data import chemical_symbols

    from torch_gptff.training.distillation import Seed
    from torch_gptff.training.distillation.substitution import substituted

    symbols = [chemical_symbols[number] for number in sorted(potential.model.elements)]
    seeds: dict[str, Seed] = {}
    for place, (label, atoms) in enumerate(_prototypes()):
        variants = (substituted(atoms, symbols, np.random.default_rng([place, copy])) for copy in range(VARIANTS))
        for crystal in (atoms, *variants):
            if crystal is not None and _is_known(crystal, potential):
                name = f"{label}-{crystal.get_chemical_formula()}"
                seeds.setdefault(name, Seed(name, crystal))
    return list(seeds.values())


def _prototypes() -> Iterator[tuple[str, Atoms]]:
    """Label and cell of each small prototype."""
    from pymatgen.analysis.prototypes import AFLOW_PROTOTYPE_LIBRARY

    from torch_gptff.graph.convert import from_pymatgen, to_ase

    for entry in AFLOW_PROTOTYPE_LIBRARY:
        structure = entry["snl"].structure
        if structure.is_ordered and len(structure) <= MAX_ATOMS:
            yield entry["tags"]["aflow"], to_ase(from_pymatgen(structure))


def _is_known(atoms: Atoms, potential: Potential) -> bool:
    elements = sorted({int(number) for number in atoms.numbers})
    pairs = potential.seen_pairs
    return potential.model.elements.issuperset(elements) and (
        pairs is None or pairs.issuperset(combinations(elements, 2))
    )


def _key(potential: Potential, seeds: list[Seed], settings: DistillationSettings) -> str:
    """Sixteen hexadecimal digits for what the labels depend on: weights, crystals and settings."""
    from torch_gptff.training.distillation.seeds import digest

    total = hashlib.sha256(digest(seeds).encode() + json.dumps(settings.to_dict()).encode())
    for name, value in sorted(potential.state_dict().items()):
        total.update(name.encode() + np.ascontiguousarray(value.detach().cpu().numpy()).tobytes())
    return total.hexdigest()[:16]
