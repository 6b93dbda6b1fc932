"""Suites of the packages for frameworks, each in its environment, against one service with two encoders.

python -m tests.integrations.run langchain [more names] [arguments of pytest]
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.checkpoints import save_two_encoders, write_cross_encoder
from tests.examples import ROOT
from tests.running import RunningService

# A developer's settings for such a library would change the test.
THEIRS = ("HAYSTACK_", "LANGCHAIN_", "LANGSMITH_", "MEM0_", "OPENAI_", "OPENROUTER_", "SOFTKV_")
SETTINGS = ["-c", "tests/integrations/pytest.ini", "--rootdir", ".", "-p", "tests.integrations.fixtures"]


def run(names: list[str], arguments: list[str]) -> int:
    """Run the suites of these frameworks, and check the types of a package whose whole suite runs.

    Args:
        names: folders of `clients/`, with `-oldest` behind them for the oldest versions that the package supports.
        arguments: arguments of pytest. Without a path, all tests of a framework are run.

    Returns:
        The exit status: the first that is not 0.
    """
    environment = {variable: item for variable, item in os.environ.items() if not variable.startswith(THEIRS)}
    with (
        tempfile.TemporaryDirectory() as data,
        tempfile.TemporaryDirectory() as models,
        RunningService(data_dir=data, demo=("library",), encoders=_save_models(Path(models))) as service,
    ):
        logging.disable(logging.INFO)  # a line for each request
        service.wait_until_ready()
        variables = environment | {"SOFTKV_URL": service.url}
        statuses = [_run_suite(name, arguments, variables) for name in names]
    return next((status for status in statuses if status), 0)


def _save_models(folder: Path) -> Path:
    """Write two encoders and a small random reranker, and return the file that lists them."""
    file = save_two_encoders(folder)
    file.write_text(f'{file.read_text()}\n[rerankers.pairs]\nmodel = "{write_cross_encoder(folder / "pairs")}"\n')
    return file


def _run_suite(name: str, arguments: list[str], environment: dict[str, str]) -> int:
    """Run the suite of one framework, and return its exit status."""
    framework = name.removesuffix("-oldest")
    folder = f"clients/{framework}"
    python = str(ROOT / f".venv-{name}" / "bin" / "python")
    if name == framework and not arguments:
        types = [python, "-m", "mypy", f"--cache-dir={ROOT}/.mypy_cache/{name}"]
        checked = subprocess.run(types, cwd=ROOT / folder, env=environment, check=False)
        if checked.returncode:
            return checked.returncode
    tests = [] if any(argument.startswith("clients/") for argument in arguments) else [f"{folder}/tests"]
    suite = [python, "-m", "pytest", *SETTINGS, "--confcutdir", folder, *tests, *arguments]
    return subprocess.run(suite, cwd=ROOT, env=environment, check=False).returncode


def main() -> int:
    """Run the suites that the command line names."""
    words = sys.argv[1:]
    count = next((index for index, word in enumerate(words) if not (ROOT / f".venv-{word}").is_dir()), len(words))
    return run(words[:count], words[count:])


if __name__ == "__main__":
    sys.exit(main())
