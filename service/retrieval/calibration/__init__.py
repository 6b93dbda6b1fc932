"""What labelled questions say of a collection: mathematics on small tables, which knows no collection."""

from __future__ import annotations

from service.retrieval.calibration.assessed import COVERAGE, Evaluation, evaluate
from service.retrieval.calibration.confidence import Curve, weight_logits
from service.retrieval.calibration.conformal import COVERAGES, min_labels
from service.retrieval.calibration.figures import Metric, Metrics
from service.retrieval.calibration.fitted import Variant
from service.retrieval.calibration.kept import VERSION, Calibration
from service.retrieval.calibration.profile import FULL_TEXT_WEIGHTS, DocumentKeys, ProfileBuilder, Profiles
