"""The lab: small models that are trained on the core while one watches, and then looked into.

Importing it is cheap: torch is imported by the process that trains.
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
from service.lab.lab import MOST_SECONDS, Lab, TrainedModel
from service.lab.networks import Decoded, Model, Plan
from service.lab.tasks import TASKS
