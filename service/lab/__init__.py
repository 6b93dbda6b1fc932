"""The lab: small attention models that are trained while a caller watches, and that callers can then query and inspect.

Importing this package is cheap: only the process that trains imports torch.
"""

from __future__ import annotations

from service.lab.errors import (
    LabBusy,
    LabError,
    LibraryNeeded,
    ModelNotTrained,
    NotLearnable,
    TrainingFailed,
    UnreadableSource,
)
from service.lab.jobs import Job, NetworkJob, PairsJob
from service.lab.lab import MAX_SECONDS, Lab, TrainedModel
from service.lab.networks import Decoded, Model, Plan
from service.lab.tasks import TASKS
