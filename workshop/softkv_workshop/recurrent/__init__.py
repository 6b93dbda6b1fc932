"""Recurrent networks, which read one token after the other; the Transformer is compared with them.

They are written like the Transformer: parameters are frozen dataclasses of arrays, called like functions, over NumPy
or torch. Start reading in `networks.py`.

    layers    GRU and LSTM; Recurrent, a stack of them over sequences
    models    RecurrentEncoderDecoder, without attention or with Bahdanau's
    training  RecurrentArchitecture and `initial`, the initial parameters; `softkv_attention.transformer` has map_arrays
"""

from __future__ import annotations

from softkv_workshop.recurrent import initial
from softkv_workshop.recurrent.initial import RecurrentArchitecture
from softkv_workshop.recurrent.networks import GRU, LSTM, Cell, Recurrent, RecurrentEncoderDecoder, RecurrentSteps

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
