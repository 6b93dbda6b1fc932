"""Why an answer says "one", "several" or "none": all that a verdict depends on beside the weights.

`judge` of `softkv_attention/lookup/softmax/verdict.py` says it, under a policy. Here are the numbers of the
policy and of the null key:

- `key_background.py` measures how similar unrelated keys are. `null.py` makes the null key ("none of these") of that
  and of the encoder's background; its table `RULES` has what `auto` does, and where that was measured.
- `labels.py` has the thresholds and confidences that labelled questions gave.
- `copies.py` says whether the documents that share the weight are copies.
- `reason.py` says in two sentences why.
"""

from __future__ import annotations

from softkv_service.retrieval.verdict.copies import COPY_COSINE, share_alike
from softkv_service.retrieval.verdict.key_background import (
    SAMPLE_CALL,
    SAMPLE_DOCUMENTS,
    SAMPLE_TEXTS,
    KeyBackground,
    KeySample,
    choose_documents,
)
from softkv_service.retrieval.verdict.labels import ConfidenceModel, explain_mismatch
from softkv_service.retrieval.verdict.null import (
    CALIBRATED,
    NullBackground,
    ResolvedNull,
    applicable,
    describe_null,
    require_calibration,
    resolve_null,
)
from softkv_service.retrieval.verdict.reason import (
    LATE_WAITS,
    UNCALIBRATED,
    Conclusion,
    explain_verdict,
    late_waits,
)
