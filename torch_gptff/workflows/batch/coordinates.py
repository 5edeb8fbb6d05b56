"""Positions and cells of many structures as the coordinates of as many minimisations, in tensors of all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray
from torch import Tensor
from torch.linalg import matrix_exp

from torch_gptff.graph.data import CrystalData
from torch_gptff.graph.geometry import volumes
from torch_gptff.workflows.cell_filter import LONGEST, by_logarithm, logarithm


class BatchCoordinates:
    r"""What :class:`~torch_gptff.workflows.cell_filter.CellFilter` does for one structure, for many at once.

    Coordinates are rows of three: those of a structure's atoms in the cell that it started with, in Å, and then three
    of the logarithm :math:`U` of its deformation :math:`F = e^U`, times a scale in Å. A cell that is kept has zero
    forces there.

    Attributes:
        z: atomic numbers, ``[N]``
        pos: where the atoms are, Å, ``[N, 3]``
        cell: Å, ``[B, 3, 3]``
        pbc: ``[B, 3]``
        sizes: atoms of each structure, ``[B]``
        batch: the structure of every atom, ``[N]``
        owner: the structure of every row, ``[N + 3 B]``
        is_strain: which rows are those of a cell, ``[N + 3 B]``
        constrained: the ``Atoms`` of the structures whose constraints are to be obeyed, by their places
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        matrices = torch.zeros(0, 3, 3, dtype=torch.float64, device=self.device)
        self.z = torch.zeros(0, dtype=torch.long, device=self.device)
        self.pos = torch.zeros(0, 3, dtype=torch.float64, device=self.device)
        self.cell = self._start = self._log = self._deformation = self._free = matrices
        self.pbc = torch.zeros(0, 3, dtype=torch.bool, device=self.device)
        self._scale = self._longest = torch.zeros(0, dtype=torch.float64, device=self.device)
        self.constrained: dict[int, Atoms] = {}
        self._lay_out(torch.zeros(0, dtype=torch.long, device=self.device))

    def join(
        self,
        atoms: Sequence[Atoms],
        free: Sequence[NDArray[np.float64]],
        scale: Sequence[float],
        longest: Sequence[float],
    ) -> None:
        """Add structures behind the others.

        Args:
            atoms: with their constraints
            free: the projectors on the directions between which strain is free, ``[3, 3]`` each; zero for a fixed cell
            scale: Å, of their strains as coordinates
            longest: Å, step of a strain
        """
        if not atoms:
            return

        def behind(old: Tensor, new: Sequence[object]) -> Tensor:
            parts = [torch.as_tensor(each, dtype=old.dtype).to(self.device) for each in new]
            return torch.cat([old, *parts])

        first = len(self.sizes)
        self.constrained |= {first + place: one for place, one in enumerate(atoms) if one.constraints}
        self.z = behind(self.z, [one.numbers for one in atoms])
        self.pos = behind(self.pos, [one.positions for one in atoms])
        self.cell = behind(self.cell, [one.cell.array[None] for one in atoms])
        self.pbc = behind(self.pbc, [one.pbc[None] for one in atoms])
        self._start = torch.cat([self._start, self.cell[first:]])
        self._log = torch.cat([self._log, torch.zeros_like(self.cell[first:])])
        self._deformation = torch.cat([self._deformation, torch.eye(3).to(self.cell).expand(len(atoms), 3, 3)])
        self._free = behind(self._free, [each[None] for each in free])
        self._scale = behind(self._scale, [[each] for each in scale])
        self._longest = behind(self._longest, [[each] for each in longest])
        self._lay_out(behind(self.sizes, [[len(one)] for one in atoms]))

    def keep(self, which: Sequence[int]) -> None:
        """Let all structures go but those at some places, ascending."""
        places = torch.tensor(which, dtype=torch.long, device=self.device)
        kept = torch.zeros(len(self.sizes), dtype=torch.bool, device=self.device)
        kept[places] = True
        of_atoms = kept[self.batch]
        self.z, self.pos = self.z[of_atoms], self.pos[of_atoms]
        for name in ("cell", "pbc", "_start", "_log", "_deformation", "_free", "_scale", "_longest"):
            setattr(self, name, getattr(self, name)[places])
        self.constrained = {place: self.constrained[old] for place, old in enumerate(which) if old in self.constrained}
        self._lay_out(self.sizes[places])

    def atoms_of(self, place: int) -> slice:
        """Places of the atoms of a structure among those of all."""
        first = int(self._firsts[place])
        return slice(first, first + int(self.sizes[place]))

    def data(self) -> CrystalData:
        """The structures as a batch."""
        return CrystalData(z=self.z, pos=self.pos, cell=self.cell, pbc=self.pbc, batch=self.batch)

    def rows(self) -> Tensor:
        """The coordinates, Å, ``[N + 3 B, 3]``."""
        positions = torch.linalg.solve(self._deformation[self.batch], self.pos.unsqueeze(-1)).squeeze(-1)
        return self._as_rows(positions, self._log * self._scale.view(-1, 1, 1))

    def longest(self) -> Tensor:
        """The longest step of every row, Å, ``[N + 3 B]``."""
        return torch.where(self.is_strain, self._longest[self.owner], LONGEST)

    def forces(self, forces: Tensor, stress: Tensor) -> Tensor:
        """The negative gradient by :meth:`rows`, eV/Å, ``[N + 3 B, 3]``.

        Args:
            forces: eV/Å, ``[N, 3]``
            stress: beyond that of the pressure from outside, eV/Å³, ``[B, 3, 3]``
        """
        stress = stress.where(self._has_free_cell().view(-1, 1, 1), torch.zeros_like(stress))
        virial = -volumes(self.cell).view(-1, 1, 1) * self._free @ stress @ self._free
        by_deformation = torch.linalg.solve(self._deformation, virial.mT).mT
        by_strain = by_logarithm(self._log, by_deformation) / self._scale.view(-1, 1, 1)
        turned = (forces.unsqueeze(1) @ self._deformation[self.batch]).squeeze(1)
        return self._as_rows(turned, by_strain)

    def move(self, rows: Tensor) -> dict[int, RuntimeError]:
        """Go to other coordinates, as far as constraints allow.

        Args:
            rows: as :meth:`rows` gives them

        Returns:
            by its place, why a structure could not be moved
        """
        log = rows[self.is_strain].view(-1, 3, 3) / self._scale.view(-1, 1, 1)
        deformation = matrix_exp(log)
        pos = (rows[~self.is_strain].unsqueeze(1) @ deformation.mT[self.batch]).squeeze(1)
        is_free = self._has_free_cell().view(-1, 1, 1)
        cell = (self._start @ deformation.mT).where(is_free, self._start)
        failures: dict[int, RuntimeError] = {}
        for place, atoms in self.constrained.items():
            of_it = self.atoms_of(place)
            try:
                if bool(is_free[place]):
                    atoms.set_cell(cell[place].cpu().numpy(), scale_atoms=True)
                atoms.set_positions(pos[of_it].cpu().numpy())
            except RuntimeError as error:  # of ASE's FixSymmetry, on a large strain
                failures[place] = error
                continue
            pos[of_it] = torch.from_numpy(atoms.positions).to(pos)
            changed = torch.from_numpy(atoms.cell.array.copy()).to(cell)
            if bool(is_free[place]) and not torch.allclose(changed, cell[place], rtol=0, atol=1e-12):
                cell[place] = changed
                deformation[place] = torch.linalg.solve(self._start[place], changed).mT
                log[place] = logarithm(deformation[place])
        self.pos, self.cell, self._log, self._deformation = pos, cell, log, deformation
        return failures

    def _lay_out(self, sizes: Tensor) -> None:
        self.sizes = sizes
        places = torch.arange(len(sizes), device=self.device)
        self.batch = places.repeat_interleave(sizes)
        self.owner = places.repeat_interleave(sizes + 3)
        self._firsts = sizes.cumsum(0) - sizes
        number = torch.arange(len(self.owner), device=self.device) - (self._firsts + 3 * places)[self.owner]
        self.is_strain = number >= sizes[self.owner]

    def _has_free_cell(self) -> Tensor:
        return self._free.flatten(1).any(1)

    def _as_rows(self, of_atoms: Tensor, of_cells: Tensor) -> Tensor:
        rows = of_atoms.new_empty(len(self.owner), 3)
        rows[~self.is_strain] = of_atoms
        rows[self.is_strain] = of_cells.reshape(-1, 3)
        return rows
