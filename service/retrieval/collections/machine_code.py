"""Machine code of the lookup and the encoder, loaded or compiled while the service already answers."""

from __future__ import annotations

import gc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import structlog

from attention.kernels import prepare, prepare_transformer, stop, use_numpy_until_ready
from attention.lookup import Question, View, answers, sweep
from service.storage import CollectionRecord

log = structlog.get_logger("softkv")


class MachineCode:
    """The machine code of this process.

    Slower NumPy code answers until it is ready, or always if it cannot be compiled.

    Args:
        directory: the directory of the compiled code.
        encodes: whether the process encodes texts, too.
    """

    def __init__(self, directory: Path, *, encodes: bool) -> None:
        self.ready = False
        self._directory = directory
        self._encodes = encodes
        use_numpy_until_ready()

    def load(self, compiling: Callable[[str], None] | None = None) -> None:
        """Load the compiled code and compile the rest, both parts in parallel; blocks.

        Args:
            compiling: called with the name of a part before it is compiled, which takes up to a minute.
        """
        parts = {"encoder": prepare_transformer} if self._encodes else {}
        parts["lookup"] = prepare
        with ThreadPoolExecutor(len(parts), thread_name_prefix="machine-code") as threads:
            loading = {
                part: threads.submit(
                    load, self._directory, compiling=None if compiling is None else partial(compiling, part)
                )
                for part, load in parts.items()
            }
            for part, load in loading.items():
                try:
                    load.result()
                except InterruptedError:
                    return
                except (OSError, RuntimeError, ImportError) as error:
                    log.warning(f"the {part} has no machine code and is slower", reason=str(error))
        gc.collect()
        # Otherwise each garbage collection walks through the compiler's objects and stops all threads for 0.1 s.
        gc.freeze()
        self.ready = True

    def stop(self) -> None:
        """Make `load` return, even if code is still being compiled."""
        stop()


def warm_up(view: View, record: CollectionRecord) -> None:
    """Ask one question of each kind, so that machine code is loaded; do nothing without keys.

    Args:
        view: the keys to ask.
        record: the collection's settings.
    """
    if not view.n:
        return
    query, temperature = view.segments[0].load_keys(slice(0, 1))[0], record.settings.temperature
    answers(view, [Question(query, temperature)])
    sweep(view, Question(query, 1.0, output=False), [temperature])
