"""Rotary positions as config.json declares them: their base, and what stretches them for longer texts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from softkv_attention.arrays import F32
from softkv_attention.rotary import Rotary, frequencies
from softkv_attention.transformer.checkpoints.config import CheckpointError, Config, UnsupportedModelError

# Ways to stretch positions for texts longer than those of the training:
#   linear    all frequencies are divided by a factor
#   ntk       the base grows, so that long waves are stretched more than short ones; as in the code of GTE
#   dynamic   as ntk, but the base grows with the text beyond the model's length
#   llama3    long waves are divided by a factor, short ones stay
#   yarn      the same with a ramp between, and larger components


def rope_settings(config: Config, kind: str | None = None) -> Config:
    """Return the settings of the rotary positions, in their newer form or as a config without fields.

    Args:
        config: the content of config.json.
        kind: the kind of layer, "full_attention" or "sliding_attention", if kinds have settings of their own.
    """
    settings = config.part("rope_parameters") or Config(config.source, {})
    if kind is not None and ("full_attention" in settings.fields or "sliding_attention" in settings.fields):
        settings = settings.part(kind) or Config(config.source, {})
    return settings


def scaling(config: Config) -> Config | None:
    """Return what an older config.json calls rope_scaling; None if it has none."""
    return config.part("rope_scaling")


def rotary(config: Config, settings: Config, theta: float, head_width: int) -> Rotary:
    """Return the rotation of heads.

    Args:
        config: the content of config.json.
        settings: the settings of the rotation.
        theta: the base, if the settings have none.
        head_width: the width of a head.

    Raises:
        UnsupportedModelError: the positions are stretched in a way that is not supported.
        CheckpointError: a setting is missing or wrong.
    """
    theta = settings.number("rope_theta", theta)
    share = settings.number("partial_rotary_factor", config.number("partial_rotary_factor", 1))
    width = int(head_width * share)
    if width % 2 or not 2 <= width <= head_width:
        raise CheckpointError(f"{config.source}: a rotation must be of an even part of {head_width}, got {width}")
    kind = settings.fields.get("rope_type", settings.fields.get("type", "default"))
    plain = frequencies(theta, width)
    if kind in ("default", None):
        return numbers(plain)
    if kind == "ntk":
        factor = settings.number("factor", 0)
        return numbers(frequencies(theta * factor, width) / np.float32(factor ** (2 / width)))
    if kind == "linear":
        return numbers(plain / np.float32(settings.number("factor", 0)))
    if kind == "dynamic":
        # Stretching begins behind max_position_embeddings, which is the limit of a text: see `position_limit`.
        return numbers(plain)
    if kind == "llama3":
        return numbers(llama3(settings, original_length(config, settings), plain))
    if kind == "yarn":
        return yarn(settings, original_length(config, settings), theta, plain)
    raise UnsupportedModelError(
        f"{config.source}: rope_type must be default, linear, ntk, dynamic, llama3 or yarn, got {kind!r}"
    )


def numbers(values: F32, scale: float = 1.0) -> Rotary:
    """Return the rotation with these frequencies [d_rot / 2]."""
    return Rotary(tuple(values.astype(np.float32).tolist()), scale)


def original_length(config: Config, settings: Config) -> int:
    """Return the length of texts that the model was trained with before its positions were stretched."""
    name = "original_max_position_embeddings"
    # The field beside the settings has precedence, as in transformers.
    for source in (config, settings):
        if source.fields.get(name) is not None:
            return source.count(name)
    return config.count("max_position_embeddings")


def llama3(settings: Config, length: int, plain: F32) -> F32:
    """Return frequencies whose long waves are stretched by a factor, and short ones not: Llama 3.1."""
    factor = settings.number("factor", 0)
    low, high = settings.number("low_freq_factor", 0), settings.number("high_freq_factor", 0)
    wave = (2 * math.pi / plain).astype(np.float32)
    stretched: F32 = np.where(wave > length / low, plain / np.float32(factor), plain)
    smooth = (length / wave - low) / (high - low)
    between = (1 - smooth) * stretched / factor + smooth * stretched
    is_between = (wave >= length / high) & (wave <= length / low)
    return np.where(is_between, between, stretched).astype(np.float32)


def yarn(settings: Config, length: int, theta: float, plain: F32) -> Rotary:
    """Return a rotation stretched for longer texts by YaRN (Peng et al. 2023, arXiv 2309.00071)."""
    factor, width = settings.number("factor", 0), 2 * len(plain)

    def pair(rotations: float) -> float:
        """Return the index of the pair that turns this many times over the original length."""
        return width * math.log(length / (rotations * 2 * math.pi)) / (2 * math.log(theta))

    low = pair(optional(settings, "beta_fast", 32))
    high = pair(optional(settings, "beta_slow", 1))
    if settings.flag("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, width - 1)
    ramp = (np.arange(width // 2, dtype=np.float32) - low) / (high - low if high != low else 0.001)
    share = 1 - np.clip(ramp, 0, 1).astype(np.float32)
    stretched = (np.float32(1) / (np.float32(factor) * (np.float32(1) / plain))).astype(np.float32)
    return numbers(stretched * (1 - share) + plain * share, attention_factor(settings, factor))


def attention_factor(settings: Config, factor: float) -> float:
    """Return the factor of the rotated components for YaRN."""
    if settings.fields.get("attention_factor") is not None:
        return settings.number("attention_factor", 1)
    scale, of_all = optional(settings, "mscale", 0), optional(settings, "mscale_all_dim", 0)
    if scale and of_all:
        return growth(factor, scale) / growth(factor, of_all)
    return growth(factor, 1)


def growth(factor: float, scale: float) -> float:
    """Return 0.1 · scale · ln(factor) + 1; 1 if nothing is stretched."""
    return 0.1 * scale * math.log(factor) + 1 if factor > 1 else 1.0


def optional(settings: Config, name: str, otherwise: float) -> float:
    """Return a number, or `otherwise` if it is missing, null or 0."""
    value: Any = settings.fields.get(name)
    return settings.number(name, 1) if value else otherwise


def is_dynamic(config: Config) -> bool:
    """Return whether the positions of a text are stretched as it grows beyond the model's length."""
    settings = config.part("rope_parameters") or scaling(config)
    return settings is not None and settings.fields.get("rope_type", settings.fields.get("type")) == "dynamic"
