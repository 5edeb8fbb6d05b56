"""Which number tells large errors of energies from small ones? Rank correlations of several, on frames held out.

    python benchmarks/error_models.py gptff-universal data/crystals --frames 1500

fits what has to be fitted to frames for validation, and prints Spearman's rank correlation with the errors, in
eV/atom, of frames for the test:

- the spread of a committee's members;
- the covariance of the last layer's inputs (LLPR, F. Bigi et al., https://arxiv.org/abs/2403.02251): the square root of
  ``f G⁻¹ f``, where ``f`` are the mean features that the members' last layers multiply, and ``G`` the mean of ``f fᵀ``;
- the root of the mean square distance of atoms in the space of features;
- expected errors, fitted to the errors of the frames for validation (:mod:`torch_gptff.evaluation.error_fit`).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.stats import spearmanr
from uncertainty import sampled

from torch_gptff import CrystalData, Potential, load_pretrained
from torch_gptff.evaluation.error_fit import ErrorFit
from torch_gptff.graph.formula import reduced_formula

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Known:
    """What is known of frames.

    Attributes:
        errors: of energies, eV/atom, ``[B]``
        spreads: standard deviations of the members, eV/atom, ``[B]``
        features: of the atoms of each frame, ``[N, c]``
        inputs: of the members' last layers, means over atoms and a one, ``[B, K c + 1]``
        formulas: reduced
    """

    errors: Values
    spreads: Values
    features: list[Values]
    inputs: Values
    formulas: list[str]


def known_of(potential: Potential, frames: Sequence[CrystalData]) -> Known:
    """Energies and features of a model, one frame after the other."""
    model = potential.model
    readouts = [model.readout, *model.readout.others]
    errors, spreads, features, inputs = [], [], [], []
    for frame in frames:
        with torch.no_grad():
            graph = model.build_graph(frame.clone())
            vectors = model.bond_vectors(graph)
            x = model.node_features(graph, vectors)
            members = model.member_energies(graph, vectors).mean(0)
            energy = members.mean() + potential.element_energies(graph.z).double().mean()
            hidden = [F.silu(each.fc2(F.silu(each.fc1(x)))).mean(0) for each in readouts]
        errors.append(energy.item() - frame.energy.item() / len(frame.z))
        spreads.append(members.std().item())
        features.append(x.double().numpy())
        inputs.append(np.append(torch.cat(hidden).double().numpy(), 1.0))
    formulas = [reduced_formula(frame.z.numpy()) for frame in frames]
    return Known(np.array(errors), np.array(spreads), features, np.array(inputs), formulas)


def last_layer(fitted: Known, inputs: Values) -> Values:
    """Standard deviations of energies by the covariance of the last layer's inputs, in arbitrary units."""
    covariance = fitted.inputs.T @ fitted.inputs / len(fitted.inputs)
    covariance += 1e-6 * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    return np.sqrt(((inputs @ np.linalg.inv(covariance)) * inputs).sum(1))


def ways(fitted: Known, tested: Known) -> dict[str, Values]:
    """What each way expects of the errors of the frames for the test."""
    errors, _ = ErrorFit(fitted.features, fitted.errors, fitted.formulas).fitted()
    sizes = torch.tensor([len(each) for each in tested.features])
    batch = torch.arange(len(sizes)).repeat_interleave(sizes)
    atoms = torch.from_numpy(np.concatenate(tested.features))
    squares = torch.zeros(len(sizes), dtype=torch.float64).index_add(0, batch, errors.distances(atoms) ** 2)
    return {
        "spread of the members": tested.spreads,
        "covariance of the last layer": last_layer(fitted, tested.inputs),
        "distance of the atoms": (squares / sizes).sqrt().numpy(),
        "expected errors, fitted": (errors(atoms, batch, len(sizes)) / sizes).numpy(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a committee, by name or path")
    parser.add_argument("data", help="labelled frames with parts")
    parser.add_argument("--frames", type=int, default=1500, help="of each part, at most")
    options = parser.parse_args()
    potential = load_pretrained(options.model)
    fitted, tested = (
        known_of(potential, sampled(options.data, part, None, options.frames)) for part in ("validation", "test")
    )
    title = f"{options.model}: {len(fitted.errors):,} frames fitted, {len(tested.errors):,} tested"
    table = Table("", "rank correlation", title=title)
    for name, values in ways(fitted, tested).items():
        table.add_row(name, f"{spearmanr(values, np.abs(tested.errors)).statistic:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
