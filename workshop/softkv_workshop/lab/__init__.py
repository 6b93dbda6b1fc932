"""The lab: small attention models that are trained while a caller watches, and that callers can then query and inspect.

Importing this package is cheap: only the process that trains imports torch.
"""

from __future__ import annotations

from softkv_workshop.lab.errors import (
    LabBusy,
    LabClosed,
    LabError,
    LibraryNeeded,
    ModelNotTrained,
    NotLearnable,
    TrainingFailed,
    UnreadableSource,
)
from softkv_workshop.lab.jobs import Job, NetworkJob, PairsJob
from softkv_workshop.lab.lab import MAX_SECONDS, Lab, TrainedModel
from softkv_workshop.lab.networks import Decoded, Model, Plan
from softkv_workshop.lab.tasks import TASKS
