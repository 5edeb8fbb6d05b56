"""Distillation: a labelled dataset from seed structures and a teacher, to train a small fast model of a slow one."""

from torch_gptff.training.distillation.coverage import Coverage
from torch_gptff.training.distillation.run import Distillation, distill
from torch_gptff.training.distillation.seeds import Seed, read_seeds
from torch_gptff.training.distillation.settings import DistillationSettings
from torch_gptff.training.distillation.teachers import Teacher, make_teacher

__all__ = [
    "Coverage",
    "Distillation",
    "DistillationSettings",
    "Seed",
    "Teacher",
    "distill",
    "make_teacher",
    "read_seeds",
]
