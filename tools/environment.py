"""Make an environment, or install packages into one, with uv; with venv and pip if uv fails.

`python tools/environment.py create UV FOLDER` makes one of this Python, and `install UV ARGUMENT…` installs into that
of this Python. uv takes a tenth of pip's time: it links the files that environments share. It reads none of pip's files
and variables, so it gets pip's settings from here. Only the standard library is imported.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys

# uv takes several indexes and constraints with spaces between them, as pip does, and folders of wheels with commas.
NAMES = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "constraint": ("UV_CONSTRAINT", " "),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "cert": ("SSL_CERT_FILE", " "),
    "default-timeout": ("UV_HTTP_TIMEOUT", " "),
}
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")


def settings_of_pip(lines: list[str]) -> dict[str, str]:
    """Return pip's settings as variables of uv.

    Args:
        lines: what `pip config list` prints.
    """
    values = {}
    # Options of the command `install` override global ones, and variables override both.
    for section in ("global", "install", ":env:"):
        for line in lines:
            name, _, value = line.partition("=")
            if name.startswith(f"{section}."):
                values[name.removeprefix(f"{section}.")] = str(ast.literal_eval(value))
    variables = {"UV_INDEX_STRATEGY": "unsafe-best-match"}  # pip looks for the best version in all indexes, too
    for option, (variable, separator) in NAMES.items():
        if words := values.get(option, "").split():
            variables[variable] = separator.join(words)
    return variables


def run(uv: list[str], without: list[str]) -> int:
    """Run a command of uv, with pip's settings beside the user's own of uv; the other command if it fails.

    Returns:
        The exit code of the last.
    """
    # A Python of a system may have no pip.
    listed = subprocess.run([*PIP, "config", "list"], capture_output=True, text=True, check=False)
    try:
        done = subprocess.run(uv, env=settings_of_pip(listed.stdout.splitlines()) | os.environ, check=False)
        failure = f"uv failed with exit code {done.returncode}"
    except OSError as error:
        failure = f"uv cannot be run ({error})"
    else:
        if done.returncode == 0:
            return 0
    sys.stderr.write(f"{failure}, so pip does its work; `make UV=` uses pip from the start\n")
    return subprocess.run(without, check=False).returncode


def main(command: str, uv: str, *arguments: str) -> int:
    """Create an environment, or install into this one; return the exit code."""
    if command == "create":
        [folder] = arguments
        created = [uv, "venv", "--quiet", "--seed", "--allow-existing", "--python", sys.executable, folder]
        return run(created, [sys.executable, "-m", "venv", folder])
    # uv would take an editable installation from its cache, and build no library of kernels; pip always builds.
    installed = [uv, "pip", "install", "--refresh-package", "softkv-core", "--python", sys.executable]
    return run([*installed, *arguments], [*PIP, "install", *arguments])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
