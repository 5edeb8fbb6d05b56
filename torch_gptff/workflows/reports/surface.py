"""A report on surfaces."""

from __future__ import annotations

from torch_gptff.report.style import new_figure
from torch_gptff.workflows.drawing.surface import draw_energies, draw_wulff_shape, wulff_surface
from torch_gptff.workflows.reports.frame import Labelled, RecordsReport
from torch_gptff.workflows.surface import Surface, SurfaceEnergies, joules

MOST_SLABS = 6
"""Largest number of slabs that are shown of a crystal: those of least energy."""


def surface_report(crystals: Labelled[SurfaceEnergies], about: str = "") -> RecordsReport[SurfaceEnergies]:
    """A report on surfaces.

    Args:
        crystals: labels and results
        about: how they were computed, shown below the title
    """
    report = RecordsReport("Surfaces", crystals, about)
    report.overview(
        "Energies of surfaces (h k l), in the conventional cell, and the number of their termination. Symmetric: "
        "whether both surfaces of the slab are the same; otherwise the energy is the mean of the two.",
        rows=lambda crystal: crystal.surfaces,
    )
    report.remarks(_remarks)
    return report.sections(_section)


def _remarks(crystal: SurfaceEnergies) -> list[str]:
    left = [surface.name for surface in crystal.surfaces if not surface.converged]
    return [*crystal.remarks, *([f"the relaxation of {', '.join(left)} did not converge"] if left else [])]


def _section(report: RecordsReport[SurfaceEnergies], label: str, crystal: SurfaceEnergies) -> None:
    report.structure(crystal.atoms, "The conventional cell, to which Miller indices refer.")
    figure, axes = new_figure(4.6, max(1.6, 0.8 + 0.35 * len(crystal.surfaces)))
    draw_energies(axes, crystal)
    report.figure(figure, "Energies of the surfaces.")
    if crystal.mean_energy is not None:
        _shape(report, crystal)
    shown = sorted(crystal.surfaces, key=lambda surface: surface.energy)[:MOST_SLABS]
    report.heading("Slabs", level=3)
    for surface in shown:
        report.structure(surface.slab, _caption(surface))
    report.facts(
        {
            "energy of the crystal (eV/atom)": crystal.energy,
            "mean energy of the Wulff shape (J/m²)": joules(crystal.mean_energy),
            "parts of the surface of the Wulff shape (%)": {
                f"({name})": 100 * part for name, part in crystal.area_fractions.items()
            },
        }
    )


def _shape(report: RecordsReport[SurfaceEnergies], crystal: SurfaceEnergies) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2, 3.8), layout="constrained")
    draw_wulff_shape(figure.add_subplot(projection="3d"), crystal)
    report.surface(
        figure,
        wulff_surface(crystal),
        "Wulff shape, of least surface energy at its volume; distances from the centre are surface energies (J/m²).",
    )


def _caption(surface: Surface) -> str:
    moved = "" if surface.relaxed_energy is None else ", relaxed"
    return f"{surface.name}{moved}: {joules(surface.energy):.3f} J/m²."
