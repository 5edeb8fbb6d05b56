"""Crystals with energies, forces and stresses: readers of the formats they come in, and PyG datasets of them."""

from typing import TYPE_CHECKING

from torch_gptff.lazy import import_lazily

if TYPE_CHECKING:
    from torch_gptff.datasets.consistency import WorkCheck, check_labels, check_work
    from torch_gptff.datasets.element_energies import (
        AlignEnergies,
        ElementEnergyFit,
        fit_element_energies,
        fit_element_energies_by_source,
    )
    from torch_gptff.datasets.fingerprints import dataset_fingerprint
    from torch_gptff.datasets.frames import LABELS, is_known, make_frame
    from torch_gptff.datasets.from_pyg import PyGSource, frames_of_pyg
    from torch_gptff.datasets.in_memory import CrystalDataset
    from torch_gptff.datasets.lmdb_dataset import LMDBCrystalDataset
    from torch_gptff.datasets.named import NAMED, named_sources
    from torch_gptff.datasets.on_disk import OnDiskCrystalDataset
    from torch_gptff.datasets.opening import open_dataset
    from torch_gptff.datasets.readers import FORMATS, detect_format, read_frames
    from torch_gptff.datasets.sources import Source, WatchedSource, read_sources
    from torch_gptff.datasets.split import Split, check_leaks
    from torch_gptff.datasets.splits import element_split, given_split, group_split, k_fold, random_split
    from torch_gptff.datasets.statistics import DatasetStatistics, dataset_statistics

__all__ = [
    "FORMATS",
    "LABELS",
    "NAMED",
    "AlignEnergies",
    "CrystalDataset",
    "DatasetStatistics",
    "ElementEnergyFit",
    "LMDBCrystalDataset",
    "OnDiskCrystalDataset",
    "PyGSource",
    "Source",
    "Split",
    "WatchedSource",
    "WorkCheck",
    "check_labels",
    "check_leaks",
    "check_work",
    "dataset_fingerprint",
    "dataset_statistics",
    "detect_format",
    "element_split",
    "fit_element_energies",
    "fit_element_energies_by_source",
    "frames_of_pyg",
    "given_split",
    "group_split",
    "is_known",
    "k_fold",
    "make_frame",
    "named_sources",
    "open_dataset",
    "random_split",
    "read_frames",
    "read_sources",
]

import_lazily(
    __name__,
    {
        ".consistency": "WorkCheck check_labels check_work",
        ".element_energies": "AlignEnergies ElementEnergyFit fit_element_energies fit_element_energies_by_source",
        ".fingerprints": "dataset_fingerprint",
        ".frames": "LABELS is_known make_frame",
        ".from_pyg": "PyGSource frames_of_pyg",
        ".in_memory": "CrystalDataset",
        ".lmdb_dataset": "LMDBCrystalDataset",
        ".named": "NAMED named_sources",
        ".on_disk": "OnDiskCrystalDataset",
        ".opening": "open_dataset",
        ".readers": "FORMATS detect_format read_frames",
        ".sources": "Source WatchedSource read_sources",
        ".split": "Split check_leaks",
        ".splits": "element_split given_split group_split k_fold random_split",
        ".statistics": "DatasetStatistics dataset_statistics",
    },
)
