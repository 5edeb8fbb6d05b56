"""What is done with a potential, through any ASE calculator."""

from torch_gptff.workflows.relax import OPTIMIZERS, Relaxation, RelaxationStep, relax

__all__ = ["OPTIMIZERS", "Relaxation", "RelaxationStep", "relax"]
