"""A report on elastic tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from torch_gptff.moved import old_names
from torch_gptff.report import Column
from torch_gptff.report.plots import lines
from torch_gptff.workflows.elastic_moduli import ElasticTensor
from torch_gptff.workflows.reports.frame import Labelled, RecordsReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__getattr__ = old_names(__name__)

_NAMES = ("xx", "yy", "zz", "yz", "xz", "xy")


def elastic_report(tensors: Labelled[ElasticTensor], about: str = "") -> RecordsReport[ElasticTensor]:
    """A report on elastic tensors.

    Args:
        tensors: labels and results
        about: how they were computed, shown below the title
    """
    report = RecordsReport("Elasticity", tensors, about)
    report.overview("Hill's averages of the polycrystal.")
    unstable = [label for label, tensor in report.labelled if not tensor.is_stable]
    if unstable:
        report.note(
            "Not stable: some strain lowers the energy, so that averages over grains have no meaning. "
            + ", ".join(unstable)
        )
    return report.sections(_section)


def _section(report: RecordsReport[ElasticTensor], label: str, tensor: ElasticTensor) -> None:
    residual = float(np.abs(tensor.residual_stress).max())
    columns = [Column("GPa"), *(Column(name, "", 2) for name in _NAMES)]
    report.table(
        columns,
        [
            [name, *(round(float(value), 2) for value in row)]
            for name, row in zip(_NAMES, tensor.stiffness, strict=True)
        ],
        f"Stiffness. Largest standard error of the fit {tensor.standard_error.max():.2g} GPa.",
    )
    report.facts(
        {
            "space group": tensor.space_group or "not used",
            "largest strain": tensor.max_strain,
            "atoms relaxed within strained cells": tensor.relaxed,
            "strained structures computed": tensor.n_strained,
            "largest residual stress (GPa)": residual,
            "C − Cᵀ, largest (GPa)": tensor.asymmetry,
        }
    )
    if residual > 0.5:
        report.note(
            f"The crystal is under a stress of {residual:.2g} GPa: relax it first for the tensor of its ground state."
        )
    if tensor.is_stable:
        report.figure(
            _directions(tensor), "Young's modulus of the single crystal along directions in the three planes."
        )


def _directions(tensor: ElasticTensor) -> Figure:
    angles = np.linspace(0, np.pi, 181)
    cosine, sine, zero = np.cos(angles), np.sin(angles), np.zeros_like(angles)
    planes = {
        "from x to y": np.stack([cosine, sine, zero], axis=1),
        "from y to z": np.stack([zero, cosine, sine], axis=1),
        "from z to x": np.stack([sine, zero, cosine], axis=1),
    }
    curves = {name: tensor.directional_young_modulus(plane) for name, plane in planes.items()}
    figure = lines(np.degrees(angles), curves, "angle", "Young's modulus", x_unit="°", y_unit="GPa", height=2.9)
    axes = figure.axes[0]
    axes.lines[1].set_linestyle("--")  # in a cubic crystal they lie on one another
    axes.lines[2].set_linestyle(":")
    axes.legend(frameon=False)
    axes.set_xticks(range(0, 181, 30))
    axes.set_ylim(0, 1.25 * max(values.max() for values in curves.values()))
    return figure
