"""Every error this package raises on bad input: one class for one thing that can be wrong.

All derive from :class:`GPTFFError`, which is a :class:`ValueError`.
"""

from __future__ import annotations


class GPTFFError(ValueError):
    """Base class: the input cannot be used, and the message says what to do about it."""


class StructureError(GPTFFError):
    """An atomic structure no energy can be computed for."""


class EmptyStructureError(StructureError):
    """A structure without atoms."""


class NonFiniteError(StructureError):
    """A position or a cell vector that is NaN or infinite."""


class CoordinateRangeError(StructureError):
    """A position or a cell vector so large that its digits no longer place an atom."""


class CoincidentAtomsError(StructureError):
    """Two atoms, or an atom and a periodic image, on one spot."""


class CloseAtomsError(StructureError):
    """Two atoms, or an atom and a periodic image, that are nearer than any atoms come."""


class UnknownElementError(StructureError):
    """A file that does not say which element an atom is."""


class MissingCellError(StructureError):
    """A structure that is periodic along a direction for which it has no cell vector."""


class SingularCellError(StructureError):
    """A periodic cell of zero volume."""


class UnsupportedElementError(StructureError):
    """An element that the model has no parameters for."""


class PartialOccupancyError(StructureError):
    """A site shared by several species, or by a species and nothing."""


class UnreadableStructureError(StructureError):
    """A file that no reader makes a structure of."""


class TruncatedStructureError(UnreadableStructureError):
    """A file that announces more atoms than it has lines for."""


class GraphSizeError(StructureError):
    """A structure whose bonds and angles do not fit into memory."""


class GraphError(GPTFFError):
    """A graph that does not fit its atoms or its model."""


class UnknownBackendError(GPTFFError):
    """A neighbour-list backend that does not exist, is not installed, or cannot do what is asked."""


class ConfigError(GPTFFError):
    """A model configuration with an unknown key or a value out of range."""


class CheckpointError(GPTFFError):
    """A checkpoint that cannot be loaded."""


class CheckpointFormatError(CheckpointError):
    """A file of another format, or a truncated one."""


class CheckpointVersionError(CheckpointError):
    """A checkpoint written by a format version that this package does not know."""


class CheckpointShapeError(CheckpointError):
    """Weights that do not have the names and shapes which their configuration asks for."""


class CheckpointFingerprintError(CheckpointError):
    """Weights that give other energies now than when they were saved."""


class CheckpointDigestError(CheckpointError):
    """A checkpoint that is not, to the last bit, what was saved."""


class UnsafeCheckpointError(CheckpointError):
    """A pickle that holds more than tensors, and could run code."""


class DownloadError(GPTFFError):
    """A named checkpoint that could not be fetched, or is not the one that was published."""


class UnknownReferenceError(GPTFFError):
    """A reference of energies that the model does not have."""


class UnfamiliarCompositionWarning(UserWarning):
    """No error: elements that a model knows, but never saw together."""


class PositionsAloneWarning(UserWarning):
    """No error: positions that are turned or stretched by a transform, and a cell or labels that are not."""


class SlowKernelsWarning(UserWarning):
    """No error: the compiled kernels of the CPU, or recordings on a GPU, cannot be had, and evaluations take longer."""


class UncertainPredictionWarning(UserWarning):
    """No error: a structure whose energy is far more uncertain than any that a committee was calibrated on."""


class RelaxationError(GPTFFError):
    """A relaxation that cannot start, or whose energies, forces or stress ceased to be finite."""


class RecordError(GPTFFError):
    """A file that holds no record of a result, or not the one asked for, or a result that is not finite."""


class ElasticityError(GPTFFError):
    """An elastic tensor that cannot be measured."""


class PhononError(GPTFFError):
    """Phonons that cannot be computed."""


class DiffusionError(GPTFFError):
    """A trajectory, or a set of diffusion coefficients, that says nothing about diffusion."""


class DiffractionError(GPTFFError):
    """A structure or trajectory without a diffraction pattern, or a setting that makes none."""


class HullError(GPTFFError):
    """Energies from which no convex hull can be made."""


class VacancyError(GPTFFError):
    """A crystal whose vacancies cannot be computed."""


class SurfaceError(GPTFFError):
    """A crystal whose surfaces cannot be computed."""


class DispersionError(GPTFFError):
    """Dispersion that cannot be computed, or whose library is not installed."""


class RankingError(GPTFFError):
    """Structures that cannot be ranked as polymorphs."""


class MigrationError(GPTFFError):
    """Two structures between which no path can be computed."""


class ExistingResultsError(GPTFFError):
    """Results that are there already and would be replaced, or that another process is writing."""


class DatasetError(GPTFFError):
    """Frames, or a dataset of them, that cannot be used."""


class UnknownFormatError(DatasetError):
    """Data whose format is not known, or that is not of the format named."""


class UnreadableDataError(DatasetError):
    """A file of frames that is damaged, or does not hold what its format promises."""


class LabelError(DatasetError):
    """An energy, forces or a stress that is not a finite number, or of a shape that does not fit its atoms."""


class NoLabelsError(DatasetError):
    """Data in which no frame has an energy, forces or a stress."""


class CorruptDatasetError(DatasetError):
    """A stored dataset that was never finished, is truncated, or has been damaged."""


class SplitError(DatasetError):
    """A split that cannot be made, or that belongs to another dataset."""


class LeakError(SplitError):
    """A split whose parts share what they must not share."""


class DistillationError(DatasetError):
    """A distillation that cannot start, or from which nothing is left."""


class TrainingError(GPTFFError):
    """A training run that cannot start, or whose loss is no longer a number."""


class JournalError(GPTFFError):
    """The file of an unfinished run that cannot be continued."""


class TrajectoryError(GPTFFError):
    """A trajectory that cannot be read or continued."""


class EquationOfStateError(GPTFFError):
    """An equation of state that cannot be computed, or energies that none fits."""


class MolecularDynamicsError(GPTFFError):
    """A run of molecular dynamics that cannot start or go on."""


class LammpsError(GPTFFError):
    """LAMMPS, or what it needs, that is not installed, or a run of it that failed."""


class ScreeningError(GPTFFError):
    """A screening that cannot start or go on."""


class JobError(GPTFFError):
    """A file, a setting or a job that the page of ``torch-gptff serve`` refuses."""
