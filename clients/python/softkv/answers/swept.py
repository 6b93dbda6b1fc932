"""One question at many temperatures."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from softkv.answers.answer import Evidence, FullText, Verdict
from softkv.answers.document import short
from softkv.answers.explained import NONE_OF_THESE
from softkv.answers.match import Match, match

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Swept:
    """The same matches at every temperature, best first, and what each weighs there.

    Attributes:
        matches: the `top_k` best by similarity.
        documents: how many pass the filter.
        keys: how many keys these have.
        unknown_tokens: how many tokens of the question the model does not know; None where it is a vector.
        warnings: why the filter passes no document: no document has the field, or all have another type there.
    """

    def __init__(
        self, content: Mapping[str, Any], *, question: str | None = None, request_id: str | None = None
    ) -> None:
        self._at: list[Mapping[str, Any]] = content["temperatures"]
        self.matches: list[Match] = [match(each) for each in content["matches"]]
        self.documents: int = content["documents"]
        self.keys: int = content["keys"]
        self.unknown_tokens: int | None = content.get("unknown_tokens")
        self.warnings: list[str] = list(content.get("warnings", ()))
        self._added: Mapping[str, Any] | None = content.get("full_text")
        self.took_ms: float = content["took_ms"]
        self.question = question
        self.request_id = request_id

    @property
    def temperatures(self) -> NDArray[np.float64]:
        """As they were asked for, [T]."""
        return self._column("temperature")

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """Of the matches at each temperature, [T, top_k]."""
        import numpy as np

        return np.array([each["weights"] for each in self._at], dtype=np.float64).reshape(len(self._at), -1)

    @property
    def rest_weights(self) -> NDArray[np.float64]:
        """Of all other documents at each temperature, [T]."""
        return self._column("rest_weight")

    @property
    def null_weights(self) -> NDArray[np.float64]:
        """Of "none of these" at each temperature, [T]."""
        import numpy as np

        return np.array([each["evidence"]["null_weight"] for each in self._at], dtype=np.float64)

    @cached_property
    def evidence(self) -> list[Evidence]:
        """How much the collection knew, at each temperature."""
        return [Evidence.read(each["evidence"]) for each in self._at]

    @property
    def verdicts(self) -> list[Verdict]:
        """What the weights say at each temperature: whether one document stands out, several share it, or none does."""
        return [each.verdict for each in self.evidence]

    @property
    def full_text(self) -> FullText | None:
        """What words added, where `full_text` asked for that."""
        return None if self._added is None else FullText.read(self._added)

    @property
    def ids(self) -> list[str]:
        """Of the matches, in their order."""
        return [each.id for each in self.matches]

    def plot(self, axes: Any = None) -> Any:
        """Draw every weight over the temperature, with matplotlib → its axes.

        Args:
            axes: to draw on; left out, those of a figure of its own.

        Raises:
            ImportError: matplotlib is not installed.
        """
        from softkv.answers.plots import lines

        named = [(name, self.weights[:, place], "match") for place, name in enumerate(self.ids)]
        if self.documents > len(named):
            named.append(("all others", self.rest_weights, "rest"))
        named.append((NONE_OF_THESE, self.null_weights, "null"))
        return lines(self.temperatures, named, self.question, axes)

    def _column(self, name: str) -> NDArray[np.float64]:
        import numpy as np

        return np.array([each[name] for each in self._at], dtype=np.float64)

    def __repr__(self) -> str:
        best = f", {short(self.ids[0], 32)}" if self.matches else ""
        return f"<Swept {len(self._at)} temperatures, {len(self.matches)} of {self.documents:,} documents{best}>"
