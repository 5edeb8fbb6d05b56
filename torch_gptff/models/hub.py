"""Models as folders and as repositories of the Hugging Face Hub: a configuration and its weights.

The methods have the names and arguments of PyG's ``PyGModelHubMixin``. Weights are kept as safetensors, which reading
can run no code; a folder needs no further package, a repository needs ``huggingface_hub``.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from torch_gptff.errors import CheckpointError, CheckpointFormatError, CheckpointShapeError, ConfigError

CONFIG, WEIGHTS = "config.json", "model.safetensors"
Model = TypeVar("Model", bound="HubModel")


class HubModel:
    """Base of a model that can be saved to a folder or repository, and read from one.

    A checkpoint (:func:`torch_gptff.save`) holds a whole potential, with the elements' reference energies; this holds
    the network alone, whatever it predicts.
    """

    name: ClassVar[str]
    config: Any

    def save_pretrained(
        self, save_directory: str | Path, push_to_hub: bool = False, repo_id: str | None = None, **kwargs: Any
    ) -> None:
        """Write ``config.json`` and ``model.safetensors`` to a folder.

        Args:
            save_directory: made where it is missing
            push_to_hub: upload the folder as well, see :meth:`push_to_hub`
            repo_id: name of the repository; by default the name of the folder, in the user's own name space
            kwargs: arguments of :meth:`push_to_hub`
        """
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        weights = {name: weight.detach().cpu().contiguous() for name, weight in self.state_dict().items()}  # type: ignore[attr-defined]
        text = json.dumps({"model": self.name, "config": self.config.to_dict()}, indent=2, allow_nan=False)
        with tempfile.TemporaryDirectory(dir=folder) as unfinished:
            save_file(weights, Path(unfinished) / WEIGHTS, metadata={"format": "pt"})
            (Path(unfinished) / CONFIG).write_text(text + "\n")
            for name in (WEIGHTS, CONFIG):
                (Path(unfinished) / name).replace(folder / name)
        if push_to_hub:
            _upload(folder, repo_id or folder.name, **kwargs)

    def push_to_hub(self, repo_id: str, **kwargs: Any) -> None:
        """Upload the model to a repository of the Hugging Face Hub, which is made where it is missing.

        Args:
            repo_id: as ``"user/name"``
            kwargs: ``token``, ``private``, ``commit_message``, ``revision``

        Raises:
            ConfigError: ``huggingface_hub`` is not installed.
        """
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder, push_to_hub=True, repo_id=repo_id, **kwargs)

    @classmethod
    def from_pretrained(cls: type[Model], pretrained_model_name_or_path: str | Path, **kwargs: Any) -> Model:
        """A model with the weights of a folder or repository, in evaluation mode, on the CPU.

        Args:
            pretrained_model_name_or_path: a folder that :meth:`save_pretrained` wrote, or the name of a repository
            kwargs: arguments of ``huggingface_hub.snapshot_download``, such as ``revision``, ``token``, ``cache_dir``
                and
                ``local_files_only``

        Raises:
            CheckpointFormatError: the folder lacks a file, or one is damaged or of another model.
            CheckpointShapeError: the weights do not fit the configuration.
            ConfigError: the configuration is not one of this model, or ``huggingface_hub`` is not installed.
        """
        folder = Path(pretrained_model_name_or_path)
        if not folder.is_dir():
            hub = _hub(f"{folder} is no folder, and a repository of that name")
            folder = Path(
                hub.snapshot_download(str(pretrained_model_name_or_path), allow_patterns=[CONFIG, WEIGHTS], **kwargs)
            )
        return _read(cls, folder)


def _read(cls: type[Model], folder: Path) -> Model:
    import torch

    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise CheckpointFormatError(f"{folder} has no {name}: save_pretrained() writes {CONFIG} and {WEIGHTS}")
    try:
        entries = json.loads((folder / CONFIG).read_text())
        name, config = entries["model"], entries["config"]
        weights = load_file(folder / WEIGHTS)
    except (ValueError, KeyError, TypeError, RecursionError, SafetensorError) as error:
        raise CheckpointFormatError(f"{folder} cannot be read ({error!r}): save the model anew") from error
    if name != cls.name:
        raise CheckpointFormatError(f"{folder} holds a model {name!r}, and {cls.__name__} is {cls.name!r}")
    model: Any = cls.from_config(cls.config_type.from_dict(config))  # type: ignore[attr-defined]
    dtypes = {weight.dtype for key, weight in weights.items() if weight.is_floating_point() and "output." not in key}
    if len(dtypes) == 1:
        model = model.to(dtypes.pop())
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointShapeError(f"{folder}: the weights do not fit the configuration ({error})") from error
    for name, weight in weights.items():
        if weight.is_floating_point() and not bool(torch.isfinite(weight).all()):
            raise CheckpointError(f"{folder}: weight {name} is not finite")
    return model.eval()


def _upload(folder: Path, repo_id: str, **kwargs: Any) -> None:
    hub = _hub("an upload")
    api = hub.HfApi(token=kwargs.pop("token", None))
    api.create_repo(repo_id, private=kwargs.pop("private", None), exist_ok=True)
    api.upload_folder(repo_id=repo_id, folder_path=folder, **kwargs)


def _hub(what: str) -> Any:
    try:
        import huggingface_hub  # type: ignore[import-not-found]
    except ImportError as error:
        raise ConfigError(f"{what} needs the package huggingface_hub: pip install huggingface_hub") from error
    return huggingface_hub
