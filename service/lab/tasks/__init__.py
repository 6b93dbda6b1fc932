"""What the lab's models learn: letters, dates, numerals, pictures."""

from __future__ import annotations

from collections.abc import Mapping

from service.lab.tasks.dates import DATES
from service.lab.tasks.numerals import NUMBERS
from service.lab.tasks.pictures import PATCH, PICTURES, SIDE, PictureTask, picture
from service.lab.tasks.strings import COPY, REVERSE
from service.lab.tasks.task import BEGIN, END, Batch, Example, Task, TextTask

TASKS: Mapping[str, Task] = {task.name: task for task in (COPY, REVERSE, DATES, NUMBERS, PICTURES)}
