"""podman or docker: builds the image, runs containers, and asks them how they are."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[2]
IMAGE = "softkv:test"
# A stop that is refused for this long is killed, which no test may take for a success.
STOP_SECONDS = 10


class Tool:
    """The container tool of this machine; calling it runs it, and raises with its words where it fails."""

    def __init__(self, name: str) -> None:
        self.name = name

    @classmethod
    def find(cls) -> Self | None:
        """Return the installed tool that answers, podman first; None without one."""
        for name in ("podman", "docker"):
            if shutil.which(name) and cls(name).run("version").returncode == 0:
                return cls(name)
        return None

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of it, whatever comes."""
        return subprocess.run([self.name, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)

    def __call__(self, *arguments: str) -> str:
        done = self.run(*arguments)
        if done.returncode != 0:
            raise RuntimeError(f"{shlex.join(done.args)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done.stdout.strip()

    def build(self, image: str, *options: str) -> None:
        """Build the working tree as `image`; a machine may need flags of its own, CONTAINER_BUILD_FLAGS."""
        # podman's own format has no HEALTHCHECK.
        default = "--format docker" if self.name == "podman" else ""
        flags = shlex.split(os.environ.get("CONTAINER_BUILD_FLAGS", default))
        self("build", *flags, "-t", image, *options)

    def inspect(self, name: str) -> dict[str, Any]:
        """Return the tool's description of an image or a container."""
        answer: list[dict[str, Any]] = json.loads(self("inspect", name))
        return answer[0]

    def strict(self, options: list[str]) -> list[str]:
        """Return options whose read-only root has no exceptions, which podman otherwise makes."""
        return [*options, "--read-only-tmpfs=false"] if self.name == "podman" and "--read-only" in options else options

    @contextmanager
    def volume(self, name: str) -> Iterator[str]:
        """A volume that is gone afterwards."""
        self("volume", "create", name)
        try:
            yield name
        finally:
            self("volume", "rm", "--force", name)

    @contextmanager
    def container(self, name: str, image: str, *options: str, command: tuple[str, ...] = ()) -> Iterator[Container]:
        """A container in the background, gone afterwards."""
        self("run", "--detach", "--name", name, *self.strict(list(options)), image, *command)
        try:
            yield Container(self, name)
        finally:
            self.run("rm", "--force", "--volumes", name)


class Container:
    """A container that was started."""

    def __init__(self, tool: Tool, name: str) -> None:
        self._tool = tool
        self.name = name

    def execute(self, *command: str) -> str:
        """Run a command inside → what it wrote."""
        return self._tool("exec", self.name, *command)

    def log(self) -> str:
        """Return the output so far, on both streams."""
        done = self._tool.run("logs", self.name)
        return done.stdout + done.stderr

    def healthy(self) -> bool:
        """Return the result of the image's HEALTHCHECK, which runs now if the tool can run it."""
        if self._tool.name == "podman":
            return self._tool.run("healthcheck", "run", self.name).returncode == 0
        return str(self._tool.inspect(self.name)["State"]["Health"]["Status"]) == "healthy"

    def wait_until_healthy(self, seconds: float = 180) -> None:
        """Block until the HEALTHCHECK succeeds."""
        deadline = time.monotonic() + seconds
        while not self.healthy():
            if not self._tool.inspect(self.name)["State"]["Running"] or time.monotonic() > deadline:
                raise RuntimeError(f"the container does not get healthy: {self.log()}")
            time.sleep(0.3)

    def wait_for(self, words: str, seconds: float = 60) -> None:
        """Block until the log holds `words`."""
        deadline = time.monotonic() + seconds
        while words not in (log := self.log()):
            if time.monotonic() > deadline:
                raise RuntimeError(f"the container's log has no {words!r}: {log}")
            time.sleep(0.3)

    def stop(self) -> tuple[int, float]:
        """Stop by SIGTERM, like every tool; return the exit code and the seconds."""
        began = time.monotonic()
        self._tool("stop", "--time", str(STOP_SECONDS), self.name)
        return int(self._tool.inspect(self.name)["State"]["ExitCode"]), time.monotonic() - began

    def start(self) -> None:
        """Start it again, with the same options and volumes."""
        self._tool("start", self.name)
