"""The mathematics of calibration by labelled questions, on small tables that know no collection."""

from __future__ import annotations

from softkv_service.retrieval.calibration.confidence import Curve, weight_logits
from softkv_service.retrieval.calibration.evaluation import (
    Bought,
    Evaluation,
    Gain,
    Metric,
    Metrics,
    RerankedEvaluation,
    evaluate,
    evaluate_reranked,
)
from softkv_service.retrieval.calibration.fit import Variant, null_logit
from softkv_service.retrieval.calibration.off_topic import OffTopic
from softkv_service.retrieval.calibration.profile import (
    FULL_TEXT_WEIGHTS,
    DocumentKeys,
    ProfileBuilder,
    Profiles,
)
from softkv_service.retrieval.calibration.record import (
    NO_TERMS,
    USUAL_LATE,
    VERSION,
    Calibration,
    LabelSource,
    RerankerSettings,
    TextTerms,
    has_conformal_sets,
)
