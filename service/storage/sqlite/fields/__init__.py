"""What is read of the table `fields` as a whole: columns in memory, and facts on each field."""

from __future__ import annotations

from service.storage.sqlite.fields.columns import read_column
from service.storage.sqlite.fields.facts import read_facts, read_kinds, read_names
