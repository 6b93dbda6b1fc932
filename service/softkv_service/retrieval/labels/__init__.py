"""Learning from labels, which are questions with known answers.

`calibrate.py` fits a calibration to labelled questions or to feedback, and `off_topic_questions.py` asks it off-topic
questions. `feedback.py` keeps what callers say of answers. The mathematics is `softkv_service.retrieval.calibration`.
`projections.py` stores a map of queries that `softkv train` has fitted to labelled pairs.
"""

from __future__ import annotations

from softkv_service.retrieval.labels.calibrate import (
    MAX_LABELS,
    LabelledQuestion,
    calibrate_collection,
    group_neighbours,
)
from softkv_service.retrieval.labels.feedback import (
    Judgement,
    decode_query,
    keep_feedback,
    leave_missing_out,
    page_feedback,
    read_first,
)
from softkv_service.retrieval.labels.projections import MAX_RANK, ProjectionChange, find_projection, put_projection
