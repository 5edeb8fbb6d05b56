"""Start of a run: random weights, or a checkpoint, unchanged or repaired."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch

from torch_gptff.errors import ConfigError
from torch_gptff.io import load_pretrained
from torch_gptff.models import GPTFF, GPTFFConfig, build_model
from torch_gptff.models.properties import turns
from torch_gptff.nn import Readout
from torch_gptff.potential import Potential
from torch_gptff.training.config import ModelSettings


def starting_potential(settings: ModelSettings, seed: int) -> Potential:
    """The potential at the start of a training.

    Raises:
        ConfigError: no such model, a configuration that it does not know, or nothing to repair.
        CheckpointError, DownloadError: see :func:`~torch_gptff.io.load_pretrained`.
    """
    if settings.checkpoint is None:
        if settings.repair:
            raise ConfigError("model.repair is for a checkpoint: name one in model.checkpoint")
        if settings.lora:
            raise ConfigError("model.lora changes the weights of a checkpoint: name one in model.checkpoint")
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = build_model(settings.name, settings.config)
        shifts = [name for name in ("atomref", "mean") if getattr(model.config, name, None) is not None]
        if shifts:
            raise ConfigError(
                f"training fits the elements' energies to the data: leave out {', '.join(shifts)} of model.config"
            )
        if isinstance(model, GPTFF):
            start_at_references(model)
        return Potential(model)
    potential = load_pretrained(settings.checkpoint)
    if settings.repair:
        potential = repaired(potential)
    properties = settings.config.get("properties")
    if properties and settings.lora:
        raise ConfigError("new properties need all their weights: train them without model.lora")
    return with_properties(potential, properties, seed) if properties else potential


@torch.no_grad()
def start_at_references(model: GPTFF) -> None:
    """Set the last matrix of every readout to zero, so that energies are sums of the elements' reference energies.

    A readout of random weights gives every atom some tenths of an eV that say nothing, and the first steps of a
    training would go into unlearning them.
    """
    for readout in model.readout.modules():
        if isinstance(readout, Readout):
            readout.fc_out.weight.zero_()
            readout.fc_out.bias.zero_()


def with_properties(potential: Potential, properties: Mapping[str, str], seed: int) -> Potential:
    """A GPTFF with the same weights and energies, and new heads with random weights for further properties.

    Raises:
        ConfigError: it is no GPTFF, or a property is made of features that turn, which its last layer does not have.
    """
    model = potential.model
    if not isinstance(model, GPTFF):
        raise ConfigError(f"only a GPTFF can be given further properties, and this is {type(model).__name__}")
    config = replace(model.config, properties={**model.config.properties, **properties})
    if turns(config.properties) and not turns(model.config.properties):
        raise ConfigError(
            "the checkpoint has no features that turn behind its last layer: vectors and tensors are for a model that "
            "is trained with them from random weights"
        )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        extended = GPTFF(config).to(model.dtype)
    extended.load_state_dict({**extended.state_dict(), **model.state_dict()})
    extended.elements = model.elements
    potential.model = extended
    return potential


def repaired(potential: Potential) -> Potential:
    """A GPTFF with the same weights, and the readout and envelope of the recommended one.

    It is extensive and smooth. Its energies are wrong until it is trained again, since its readout was trained on sums
    of
    atoms and acts on single atoms now, and an envelope damps all messages.

    Raises:
        ConfigError: it is no GPTFF.
    """
    model = potential.model
    if not isinstance(model, GPTFF):
        raise ConfigError(f"only a GPTFF can be repaired, and this is {type(model).__name__}")
    recommended = GPTFFConfig()
    config = replace(model.config, readout=recommended.readout, envelope_exponent=recommended.envelope_exponent)
    mended = GPTFF(config).to(model.dtype)
    mended.load_state_dict(model.state_dict())
    mended.elements = model.elements
    result = Potential(mended, potential.element_energies)
    result.provenance = {**potential.provenance, "repaired": True}
    return result
