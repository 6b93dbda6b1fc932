"""Calibration by labelled or made questions: the mathematics, on small tables that are independent of collections."""

from __future__ import annotations

from service.retrieval.calibration.abstention import ErrorBound
from service.retrieval.calibration.confidence import COVERAGES, Curve, min_labels, weight_logits
from service.retrieval.calibration.evaluation import COVERAGE, Evaluation, Former, Gain, Metric, Metrics, evaluate
from service.retrieval.calibration.fit import Variant, null_logit
from service.retrieval.calibration.itself import COPY_COSINE, DOCUMENTS, MadeQuestion, evaluate_itself, make_questions
from service.retrieval.calibration.profile import FULL_TEXT_WEIGHTS, DocumentKeys, ProfileBuilder, Profiles
from service.retrieval.calibration.record import VERSION, Calibration, LabelSource, Promise, Refit, RefitMode
