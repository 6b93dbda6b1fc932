"""While the image is built, or at the end of an installation: verify the model, start the service, ask it one question.

A broken image fails here and not where it is deployed. What Python compiled on the way stays there.
"""

from __future__ import annotations

import compileall
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import softkv
import softkv_attention
import softkv_service
from softkv_service.encoding import default_checkpoint

PATIENCE_SECONDS = 120
SCRIPT = os.path.join(os.path.dirname(sys.executable), "softkv")


def free_port() -> int:
    """Return a port that nothing listens on: some builds share the network of their machine."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def wait_until_ready(server: subprocess.Popen[bytes], url: str) -> None:
    """Block until /readyz is 200; SystemExit with the service's own words where it will not be."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    state = "it does not answer"
    while server.poll() is None and time.monotonic() < deadline:
        try:
            with urlopen(f"{url}/readyz", timeout=10):
                return
        except HTTPError as answer:
            state = answer.read().decode()
            if json.loads(state)["failed"]:
                break
        except (URLError, TimeoutError):
            pass  # it does not listen yet, or this machine has too much to do
        time.sleep(0.1)
    raise SystemExit(f"the service does not get ready: {state}")


def main() -> int:
    """Rehearse, and return the exit code of the service; a stop by SIGTERM makes it 0."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # the processes below keep what they compile
    sys.stdout.write(f"verified: {default_checkpoint()}\n")
    for package in (softkv_attention, softkv_service, softkv):  # the commands too, which the rehearsal does not all run
        compileall.compile_dir(package.__path__[0], quiet=1)
    if find_spec("torch"):  # which the default model does without, and others do not
        subprocess.run([sys.executable, "-c", "import torch"], check=True)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as data:
        serve = [SCRIPT, "serve", "--port", str(port), "--data-dir", data, "--demo", "library"]
        # Libraries keep caches in the temporary folder, and none may stay in the image.
        with subprocess.Popen(serve, env={**os.environ, "TMPDIR": data}) as server:
            try:
                wait_until_ready(server, url)
                ask = [SCRIPT, "attend", "library", "pets that purr", "--top-k", "1", "--url", url]
                subprocess.run(ask, check=True)
            finally:
                server.send_signal(signal.SIGTERM)
        return server.returncode


if __name__ == "__main__":
    sys.exit(main())
