"""Attention over a collection: a memory of keys and values, and questions that are asked of a view of it.

    from softkv_attention.lookup import Memory, attend

    memory = Memory.of(keys, values)
    answer = attend(query, memory, temperature=0.05, top_k=3)
    answer.numbers, answer.weights, answer.output, answer.verdict, answer.certificate

Every row is a key and has a weight. Several rows may be keys of one document; its weight is the sum of theirs. An
answer has the best documents, the blended value, the evidence, and a proven bound on the error of all this.

`planner.py` is the place to start reading. It chooses between two paths; the choice for a question depends on its view,
mask and options, never on the other questions of a batch.

    exact       every similarity in float64, then softmax, and a bound on rounding: if few rows pass the mask
    quantised   a scan of 8-bit codes, the best candidates again in float64, and a bound on what the codes leave out

For one plain question, all steps of a path are a few calls of kernels in C: `few_rows.py` and `one_scan.py`.

Packages, each with the file to begin with, and two modules, `sealed` and `scan`:

    memory      rows, blocks that only grow, immutable views, compaction, tiles: `view.py`
    sealed      one block in one file with checksums, mapped at the next start
    codes       keys, values and queries as bytes with a scale, and statistics of the residuals: `quantisation.py`
    scan        one reading of all codes in every core: thresholds, candidates, sums
    rescoring   candidates again from float32 originals, the head with its ties, sums by document: `candidates.py`
    softmax     from similarities to a distribution; known rows mixed with the sums of the tail: `mixture.py`
    bounds      every proof: rounding, quantisation, weights, the blended value: `weights.py`
    shards      one protocol for rows in memory, without codes, beside a bias, or elsewhere: `shard.py`

`limits.py` has the sizes of blocks and scans, which a memory takes and its views carry.
`temperature_sweep.py` answers at many temperatures from one scan. `coverage.py` bounds what missing rows could weigh.
`all_weights.py` returns the weight of every document, in float64 or from a scan. `addends.py` adds to the logits of
listed documents without another scan.
"""

from __future__ import annotations

from softkv_attention.kernels import limit_workers
from softkv_attention.lookup.addends import add_to_head, before_addends
from softkv_attention.lookup.all_weights import weights_of, weights_without_null
from softkv_attention.lookup.answer import Answer, Certificate, HeavyRows, Sweep, Weights
from softkv_attention.lookup.bounds.aggregates import share_error, weight_error, weighted_mean, weighted_quantiles
from softkv_attention.lookup.codes.summary import KeySummary
from softkv_attention.lookup.coverage import Coverage, cover_missing_rows
from softkv_attention.lookup.exact import Similarities, similarities_of
from softkv_attention.lookup.filtered import Filtered
from softkv_attention.lookup.limits import Limits, ScanWidth
from softkv_attention.lookup.memory.bias import AnyBias, Bias
from softkv_attention.lookup.memory.bitmaps import RowSelection
from softkv_attention.lookup.memory.memory import Memory
from softkv_attention.lookup.memory.rows import Rows
from softkv_attention.lookup.memory.segments import Segment
from softkv_attention.lookup.memory.statistics import BlockStatistics
from softkv_attention.lookup.memory.summaries import summary_of
from softkv_attention.lookup.memory.tiles import PassingRows, Tile
from softkv_attention.lookup.memory.view import AnyMask, AnyView, Mask, View
from softkv_attention.lookup.planner import answer, answer_in_one_scan, answers, attend, sweep
from softkv_attention.lookup.question import Auto, Question
from softkv_attention.lookup.sealed import SealedBlock, SealedError, seal, sealable_segments, unseal
from softkv_attention.lookup.softmax.evidence import Background, BoundedBackground, Evidence
from softkv_attention.lookup.softmax.verdict import (
    HALF,
    FirstConfidence,
    GroupShare,
    Policy,
    Shares,
    Stands,
    Verdict,
    judge,
)

__all__ = [
    "HALF",
    "Answer",
    "AnyBias",
    "AnyMask",
    "AnyView",
    "Auto",
    "Background",
    "Bias",
    "BlockStatistics",
    "BoundedBackground",
    "Certificate",
    "Coverage",
    "Evidence",
    "Filtered",
    "FirstConfidence",
    "GroupShare",
    "HeavyRows",
    "KeySummary",
    "Limits",
    "Mask",
    "Memory",
    "PassingRows",
    "Policy",
    "Question",
    "RowSelection",
    "Rows",
    "ScanWidth",
    "SealedBlock",
    "SealedError",
    "Segment",
    "Shares",
    "Similarities",
    "Stands",
    "Sweep",
    "Tile",
    "Verdict",
    "View",
    "Weights",
    "add_to_head",
    "answer",
    "answer_in_one_scan",
    "answers",
    "attend",
    "before_addends",
    "cover_missing_rows",
    "judge",
    "limit_workers",
    "seal",
    "sealable_segments",
    "share_error",
    "similarities_of",
    "summary_of",
    "sweep",
    "unseal",
    "weight_error",
    "weighted_mean",
    "weighted_quantiles",
    "weights_of",
    "weights_without_null",
]
