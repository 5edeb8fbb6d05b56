"""Frames for training: with a graph, an energy in the common reference, and the weight of their source."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset
from torch_geometric.data import Batch, Data

from torch_gptff.datasets import LABELS
from torch_gptff.datasets.properties import property_of
from torch_gptff.errors import GraphError
from torch_gptff.graph import CrystalData
from torch_gptff.models import EnergyModel
from torch_gptff.training.batching import Costs
from torch_gptff.training.sources import JoinedFrames

ATOMS = ("z", "pos", "cell", "pbc")
GRAPH = ("edge_index", "edge_shift", "angle_index")

COMPARED = 16
"""Number of stored graphs that are compared with graphs of the model."""

COUNTED_AT_ONCE = 64
"""Number of frames whose bonds are counted at once."""


class GraphFrames(Dataset):
    """Frames of several sources, prepared for training.

    Args:
        frames: frames of all sources
        numbers: numbers of the frames that are used
        model: model that builds the graphs that are not stored
        shifts: energies that are subtracted for every atom of an element, eV, ``[S, 119]`` by source

    A place, or a list of places, gives a frame, or a batch of frames. Each has, beside atoms, graph and labels,
    ``frame_id``, the ``weight [1]`` of its source in the loss, and ``source_number [1]``, the place of the source whose
    reference of energy it has. The graphs of a batch are made together, in a third of the time of one by one.
    """

    def __init__(
        self, frames: JoinedFrames, numbers: NDArray[np.int64], model: EnergyModel, shifts: Tensor | None = None
    ) -> None:
        self.frames = frames
        self.numbers = numbers
        self.model = model
        self.shifts = shifts

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, place: int | list[int]) -> Data:
        if isinstance(place, int):
            return self.model.build_graph(self._labelled(place))
        frames = [self._labelled(each) for each in place]
        if any("edge_index" in frame for frame in frames):
            frames = [self.model.build_graph(frame) for frame in frames]
        return self.model.build_graph(Batch.from_data_list(frames))

    def _labelled(self, place: int) -> CrystalData:
        number = int(self.numbers[place])
        frame, source = self.frames[number], self.frames.source_of(number)
        data = CrystalData(**{key: frame[key] for key in (*ATOMS, *LABELS)})
        for name, kind in self.model.property_kinds.items():
            data[name] = property_of(frame, name, kind)
        if self.shifts is not None:
            data.energy = data.energy - self.shifts[source][data.z].sum()
        data.frame_id = frame.frame_id
        data.source_number = torch.tensor([self.frames.reference_of[source]])
        data.weight = torch.tensor([self.frames.sources[source].weight], dtype=torch.float64)
        if "edge_index" in frame and "edge_shift" in frame:
            for key in GRAPH:
                if key in frame and (key != "angle_index" or self.model.angle_cutoff is not None):
                    data[key] = frame[key]
        return data

    def check_stored_graphs(self) -> None:
        """Compare some of the graphs that are stored with the frames with those of the model.

        Raises:
            GraphError: the stored graphs have other cutoffs.
        """
        for place in np.linspace(0, len(self) - 1, COMPARED).astype(int) if len(self) else ():
            stored = self[int(place)]
            frame = self.frames[int(self.numbers[place])]
            if "edge_index" not in frame:
                continue
            made = self.model.build_graph(CrystalData(**{key: frame[key] for key in ATOMS}))
            counts = [(_count(graph, "edge_index"), _count(graph, "angle_index")) for graph in (stored, made)]
            if counts[0] != counts[1]:
                raise GraphError(
                    f"{frame.frame_id}: the stored graph has {counts[0][0]} bonds and {counts[0][1]} angles, and the "
                    f"cutoffs of the model ({self.model.cutoff} Å, {self.model.angle_cutoff} Å) give {counts[1][0]} "
                    f"and {counts[1][1]}: store the frames again with these cutoffs, or without a graph"
                )

    def costs(self) -> Costs:
        """The bonds and angles of every frame: all graphs are made once."""
        bonds, angles = [], []
        for first in range(0, len(self), COUNTED_AT_ONCE):
            batch = self[list(range(first, min(first + COUNTED_AT_ONCE, len(self))))]
            of_bond = batch.batch[batch.edge_index[1]]
            bonds.append(torch.bincount(of_bond, minlength=batch.num_graphs))
            of_angle = of_bond[batch.angle_index[0]] if "angle_index" in batch else of_bond[:0]
            angles.append(torch.bincount(of_angle, minlength=batch.num_graphs))
        nothing = torch.zeros(0, dtype=torch.int64)
        return Costs(torch.cat([nothing, *bonds]), torch.cat([nothing, *angles]))


def _count(graph: Data, key: str) -> int:
    return graph[key].size(1) if key in graph else 0
