"""A report on elastic tensors."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from torch_gptff.errors import ElasticityError
from torch_gptff.moved import old_names
from torch_gptff.report import Column
from torch_gptff.report.style import new_figure
from torch_gptff.workflows.drawing.elastic import draw_surface, draw_young_modulus, young_modulus_surface
from torch_gptff.workflows.drawing.words import group_symbol
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
    report.structure(tensor.atoms, "The unstrained structure.")
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
    with suppress(ElasticityError):  # of a tensor whose symmetry is not known
        constants = tensor.constants
        report.table(
            [Column("crystal system"), *(Column(name, "GPa", 2) for name in constants)],
            [[tensor.crystal_system, *constants.values()]],
            "Independent constants in the standard orientation of the crystal system (IEEE 176-1987).",
        )
    report.facts(
        {
            "space group": group_symbol(tensor.space_group or "not used"),
            "largest strain (%)": f"{100 * tensor.max_strain:g}",
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
        values = young_modulus_surface(tensor)
        caption = f"Young's modulus of the single crystal by direction, {values.min():.1f} to {values.max():.1f} GPa."
        report.surface(_surface(values), values, caption)
        figure, axes = new_figure(4.2, 4.0)
        draw_young_modulus(axes, tensor)
        report.figure(figure, "Young's modulus along directions in the three planes: the distance from the origin.")


def _surface(values: NDArray[np.float64]) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.9, 3.6))
    draw_surface(figure.add_subplot(projection="3d"), values)
    return figure
