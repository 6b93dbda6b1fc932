"""Queries: attended to, streamed, swept, compared, calibrated by, followed through the model."""

from __future__ import annotations

from service.retrieval.queries.arrays import MOST_LOGITS, Arrays, attend_arrays
from service.retrieval.queries.attend import FullText, Match, Result, attend_collection
from service.retrieval.queries.calibrate import MOST_LABELS, Calibrated, LabelledQuestion, calibrate_collection
from service.retrieval.queries.compare import FourWays, Timed, compare_collection, compare_rows
from service.retrieval.queries.encoded import check_readable
from service.retrieval.queries.question import Options, Reads
from service.retrieval.queries.read import Read
from service.retrieval.queries.reading import Document, Spoke
from service.retrieval.queries.streaming import Told, stream_collection
from service.retrieval.queries.sweep import sweep_collection
from service.retrieval.queries.trace import MAX_CHARACTERS, MAX_NUMBERS, trace_text
