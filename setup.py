"""The build, where it is more than pyproject.toml says: with TORCH_GPTFF_KERNELS=1 a wheel brings its kernels along.

Without that the wheel is one for every platform, and kernels are compiled on first use where there is a compiler.
"""

from __future__ import annotations

import os
import runpy
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

WITH_KERNELS = os.environ.get("TORCH_GPTFF_KERNELS") == "1"
NATIVE = Path("torch_gptff", "ops", "native")


class BuildWithKernels(build_py):
    """Copies the package, and compiles its kernels beside their sources."""

    def run(self) -> None:
        super().run()
        if WITH_KERNELS and not self.editable_mode:
            shipped = runpy.run_path(str(NATIVE / "shipped.py"))
            shipped["compile_all"](os.environ.get("CXX") or "c++", Path(self.build_lib, NATIVE, "compiled"))


class WheelWithKernels(bdist_wheel):
    """Any Python 3, one platform: the kernels are called through ctypes."""

    def get_tag(self) -> tuple[str, str, str]:
        python, abi, platform = super().get_tag()
        return ("py3", "none", platform) if WITH_KERNELS else (python, abi, platform)


class WithKernels(Distribution):
    """Says that the wheel is one of a platform."""

    def has_ext_modules(self) -> bool:
        return WITH_KERNELS


setup(distclass=WithKernels, cmdclass={"build_py": BuildWithKernels, "bdist_wheel": WheelWithKernels})
