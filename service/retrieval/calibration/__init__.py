"""The mathematics of calibration by labelled questions, on small tables that know no collection."""

from __future__ import annotations

from service.retrieval.calibration.confidence import Curve, weight_logits
from service.retrieval.calibration.evaluation import (
    Evaluation,
    Gain,
    Metric,
    Metrics,
    RerankEvaluation,
    evaluate,
    evaluate_reranked,
)
from service.retrieval.calibration.fit import Variant, null_logit
from service.retrieval.calibration.off_topic import OffTopic
from service.retrieval.calibration.profile import (
    FULL_TEXT_WEIGHTS,
    RERANK_WEIGHTS,
    DocumentKeys,
    ProfileBuilder,
    Profiles,
)
from service.retrieval.calibration.record import (
    NO_TERMS,
    VERSION,
    Calibration,
    LabelSource,
    Rerank,
    TextTerms,
    has_conformal_sets,
)
