"""Slots as Ray actors, and how they are asked: the only file that imports ray, so that it can be replaced.

`service.cluster.ray_node.prepare` has to be called before this is imported: Ray reads the environment once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from service.cluster.errors import ClusterUnreachable, NodeLost, NodeNameTaken
from service.cluster.ray_node import RayNode, check, here

NAMESPACE = "softkv"
CALLS_AT_ONCE = 16
AGAIN_SECONDS = 0.2
"""Between two looks for a slot that is lost."""
LOOK_SECONDS = 5.0
MAKE_SECONDS = 600.0


class _Slot:
    """The actor: makes what it holds, anew in each process that Ray starts for it."""

    def __init__(self, factory: str, arguments: Mapping[str, Any]) -> None:
        module, _, name = factory.partition(":")
        self._held = getattr(import_module(module), name)(**arguments)

    def answer(self, message: bytes) -> bytes:
        answered: bytes = self._held.answer(message)
        return answered

    def told(self, method: str, arguments: Mapping[str, Any]) -> Any:
        return getattr(self._held, method)(**arguments)

    def where(self) -> str:
        return str(ray.get_runtime_context().get_node_id())


# What its keeper asks waits for no question.
_ACTOR = ray.remote(concurrency_groups={"kept": 2}, max_concurrency=CALLS_AT_ONCE)(_Slot)


def _listen_no_more() -> None:
    """End Ray's thread that prints errors of the head's: it takes a whole core for as long as there is no head."""
    ended = getattr(ray._private.worker.global_worker, "threads_stopped", None)
    if ended is not None:
        ended.set()


class Membership:
    """This process, joined to a cluster as a driver, by a node of its own.

    Args:
        address: `ray://HOST:PORT` of the head; `auto` for the cluster of this machine, started where there is none.
        folder: of this user's, where `auto` keeps address and token.

    Attributes:
        address: `HOST:PORT` of the head.
        node: this machine's, as Ray calls it.

    Raises: ClusterUnreachable; TokenRefused.
    """

    def __init__(self, address: str, folder: Path) -> None:
        head: RayNode | None = None
        if address == "auto":
            self.address, head = here(folder)
        else:
            self.address = address.removeprefix("ray://")
            check(self.address)
        self._own = head or RayNode(self.address)
        try:
            ray.init(
                address=self.address,
                namespace=NAMESPACE,
                _temp_dir=str(self._own.folder),
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except (RayError, ConnectionError, RuntimeError) as error:
            self._own.close()
            raise ClusterUnreachable(f"the cluster at {self.address} could not be joined: {error}") from None
        _listen_no_more()
        self.node = str(ray.get_runtime_context().get_node_id())
        self._slots = set[str]()

    def ended(self, seconds: float) -> bool:
        """Whether this machine's node is gone, at once or within so many seconds."""
        return self._own.ended.wait(seconds)

    def start(self, slot: str, factory: str, arguments: Mapping[str, Any], seconds: float = MAKE_SECONDS) -> None:
        """Start a slot on this machine, and wait until it answers.

        Where its process ends, Ray starts it again here; it outlives this process, but not this machine's node.

        Args:
            factory: what makes the thing with `answer(message)`, as `package.module:name`.
            arguments: for it, plain ones.

        Raises:
            NodeNameTaken: a machine that is there has a slot of this name.
            NodeLost: it was not made; the reason is in the text.
        """
        deadline = time.monotonic() + seconds
        self._clear(slot)
        while True:
            try:
                actor = _ACTOR.options(
                    name=slot,
                    lifetime="detached",
                    max_restarts=-1,
                    max_task_retries=0,
                    num_cpus=0,
                    scheduling_strategy=NodeAffinitySchedulingStrategy(self.node, soft=False),
                ).remote(factory, dict(arguments))
                break
            except ValueError:  # the name is taken until Ray has noticed that its actor is gone
                if time.monotonic() > deadline:
                    raise NodeNameTaken(f"the name {slot} is not given free: name these slots otherwise") from None
                time.sleep(AGAIN_SECONDS)
        try:
            ray.get(actor.where.options(concurrency_group="kept").remote(), timeout=deadline - time.monotonic())
        except RayError as error:
            ray.kill(actor)
            raise NodeLost(f"{slot} was not made: {_reason(error)}") from None
        self._slots.add(slot)

    def call(self, slot: str, method: str, /, seconds: float = LOOK_SECONDS, **arguments: Any) -> Any:
        """Call a method of what a slot holds; raises NodeLost."""
        try:
            actor = ray.get_actor(slot, NAMESPACE)
            called = actor.told.options(concurrency_group="kept").remote(method, arguments)
            return ray.get(called, timeout=seconds)
        except (ValueError, RayError) as error:
            raise NodeLost(f"{slot}: {_reason(error)}") from None

    def end(self, slot: str) -> None:
        """End a slot; none is no error."""
        with suppress(ValueError):
            ray.kill(ray.get_actor(slot, NAMESPACE))

    def close(self) -> None:
        """Leave the cluster; this machine's slots end. A head that is away is not waited for."""
        leaving = threading.Thread(target=self._leave, daemon=True)
        leaving.start()
        leaving.join(LOOK_SECONDS)
        self._own.close()

    def _leave(self) -> None:
        for slot in self._slots:
            self.end(slot)
        ray.shutdown()

    def _clear(self, slot: str) -> None:
        """End what is left of a slot of this name; raises NodeNameTaken where it is another machine's and answers."""
        try:
            actor = ray.get_actor(slot, NAMESPACE)
        except ValueError:
            return
        with suppress(RayError):
            node = ray.get(actor.where.options(concurrency_group="kept").remote(), timeout=LOOK_SECONDS)
            if node != self.node:
                raise NodeNameTaken(f"another machine has a slot {slot}: name these otherwise with --name")
        ray.kill(actor)


class RayTransport:
    """Asks slots; no call waits in a thread, and `ask` itself never waits.

    A slot that was lost is looked for in the background, and until it is found again its calls fail at once.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[str, Any] = {}
        self._sought: dict[str, Future[Any]] = {}
        self._lost: set[str] = set()
        self._again: dict[str, float] = {}
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="slots")

    def send(self, node: str, message: bytes) -> Future[bytes]:
        """What a node answers; the future fails with NodeLost where it is gone, or is not there."""
        answered: Future[bytes] = Future()
        answered.set_running_or_notify_cancel()  # who takes another answer does not call this one off
        with self._lock:
            actor = self._found.get(node)
            lost = node in self._lost
            sought = None if actor is not None else self._seek(node)
        if actor is not None:
            self._call(node, actor, message, answered)
        elif lost or sought is None:
            answered.set_exception(NodeLost(f"{node} does not answer"))
        else:
            sought.add_done_callback(lambda found: self._call(node, found.result(), message, answered))
        return answered

    def close(self) -> None:
        """Look for nobody any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _call(self, slot: str, actor: Any, message: bytes, answered: Future[bytes]) -> None:
        if actor is None:
            answered.set_exception(NodeLost(f"{slot} does not answer"))
            return
        try:
            asked = actor.answer.remote(message).future()
        except RayError as error:
            self._lose(slot, actor)
            answered.set_exception(NodeLost(f"{slot}: {_reason(error)}"))
        else:
            asked.add_done_callback(lambda done: self._take(slot, actor, done, answered))

    def _take(self, slot: str, actor: Any, done: Future[bytes], answered: Future[bytes]) -> None:
        error = done.exception()
        if error is None:
            answered.set_result(done.result())
        elif isinstance(error, RayError) and not isinstance(error, RayTaskError):
            self._lose(slot, actor)
            answered.set_exception(NodeLost(f"{slot}: {_reason(error)}"))
        else:
            answered.set_exception(error)

    def _lose(self, slot: str, actor: Any) -> None:
        with self._lock:
            if self._found.get(slot) is actor:
                del self._found[slot]
                self._lost.add(slot)
            self._seek(slot)

    def _seek(self, slot: str) -> Future[Any] | None:
        """Begin to look for a slot, or go on; None where that was done in vain a moment ago. Within the lock."""
        if slot in self._found:
            return None
        if slot not in self._sought:
            if time.monotonic() < self._again.get(slot, 0):
                return None
            self._sought[slot] = self._threads.submit(self._look, slot)
        return self._sought[slot]

    def _look(self, slot: str) -> Any:
        """The actor that has this name now and answers; None where none does."""
        found: Any = None
        with suppress(ValueError, RayError):
            actor = ray.get_actor(slot, NAMESPACE)
            ray.get(actor.where.options(concurrency_group="kept").remote(), timeout=LOOK_SECONDS)
            found = actor
        with self._lock:
            del self._sought[slot]
            if found is not None:
                self._found[slot] = found
                self._lost.discard(slot)
            else:
                self._lost.add(slot)
                self._again[slot] = time.monotonic() + AGAIN_SECONDS
        return found


def _reason(error: BaseException) -> str:
    """What Ray says, in a line: of what was raised in another process the last one of its traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return lines[-1 if "Traceback" in str(error) or "ray::" in str(error) else 0]
