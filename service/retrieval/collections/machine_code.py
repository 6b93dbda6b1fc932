"""The machine code of the lookup and of the encoder, loaded or made while the service already answers."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import structlog

from attention.kernels import prepare, prepare_transformer, stand_in, stop
from attention.lookup import Question, View, answers, sweep
from service.storage import CollectionRecord

log = structlog.get_logger("softkv")


class MachineCode:
    """Until it is ready others answer, more slowly; it stays so where there can be no machine code.

    Args:
        directory: where it is kept.
        encodes: whether texts are encoded, too.
    """

    def __init__(self, directory: Path, *, encodes: bool) -> None:
        self.ready = False
        self._directory = directory
        self._encodes = encodes
        stand_in()

    def load(self) -> None:
        """Load what is kept in the directory; have the rest made, both parts side by side; blocks."""
        parts = {"encoder": prepare_transformer} if self._encodes else {}
        parts["lookup"] = prepare
        with ThreadPoolExecutor(len(parts), thread_name_prefix="machine-code") as threads:
            loading = {part: threads.submit(load, self._directory) for part, load in parts.items()}
            for part, load in loading.items():
                try:
                    load.result()
                except InterruptedError:
                    return
                except (OSError, RuntimeError, ImportError) as error:
                    log.warning(f"the {part} has no machine code and is slower", reason=str(error))
        gc.collect()
        # Else everyone waits for a tenth of a second, again and again, while the compiler's objects are walked through.
        gc.freeze()
        self.ready = True

    def stop(self) -> None:
        """Have `load` return, whatever is still being made."""
        stop()


def warm_up(view: View, record: CollectionRecord) -> None:
    """A question of each kind, where there are keys."""
    if not view.n:
        return
    query, temperature = view.segments[0].stored_keys(slice(0, 1))[0], record.settings.temperature
    answers(view, [Question(query, temperature)])
    sweep(view, Question(query, 1.0, output=False), [temperature])
