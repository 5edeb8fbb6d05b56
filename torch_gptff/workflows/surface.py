"""Surface energies of a crystal, and the shape of least surface energy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ase import Atoms

from torch_gptff.errors import SurfaceError
from torch_gptff.record import Record, verdict
from torch_gptff.report import Column
from torch_gptff.report.style import drawn
from torch_gptff.units import JOULE_PER_M2_PER_EV_PER_ANGSTROM2
from torch_gptff.workflows.evaluate_many import evaluate_many
from torch_gptff.workflows.inputs import as_inputs
from torch_gptff.workflows.network import reach_of, require_crystal
from torch_gptff.workflows.relax import relax
from torch_gptff.workflows.slabs import Cut, conventional_cell, cuts
from torch_gptff.workflows.wulff import wulff_shape

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pymatgen.analysis.wulff import WulffShape


@dataclass(frozen=True)
class Surface(Record):
    """A slab of a crystal between two surfaces.

    Attributes:
        miller: h, k, l, in the conventional cell of the crystal
        termination: number of the termination of these planes, from 0
        slab: with its vacuum; relaxed where that was asked for
        area: of one surface of the slab, Å²
        thickness: between the outermost atoms before they relax, Å
        is_symmetric: whether both surfaces of the slab are the same; if not, energies are the mean of the two
        is_polar: whether the slab has a dipole across it, by oxidation numbers; ``None`` where none can be guessed
        unrelaxed_energy: energy of the surface with all atoms in their places, eV/Å²
        relaxed_energy: energy of the surface after the atoms have relaxed, eV/Å²; ``None`` where that was not asked for
        converged: whether the forces fell to what was asked for
    """

    derived: ClassVar[tuple[str, ...]] = ("energy",)
    units: ClassVar[dict[str, str]] = {
        "area": "Å²",
        "thickness": "Å",
        **dict.fromkeys(("unrelaxed_energy", "relaxed_energy", "energy"), "eV/Å²"),
    }
    columns: ClassVar[tuple[Column, ...]] = (
        Column("surface", value=lambda each: each.name),
        Column("atoms", value=lambda each: len(each.slab)),
        Column("area", "Å²", 2, lambda each: each.area),
        Column("thickness", "Å", 1, lambda each: each.thickness, detail=True),
        Column("unrelaxed", "J/m²", 3, lambda each: joules(each.unrelaxed_energy)),
        Column("relaxed", "J/m²", 3, lambda each: joules(each.relaxed_energy), optional=True),
        Column("energy", "eV/Å²", 4, lambda each: each.energy),
        Column("symmetric", value=lambda each: verdict(each.is_symmetric)),
        Column("polar", value=lambda each: None if each.is_polar is None else "YES" if each.is_polar else "no"),
        Column("conv.", value=lambda each: verdict(each.converged)),
    )

    miller: tuple[int, int, int]
    termination: int
    slab: Atoms
    area: float
    thickness: float
    is_symmetric: bool
    is_polar: bool | None
    unrelaxed_energy: float
    relaxed_energy: float | None
    converged: bool

    @property
    def energy(self) -> float:
        """Energy of the surface, relaxed where the atoms were relaxed, eV/Å²."""
        return self.unrelaxed_energy if self.relaxed_energy is None else self.relaxed_energy

    @property
    def name(self) -> str:
        """``"(1 1 0) 0"``: the planes, and the number of the termination."""
        return f"({' '.join(map(str, self.miller))}) {self.termination}"


@dataclass(frozen=True)
class SurfaceEnergies(Record):
    """The surfaces of a crystal.

    Attributes:
        atoms: the conventional cell of the crystal, to which Miller indices refer
        energy: of the crystal, eV per atom
        surfaces: all terminations of all planes that symmetry tells apart
        area_fractions: part of the surface of the Wulff shape that belongs to each set of planes, by ``"1 1 0"``; empty
            where there is no such shape
        mean_energy: energy of the surface of the Wulff shape, eV/Å²; ``None`` where there is no such shape
        remarks: warnings about the result
    """

    units: ClassVar[dict[str, str]] = {"energy": "eV/atom", "mean_energy": "eV/Å²"}

    atoms: Atoms
    energy: float
    surfaces: tuple[Surface, ...]
    area_fractions: dict[str, float]
    mean_energy: float | None
    remarks: tuple[str, ...] = ()

    @property
    def lowest(self) -> dict[tuple[int, int, int], Surface]:
        """The termination of least energy of each set of planes, by Miller indices."""
        return lowest_of(self.surfaces)

    def wulff_shape(self) -> WulffShape:
        """The shape of least surface energy at a given volume.

        Raises:
            SurfaceError: an energy is not positive.
        """
        return _shape(self.atoms, self.surfaces)

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw the energies of the surfaces.

        Args:
            axes: of matplotlib to draw on; by default new ones
        """
        from torch_gptff.workflows.drawing.surface import draw_energies

        return drawn(draw_energies, self, axes)


def surface_energies(
    atoms: Any,
    calculator: Any = None,
    *,
    max_index: int = 1,
    thickness: float = 12.0,
    vacuum: float = 15.0,
    relax_positions: bool = True,
    fmax: float = 0.01,
    max_steps: int = 500,
    symprec: float = 0.01,
    on_surface: Callable[[int, int], None] | None = None,
) -> SurfaceEnergies:
    """Energies of the surfaces of a crystal, ``(E(slab) − N E(crystal)) / 2A``, and its Wulff shape.

    Slabs are those of pymatgen's ``SlabGenerator``, `Sun and Ceder, Surf. Sci. 617, 53 (2013)
    <https://doi.org/10.1016/j.susc.2013.05.016>`_. They have the composition of the crystal. Where no slab of that
    composition has the same surface on both sides, the energy is the mean of two different ones, and ``remarks`` says
    so.

    Args:
        atoms: the crystal, as :func:`~torch_gptff.workflows.relax` takes it, which should be relaxed
        calculator: anything that :func:`~torch_gptff.workflows.relax` takes; by default that of ``atoms``
        max_index: largest Miller index
        thickness: smallest thickness of slabs, Å
        vacuum: smallest distance between a slab and its images, Å
        relax_positions: whether the atoms of slabs relax
        fmax: largest force after a relaxation, eV/Å
        max_steps: maximum number of relaxation steps
        symprec: tolerance of the search for symmetry, Å
        on_surface: called with the number of surfaces that are computed, and of all

    Raises:
        SurfaceError: the structure is no crystal, a setting makes no sense, or the images of a slab feel each other.
        StructureError, RelaxationError: the calculator refuses a structure, or it falls apart.
    """
    atoms, calculator = as_inputs(atoms, calculator, SurfaceError)
    require_crystal(atoms, "a surface energy", SurfaceError, calculator)
    _check(max_index, thickness, vacuum, reach_of(calculator))
    crystal = conventional_cell(atoms, symprec)
    slabs = cuts(crystal, max_index, thickness, vacuum)
    whole, *energies = (
        each.energy
        for each in evaluate_many([crystal, *(cut.slab for cut in slabs)], calculator, forces=False, stress=False)
    )
    per_atom = whole / len(crystal)
    surfaces = []
    for number, (cut, energy) in enumerate(zip(slabs, energies, strict=True)):
        relaxation = None
        if relax_positions:
            relaxation = relax(cut.slab, calculator, fmax=fmax, fix_cell=True, max_steps=max_steps)
        surfaces.append(
            Surface(
                miller=cut.miller,
                termination=cut.termination,
                slab=cut.slab if relaxation is None else Atoms(relaxation.final),
                area=cut.area,
                thickness=cut.thickness,
                is_symmetric=cut.is_symmetric,
                is_polar=cut.is_polar,
                unrelaxed_energy=_excess(energy, cut, per_atom),
                relaxed_energy=None if relaxation is None else _excess(relaxation.energy, cut, per_atom),
                converged=relaxation is None or relaxation.converged,
            )
        )
        if on_surface is not None:
            on_surface(number + 1, len(slabs))
    fractions: dict[str, float] = {}
    mean = None
    remarks = _remarks(surfaces)
    try:
        shape = _shape(crystal, surfaces)
    except SurfaceError as error:
        remarks = (*remarks, f"there is no Wulff shape: {error}")
    else:
        mean = float(shape.weighted_surface_energy)
        fractions = {" ".join(map(str, miller)): float(part) for miller, part in shape.area_fraction_dict.items()}
    return SurfaceEnergies(crystal, per_atom, tuple(surfaces), fractions, mean, remarks)


def lowest_of(surfaces: Sequence[Surface]) -> dict[tuple[int, int, int], Surface]:
    """The termination of least energy of each set of planes, by Miller indices."""
    found: dict[tuple[int, int, int], Surface] = {}
    for surface in surfaces:
        if surface.miller not in found or surface.energy < found[surface.miller].energy:
            found[surface.miller] = surface
    return found


def joules(energy: float | None) -> float | None:
    """eV/Å² in J/m²."""
    return None if energy is None else energy * JOULE_PER_M2_PER_EV_PER_ANGSTROM2


def _shape(crystal: Atoms, surfaces: Sequence[Surface]) -> WulffShape:
    """With the termination of least energy of each set of planes."""
    lowest = lowest_of(surfaces)
    for surface in lowest.values():
        if surface.energy <= 0:
            raise SurfaceError(
                f"surface {surface.name} has the energy {joules(surface.energy):.3f} J/m²: the crystal would fall apart"
            )
    return wulff_shape(crystal, {miller: surface.energy for miller, surface in lowest.items()})


def _check(max_index: int, thickness: float, vacuum: float, reach: float) -> None:
    if max_index < 1:
        raise SurfaceError(f"the largest Miller index is 1 or more, not {max_index}")
    if thickness <= 0:
        raise SurfaceError(f"a slab has a positive thickness, not {thickness:g} Å")
    if vacuum <= reach:
        raise SurfaceError(
            f"atoms feel each other up to {reach:g} Å, and across a vacuum of {vacuum:g} Å a slab would feel its "
            "images: take more vacuum"
        )


def _excess(energy: float, cut: Cut, per_atom: float) -> float:
    return float((energy - len(cut.slab) * per_atom) / (2 * cut.area))


def _remarks(surfaces: Sequence[Surface]) -> tuple[str, ...]:
    remarks = []
    different = [surface.name for surface in surfaces if not surface.is_symmetric]
    if different:
        remarks.append(
            f"the two surfaces of slab{'s' * (len(different) > 1)} {', '.join(different)} differ: the energy is the "
            "mean of both"
        )
    polar = [surface.name for surface in surfaces if surface.is_polar]
    if polar:
        remarks.append(
            f"slab{'s' * (len(polar) > 1)} {', '.join(polar)} ha{'ve' if len(polar) > 1 else 's'} a dipole across: in "
            "nature such a surface reconstructs or takes up charge, and the energy of this one has little meaning"
        )
    return tuple(remarks)
