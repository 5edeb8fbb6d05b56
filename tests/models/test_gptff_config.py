"""The configuration of GPTFF: what is refused, and that it can be written and read."""

from __future__ import annotations

import dataclasses
import json

import pytest

from torch_gptff.errors import ConfigError
from torch_gptff.models import DimeNetConfig, GPTFFConfig, SchNetConfig, ViSNetConfig


@pytest.mark.parametrize(
    "config",
    [
        GPTFFConfig(),
        GPTFFConfig.large(),
        GPTFFConfig.paper(),
        GPTFFConfig.v1(),
        GPTFFConfig.v2(),
        GPTFFConfig(cutoff=6.5, repulsion=True),
    ],
)
def test_round_trip_through_json(config):
    assert GPTFFConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_what_is_not_given_is_the_default():
    assert GPTFFConfig.from_dict({"channels": 32}) == GPTFFConfig(channels=32)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["chanels"], "unknown key 'chanels': did you mean 'channels'"),
        (["a", "b"], "unknown key 'a': there are angle_cutoff, angle_update, atomref, channels"),
    ],
)
def test_unknown_keys_are_refused(keys, message):
    with pytest.raises(ConfigError, match=message):
        GPTFFConfig.from_dict(dict.fromkeys(keys, 1))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"transformer": "sparse"}, "transformer must be one of none, global, local"),
        ({"readout": "max"}, "readout must be one of atomwise, mean, pooled"),
        ({"channels": 0}, "channels must be positive"),
        ({"num_layers": -1}, "num_layers must be positive"),
        ({"cutoff": 0.0}, "cutoff must be positive"),
        ({"envelope_exponent": 1}, "envelope_exponent must be at least 2"),
        ({"channels": 10, "heads": 4}, "heads must divide channels"),
        ({"channels": 64.5}, "channels must be a whole number; got 64.5"),
        ({"cutoff": "wide"}, "cutoff must be a finite number; got 'wide'"),
        ({"repulsion": "no"}, "repulsion must be true or false; got 'no'"),
        ({"num_readouts": 0}, "num_readouts must be positive"),
        ({"num_readouts": 2, "readout": "pooled"}, "num_readouts needs the atomwise readout"),
    ],
)
@pytest.mark.parametrize("make", [GPTFFConfig, GPTFFConfig.paper, GPTFFConfig.large], ids=["small", "paper", "large"])
def test_values_out_of_range_are_refused(make, settings, message):
    with pytest.raises(ConfigError, match=message):
        make(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"angle_cutoff": 5.5}, "angle_cutoff must be in"),
        ({"angle_cutoff": 0.0}, "angle_cutoff must be in"),
        ({"cutoff": 3.0}, "angle_cutoff must be in"),
        ({"dropout": 1.0}, "dropout must be in"),
        ({"dropout": -0.1}, "dropout must be in"),
        ({"degree": 4}, "degree must be 0 to 3; got 4"),
        ({"degree": -1}, "degree must be 0 to 3; got -1"),
        ({"angle_update": "none"}, 'transformer="local" needs angles: angle_update must be "explicit" or "harmonic"'),
    ],
)
def test_values_that_the_papers_layers_cannot_have_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        GPTFFConfig.paper(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"angle_update": "explicit"}, "angle_update must be \"none\"; got 'explicit'"),
        ({"degree": 0}, 'degree must be 1 to 3 with transformer="geometric"; got 0'),
        ({"degree": 4}, 'degree must be 1 to 3 with transformer="geometric"; got 4'),
        ({"envelope_exponent": None}, "needs an envelope: envelope_exponent must be a number"),
        ({"dropout": 0.1}, "has no dropout; got 0.1"),
    ],
)
def test_values_that_geometric_attention_cannot_have_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        GPTFFConfig(**settings)


def test_a_cutoff_of_angles_is_of_no_account_without_angles():
    assert GPTFFConfig(cutoff=3.0).angle_cutoff > 3.0


def test_the_papers_layers_are_those_of_version_0_1():
    """By their names and values in the checkpoints that version 0.1 wrote."""
    assert GPTFFConfig.paper().to_dict() == {
        "channels": 64,
        "num_layers": 3,
        "num_radial": 16,
        "cutoff": 5.0,
        "angle_cutoff": 3.5,
        "angle_update": "explicit",
        "degree": 3,
        "max_z": 94,
        "envelope_exponent": 6,
        "transformer": "local",
        "heads": 2,
        "feedforward_channels": 256,
        "dropout": 0.0,
        "readout": "atomwise",
        "embedding_max_norm": None,
        "repulsion": False,
        "num_readouts": 1,
    }


@pytest.mark.parametrize("transformer", ["none", "local", "global"])
def test_naming_another_transformer_alone_gives_the_papers_layers(transformer):
    """As in version 0.1, whose files name no angles."""
    expected = dataclasses.replace(GPTFFConfig.paper(), transformer=transformer)
    assert GPTFFConfig(transformer=transformer) == GPTFFConfig.from_dict({"transformer": transformer}) == expected
    assert GPTFFConfig(transformer=transformer, heads=4) == dataclasses.replace(expected, heads=4)


def test_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        GPTFFConfig().channels = 3


def test_the_published_models_lack_what_the_recommended_one_has():
    for published in (GPTFFConfig.v1(), GPTFFConfig.v2()):
        assert published.envelope_exponent is None
        assert published.readout == "pooled"
    assert (GPTFFConfig.v1().transformer, GPTFFConfig.v2().transformer) == ("none", "global")
    assert GPTFFConfig().envelope_exponent is not None
    assert GPTFFConfig().readout == "atomwise"


@pytest.mark.parametrize("config", [GPTFFConfig, SchNetConfig, DimeNetConfig, ViSNetConfig])
def test_types_are_checked_of_every_model(config):
    assert config.from_dict({"cutoff": "6e0"}).cutoff == 6.0
    assert type(config(cutoff=6).cutoff) is float
    for value in ("far", float("inf"), [5.0], True):
        with pytest.raises(ConfigError, match="cutoff must be a finite number"):
            config(cutoff=value)
    with pytest.raises(ConfigError, match="cutoff must be a finite number; got None"):
        config.from_dict({"cutoff": None})


@pytest.mark.parametrize("table", [None, 3, [None], {None: 1}])
def test_what_is_no_table_of_settings_is_refused(table: object) -> None:
    with pytest.raises(ConfigError):
        GPTFFConfig.from_dict(table)
