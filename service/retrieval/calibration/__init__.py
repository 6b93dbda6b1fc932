"""What labelled questions say of a collection: mathematics on small tables, which knows no collection."""

from __future__ import annotations

from service.retrieval.calibration.assessed import PROMISE, Assessed, assess
from service.retrieval.calibration.confidence import Curve, weight_logits
from service.retrieval.calibration.conformal import PROMISES, fewest
from service.retrieval.calibration.figures import Figure, Figures
from service.retrieval.calibration.fitted import Variant
from service.retrieval.calibration.kept import VERSION, Calibration
from service.retrieval.calibration.profile import WORDS, Documents, Profiles, Profiling
