"""Build the image, so that its tests find it: `.ci/run` does it beside other tests, since it waits for an index.

python -m tests.container
"""

from __future__ import annotations

from tests.container.composition import build_options
from tests.container.tool import IMAGE, Tool

if tool := Tool.find():
    tool.build(IMAGE, *build_options())
