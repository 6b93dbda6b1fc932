"""The compose files of docker/, read: the options with which their service would be built and run."""

from __future__ import annotations

from typing import Any

import yaml

from tests.container.tool import ROOT

FOLDER = ROOT / "docker"


def service(name: str) -> dict[str, Any]:
    """The service of a file."""
    service_definition: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))["services"][
        "softkv"
    ]
    return service_definition


SERVICE, PRODUCTION = service("compose.yaml"), service("compose.production.yaml")
# The parts that a compose tool handles around a container, unnoticed by the container.
OUTSIDE = {"image", "build", "restart", "stop_grace_period", "logging"}
LIMITS = {"cpus": "--cpus", "mem_limit": "--memory", "pids_limit": "--pids-limit"}


def build_options() -> list[str]:
    """Return the arguments after `build`: the build arguments, the Dockerfile and the context."""
    build = SERVICE["build"]
    arguments = [option for name in build["args"] for option in ("--build-arg", name)]
    context = (FOLDER / build["context"]).resolve()
    return [*arguments, "--file", str(context / build["dockerfile"]), str(context)]


def run_options(
    *, port: int | None, volume: str, service: dict[str, Any] = SERVICE, secrets: dict[str, str] | None = None
) -> list[str]:
    """Return the arguments after `run`, with this port, volume and secrets for the file's; no port means no network.

    An unknown key is an error, so that the tests cannot run anything else than the file describes.
    """
    options: list[str] = ["--network", "none"] if port is None else []
    for key, value in service.items():
        match key:
            case "ports":
                address, _, inner = value[0].rsplit(":", 2)
                options += ["--publish", f"{address}:{port}:{inner}"] if port is not None else []
            case "environment":
                options += [option for name in value for option in ("--env", f"{name}={value[name]}")]
            case "volumes":
                options += ["--volume", f"{volume}:{value[0].partition(':')[2]}"]
            case "read_only":
                options += ["--read-only"] if value else []
            case "tmpfs" | "cap_drop" | "security_opt":
                flag = f"--{key.replace('_', '-')}"
                options += [option for item in value for option in (flag, item)]
            case "secrets":
                options += [f"--volume={(secrets or {})[name]}:/run/secrets/{name}:ro" for name in value]
            case _ if key in LIMITS:
                options += [LIMITS[key], str(value)]
            case _ if key not in OUTSIDE:
                raise ValueError(f"a compose file has {key}, which no test knows: add it to run_options or to OUTSIDE")
    return options
