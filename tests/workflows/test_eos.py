"""Equations of state: analytic curves give back their constants, and what has no minimum is not given one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.eos import EquationOfState as ByAse
from pymatgen.analysis.eos import EOS as ByPymatgen

from torch_gptff.errors import EmptyStructureError, EquationOfStateError, MissingCellError
from torch_gptff.units import GPA_PER_EV_PER_ANGSTROM3
from torch_gptff.workflows import EquationOfState, equation_of_state, fit_equation_of_state, relax
from torch_gptff.workflows.eos.fit import FORMS

A12, A6 = 12.13188, 14.45392  # lattice sums of fcc


@pytest.mark.parametrize("form", FORMS)
def test_a_curve_of_a_form_gives_back_its_constants(form: str) -> None:
    volumes = np.linspace(36, 46, 9)
    energies = FORMS[form](volumes, -10800.0, 0.55, 4.7, 40.9)
    fit = fit_equation_of_state(volumes, energies, form)
    assert fit.energy == pytest.approx(-10800, abs=1e-9)
    assert fit.volume == pytest.approx(40.9, rel=1e-7)
    assert fit.bulk_modulus == pytest.approx(0.55 * GPA_PER_EV_PER_ANGSTROM3, rel=1e-6)
    assert fit.bulk_modulus_derivative == pytest.approx(4.7, rel=1e-5)
    assert fit.residual < 1e-9
    np.testing.assert_allclose(fit.energies(volumes), energies, atol=1e-9)


@pytest.mark.parametrize(
    ("form", "ase", "pymatgen"),
    [
        ("birch-murnaghan", "birchmurnaghan", "birch_murnaghan"),
        ("vinet", "vinet", "vinet"),
        ("murnaghan", "murnaghan", "murnaghan"),
        ("poirier-tarantola", "pouriertarantola", "pourier_tarantola"),
    ],
)
def test_the_same_as_other_fits(form: str, ase: str, pymatgen: str) -> None:
    curve = equation_of_state(bulk("Cu", a=3.6), EMT(), form=form)
    fit = curve.fit
    v0, e0, b0 = ByAse(curve.volumes, curve.energies, eos=ase).fit()
    assert (fit.form, fit.volume, fit.energy) == (form, pytest.approx(v0, rel=1e-5), pytest.approx(e0, abs=1e-6))
    assert fit.bulk_modulus == pytest.approx(b0 * GPA_PER_EV_PER_ANGSTROM3, rel=1e-4)
    by_pymatgen = ByPymatgen(pymatgen).fit(curve.volumes, curve.energies)
    assert fit.volume == pytest.approx(by_pymatgen.v0, rel=1e-5)
    assert fit.bulk_modulus == pytest.approx(by_pymatgen.b0_GPa, rel=1e-4)
    assert fit.bulk_modulus_derivative == pytest.approx(by_pymatgen.b1, rel=1e-3)


def test_lennard_jones_crystal_has_the_constants_of_its_lattice_sums() -> None:
    # E = 2 ε (A12 (σ/r)^12 - A6 (σ/r)^6) an atom: r0 = (2 A12/A6)^(1/6) σ, B0 = 4 ε/σ³ A12 (A6/A12)^(5/2), B0' = 8;
    # N. W. Ashcroft, N. D. Mermin, Solid State Physics, chapter 20
    argon = bulk("Ar", a=np.sqrt(2) * (2 * A12 / A6) ** (1 / 6))
    curve = equation_of_state(argon, LennardJones(rc=9.0), ratios=np.linspace(0.97, 1.03, 9))
    assert curve.fit.volume == pytest.approx((2 * A12 / A6) ** 0.5 / np.sqrt(2), rel=2e-3)
    modulus = 4 * A12 * (A6 / A12) ** 2.5
    assert curve.fit.bulk_modulus / GPA_PER_EV_PER_ANGSTROM3 == pytest.approx(modulus, rel=0.02)
    assert curve.fit.bulk_modulus_derivative == pytest.approx(8, rel=0.02)
    assert curve.fit.energy == pytest.approx(-(A6**2) / (2 * A12), rel=3e-3)


def test_all_forms_agree_near_the_minimum() -> None:
    curve = equation_of_state(bulk("Cu", a=3.6), EMT(), ratios=np.linspace(0.98, 1.02, 9))
    assert [fit.form for fit in curve.fits] == list(FORMS)
    assert curve.problem is None
    minimum = relax(bulk("Cu", a=3.6), EMT(), fmax=1e-4, smax=1e-6).final
    for fit in curve.fits:
        assert fit.volume == pytest.approx(minimum.get_volume(), rel=1e-4)
        assert fit.energy == pytest.approx(minimum.get_potential_energy(), abs=1e-5)
        assert fit.bulk_modulus == pytest.approx(134, abs=2)  # of copper in effective medium theory
        assert fit.residual < 1e-4


def test_atoms_relax_at_every_volume_if_asked() -> None:
    alloy = bulk("Cu", cubic=True, a=3.7)
    alloy.numbers[0] = 79
    alloy.rattle(0.05, seed=1)
    stiff = equation_of_state(alloy, EMT())
    seen: list[tuple[int, int]] = []
    soft = equation_of_state(alloy, EMT(), relax_positions=True, fmax=1e-3, on_volume=lambda *place: seen.append(place))
    assert (soft.energies < stiff.energies).all()
    assert (soft.relaxed, stiff.relaxed, soft.n_unconverged) == (True, False, 0)
    assert seen == [(number, 13) for number in range(1, 14)]
    assert equation_of_state(alloy, EMT(), relax_positions=True, max_steps=1).n_unconverged == 13


def test_no_minimum_in_range_is_told_and_the_curve_returned() -> None:
    for a, word in ((3.3, "larger"), (4.0, "smaller")):
        curve = equation_of_state(bulk("Cu", a=a), EMT())
        assert curve.fits == ()
        assert curve.problem is not None
        assert f"take {word} volumes" in curve.problem
        assert len(curve.energies) == 13
        with pytest.raises(EquationOfStateError, match="no minimum in range"):
            _ = curve.fit


@pytest.mark.parametrize("a", [3.3, 4.0])
def test_the_range_moves_to_the_minimum_and_that_is_told(a: float) -> None:
    expected = relax(bulk("Cu", a=3.6), EMT(), smax=1e-6).final.get_volume()
    curve = equation_of_state(bulk("Cu", a=a), EMT(), follow=8)
    assert curve.fit.volume == pytest.approx(expected, rel=1e-3)
    assert curve.volumes[0] < expected < curve.volumes[-1]
    assert curve.volumes[-1] / curve.volumes[0] == pytest.approx(1.06 / 0.94)
    (told,) = curve.remarks
    low, high = curve.volumes[[0, -1]] / curve.atoms.get_volume()
    assert told.startswith("the energy has no minimum at 0.94 to 1.06 times the volume given")
    assert told.endswith(f"taken were {low:.3f} to {high:.3f}")
    assert equation_of_state(bulk("Cu", a=a), EMT(), follow=1).fits == ()  # not so far
    flat = equation_of_state(bulk("Ar", "fcc", a=8.0), LennardJones(rc=1.0, epsilon=1e-3), follow=8)
    assert len(flat.volumes) == 13
    assert "no minimum" in str(flat.problem)


@pytest.mark.parametrize(
    ("derivative", "is_doubtful"), [(-0.58, True), (0.5, True), (2.0, False), (4.5, False), (12.0, True)]
)
def test_constants_that_no_solid_has_are_told(derivative: float, is_doubtful: bool) -> None:
    class Curve(EMT):
        def calculate(self, atoms: Atoms, *args: object, **kwargs: object) -> None:
            super().calculate(atoms, *args, **kwargs)
            self.results["energy"] = float(FORMS["birch-murnaghan"](atoms.get_volume(), -3, 0.5, derivative, 11.6))

    curve = equation_of_state(bulk("Cu", a=3.6), Curve())
    assert curve.fit.bulk_modulus_derivative == pytest.approx(derivative, abs=1e-3)
    assert any("DOUBTFUL: B₀′ is" in remark for remark in curve.remarks) == is_doubtful
    assert (curve.fit.doubt is not None) == is_doubtful


def test_sheets_in_vacuum_are_refused() -> None:
    slab = fcc111("Cu", (1, 1, 2), vacuum=8)
    slab.pbc = True
    with pytest.raises(EquationOfStateError, match="this is a sheet or slab in vacuum"):
        equation_of_state(slab, EMT())


def test_energies_without_a_minimum_fit_nothing() -> None:
    volumes = np.linspace(10, 12, 7)
    x = volumes ** (-2 / 3)
    for form in FORMS:
        with pytest.raises(EquationOfStateError, match="no equation of state"):
            fit_equation_of_state(volumes, x**3 + x, form)
    with pytest.raises(EquationOfStateError, match="no minimum"):
        fit_equation_of_state(volumes, np.ones(7))  # atoms that do not feel each other
    # an extrapolated minimum is a minimum, as far as a fit can tell
    assert fit_equation_of_state(volumes, birch(volumes)).volume == pytest.approx(13)


def birch(volumes: np.ndarray) -> np.ndarray:
    return FORMS["birch-murnaghan"](volumes, 0, 1, 4, 13)


def test_records_come_back(tmp_path: Path) -> None:
    for a in (3.6, 4.0):
        curve = equation_of_state(bulk("Cu", a=a), EMT())
        curve.save(tmp_path / "copper.json")
        again = EquationOfState.load(tmp_path / "copper.json")
        assert (again.fits, again.problem, again.atoms) == (curve.fits, curve.problem, curve.atoms)
        np.testing.assert_array_equal(again.energies, curve.energies)


class Broken(EMT):
    def calculate(self, *args, **kwargs) -> None:  # type: ignore[no-untyped-def]
        super().calculate(*args, **kwargs)
        self.results["energy"] = np.nan


def test_what_has_no_equation_of_state_is_refused() -> None:
    copper = bulk("Cu")
    with pytest.raises(EmptyStructureError):
        equation_of_state(Atoms(), EMT())
    for open_one in (fcc111("Cu", (1, 1, 2), vacuum=5), molecule("H2O")):
        with pytest.raises(MissingCellError, match="crystal"):
            equation_of_state(open_one, EMT())
    with pytest.raises(EquationOfStateError, match=r"set atoms\.calc"):
        equation_of_state(copper)
    with pytest.raises(EquationOfStateError, match="there are birch-murnaghan, vinet"):
        equation_of_state(copper, EMT(), form="linear")
    for ratios in ((0.9, 1, 1.1), (1,) * 7, (-1, 0.9, 1, 1.1, 1.2)):
        with pytest.raises(EquationOfStateError, match="five different positive"):
            equation_of_state(copper, EMT(), ratios=ratios)
    with pytest.raises(EquationOfStateError, match=r"at .* Å³ is not finite"):
        equation_of_state(copper, Broken())
    with pytest.raises(EquationOfStateError, match="at least 5"):
        fit_equation_of_state([1, 2, 3, 4], [1, 0, 0, 1])
    with pytest.raises(EquationOfStateError, match="not finite"):
        fit_equation_of_state([1, 2, 3, 4, 5], [1, 0, np.inf, 0, 1])
