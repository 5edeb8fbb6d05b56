"""GPTFF in LAMMPS: ``pair_style gptff``, on one process or many.

``plugin/`` is a pair style that LAMMPS loads, built by :mod:`~torch_gptff.calculators.lammps.build`. It hands its atoms
to :mod:`~torch_gptff.calculators.lammps.engine`, and exchanges features of ghost atoms between the hops of the model,
see :class:`~torch_gptff.models.exchange.Exchange`.
"""
