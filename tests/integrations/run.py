"""`make integrations` runs this: a service with two encoders, and beside it a framework's suite in its environment.

python -m tests.integrations.run langchain [what pytest takes]
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.checkpoints import save_two_encoders
from tests.examples import ROOT
from tests.running import RunningService

HERE = "tests/integrations"
# A developer's settings for such a library would change the test.
THEIRS = ("HAYSTACK_", "LANGCHAIN_", "LANGSMITH_", "MEM0_", "OPENAI_", "OPENROUTER_", "SOFTKV_")


def run(name: str, arguments: list[str]) -> int:
    """Check the module's types and run its suite → the exit status.

    Args:
        name: the framework's, with `-oldest` behind it for the oldest versions that the client supports.
        given: arguments of pytest's; without a place, all of the suite is run.
    """
    framework = name.removesuffix("-oldest")
    python = str(ROOT / f".venv-{name}" / "bin" / "python")
    environment = {variable: item for variable, item in os.environ.items() if not variable.startswith(THEIRS)}
    if name == framework:
        # The types of imported modules are checked elsewhere: make lint.
        strict = ["--strict", "--follow-imports=silent", "--config-file=", f"--cache-dir={ROOT}/.mypy_cache/{name}"]
        types = [python, "-m", "mypy", *strict, "-p", f"softkv.{framework}"]
        checked = subprocess.run(types, cwd=ROOT / "clients" / "python", env=environment, check=False)
        if checked.returncode:
            return checked.returncode
    folders = [] if any(item.startswith(HERE) for item in arguments) else [f"{HERE}/{framework}"]
    suite = [python, "-m", "pytest", "-c", f"{HERE}/pytest.ini", "--rootdir", ".", "--confcutdir", HERE]
    with (
        tempfile.TemporaryDirectory() as data,
        tempfile.TemporaryDirectory() as models,
        RunningService(data_dir=data, demo=("library",), encoders=save_two_encoders(Path(models))) as service,
    ):
        logging.disable(logging.INFO)  # a line for each request
        service.wait_until_ready()
        variables = environment | {"SOFTKV_URL": service.url}
        return subprocess.run([*suite, *folders, *arguments], cwd=ROOT, env=variables, check=False).returncode


if __name__ == "__main__":
    sys.exit(run(sys.argv[1], sys.argv[2:]))
