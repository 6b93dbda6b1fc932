"""Attention over a collection: a memory of keys and values, and questions that are asked of a view of it.

    from attention.lookup import Memory, attend

    memory = Memory.of(keys, values)
    answer = attend(query, memory, temperature=0.05, top_k=3)
    answer.numbers, answer.weights, answer.output, answer.verdict, answer.certificate

Every row is a key and has a weight; several may be keys of one document, which then weighs what they do together. What
comes back are the best documents, the blended value, how much the collection knew, and a proven bound on the error of
all this.
"""

from __future__ import annotations

from attention.kernels import limit_workers, prepare, use_numpy_until_ready
from attention.lookup.answer import Answer, Sweep
from attention.lookup.bounds.aggregates import share_error, weighted_mean, weighted_quantiles
from attention.lookup.bounds.certificate import Certificate
from attention.lookup.codes.summary import KeySummary
from attention.lookup.coverage import Coverage, covered
from attention.lookup.exact import Similarities, Weights, similarities_of, weights_among, weights_of
from attention.lookup.filtered import Filtered
from attention.lookup.memory.bias import Bias
from attention.lookup.memory.bitmaps import RowSelection
from attention.lookup.memory.memory import Memory
from attention.lookup.memory.rows import Rows
from attention.lookup.memory.segments import Segment
from attention.lookup.memory.statistics import BlockStatistics
from attention.lookup.memory.view import AnyMask, AnyView, Mask, View
from attention.lookup.planner import answer, answers, attend, sweep
from attention.lookup.question import Auto, Question
from attention.lookup.sealed.array_file import SealedError
from attention.lookup.sealed.block_file import SealedBlock, seal, sealable_segments, unseal
from attention.lookup.shards.prefixes import Prefix, view_prefixes
from attention.lookup.shards.remote.respond import SCANNING_CALLS, respond
from attention.lookup.shards.remote.sample import SAMPLED, SampleKeys
from attention.lookup.shards.remote.summaries import summary_of
from attention.lookup.shards.remote.view import Message, RemoteMask, RemoteView, ShardHosts
from attention.lookup.shards.remote.wire import each_of, facts_heard, of_bytes, to_bytes
from attention.lookup.softmax.evidence import HALF, Evidence, Stands, Verdict
from attention.lookup.softmax.null_key import Background

__all__ = [
    "HALF",
    "SAMPLED",
    "SCANNING_CALLS",
    "Answer",
    "AnyMask",
    "AnyView",
    "Auto",
    "Background",
    "Bias",
    "BlockStatistics",
    "Certificate",
    "Coverage",
    "Evidence",
    "Filtered",
    "KeySummary",
    "Mask",
    "Memory",
    "Message",
    "Prefix",
    "Question",
    "RemoteMask",
    "RemoteView",
    "RowSelection",
    "Rows",
    "SampleKeys",
    "SealedBlock",
    "SealedError",
    "Segment",
    "ShardHosts",
    "Similarities",
    "Stands",
    "Sweep",
    "Verdict",
    "View",
    "Weights",
    "answer",
    "answers",
    "attend",
    "covered",
    "each_of",
    "facts_heard",
    "limit_workers",
    "of_bytes",
    "prepare",
    "respond",
    "seal",
    "sealable_segments",
    "share_error",
    "similarities_of",
    "summary_of",
    "sweep",
    "to_bytes",
    "unseal",
    "use_numpy_until_ready",
    "view_prefixes",
    "weighted_mean",
    "weighted_quantiles",
    "weights_among",
    "weights_of",
]
