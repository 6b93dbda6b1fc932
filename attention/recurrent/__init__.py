"""Recurrent networks, which read one token after the other: what the Transformer is compared with.

They are written as the Transformer is: parameters are frozen dataclasses of arrays, called like functions, over NumPy
or torch. `layers.py` is the place to start reading.

    layers    GRU and LSTM; Recurrent, a stack of them over sequences
    models    RecurrentEncoderDecoder, without attention or with Bahdanau's
    training  RecurrentArchitecture and `initial`, to begin with; `attention.transformer` has arrays and mapped
"""

from __future__ import annotations

from attention.recurrent import initial
from attention.recurrent.encoder_decoder import RecurrentEncoderDecoder, RecurrentSteps
from attention.recurrent.initial import RecurrentArchitecture
from attention.recurrent.layers import GRU, LSTM, Cell, Recurrent

__all__ = [
    "GRU",
    "LSTM",
    "Cell",
    "Recurrent",
    "RecurrentArchitecture",
    "RecurrentEncoderDecoder",
    "RecurrentSteps",
    "initial",
]
