"""What is done with a potential, through any ASE calculator."""

from torch_gptff.workflows.elastic_moduli import ElasticTensor
from torch_gptff.workflows.elasticity import elastic_tensor
from torch_gptff.workflows.relax import OPTIMIZERS, Relaxation, RelaxationStep, relax
from torch_gptff.workflows.trajectory import TrajectoryFile, TrajectoryWriter, open_trajectory

__all__ = [
    "OPTIMIZERS",
    "ElasticTensor",
    "Relaxation",
    "RelaxationStep",
    "TrajectoryFile",
    "TrajectoryWriter",
    "elastic_tensor",
    "open_trajectory",
    "relax",
]
