"""The running service as the commands use it, through the client: connecting, uploading, encoding."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

import softkv
from softkv.answers.documents import TableRow
from softkv.commands.command_line import CommandError, Misused, Refused, Unreachable
from softkv.commands.files import ArrayFile, LineFile
from softkv.tables import Table

# For a service that is busy, or that restarts during long work: 15 seconds in all.
_RETRIES = 7
_HEADERS = "send it as Authorization: Bearer <key> or X-API-Key: <key>"
_MISSING = re.compile(r"there is no collection '(?P<name>[^']+)'")


@contextmanager
def connect(url: str, api_key: str | None = None) -> Iterator[softkv.Client]:
    """Yield a client of the service; its errors inside the `with` block become a CommandError.

    Raises:
        Misused: the URL is invalid.
        Unreachable: no service answers.
        Refused: the service, or the client before it, refused the request.
    """
    if not url:
        raise Misused("--url is empty: give one such as http://127.0.0.1:8000")
    try:
        client = softkv.Client(url, key=api_key, retries=_RETRIES)
    except softkv.Invalid as error:
        raise Misused(f"--url {error}") from None
    with client:
        try:
            _check_alive(client)
            yield client
        except softkv.Error as error:
            raise command_error(error, url) from None


def command_error(error: softkv.Error, url: str) -> CommandError:
    """Convert an error of the client to the error that ends a command."""
    if isinstance(error, softkv.NotFound) and (missing := _MISSING.match(error.detail)):
        load = f"`softkv load FILE --collection {missing['name']}`"
        return Refused(str(error).replace("collection.create()", load))
    if not isinstance(error, softkv.Unreachable):
        return Refused(str(error).replace(_HEADERS, "give it with --api-key, or set SOFTKV_KEY"))
    reason = str(error.__cause__) or type(error.__cause__).__name__
    if isinstance(error, softkv.TimedOut) and error.sent:
        return Unreachable(
            f"the service at {url} did not answer in time ({reason}): look whether it has too much to do"
        )
    return Unreachable(
        f"no service answers at {url} ({reason}): start one with `softkv serve`, or give the address of one with --url"
    )


def _check_alive(client: softkv.Client) -> None:
    """Raise Unreachable if no service answers, without retries.

    Retries are for a service that disappears during long work.

    An error status is ignored here, since the command's own request reports it.
    """
    with suppress(softkv.Refused):
        client.with_options(retries=0).alive()


_IDS_PER_REQUEST = 1000
_MAX_ID_CHARACTERS = 256


OPTION = "--{} {}"
"""The form of an option in a message about a table."""


@contextmanager
def reading() -> Iterator[None]:
    """Within the block, errors about a file become a CommandError."""
    try:
        yield
    except softkv.Invalid as error:
        raise CommandError(str(error)) from None


class Upload:
    """One upload of a table's documents: call `run`, then read the counts.

    Of the `read` rows, `upserts` are written, and `skipped` were there already.

    Args:
        collection: the collection.
        table: the documents.
        report: called with the number of read rows, whenever some are acknowledged.
    """

    def __init__(
        self,
        collection: softkv.Collection,
        table: Table,
        report: Callable[[int], None],
    ) -> None:
        self.collection = collection
        self.skipped = 0
        self._table = table
        self._report = report
        self._sent = softkv.Report()
        # The numbers of rows in flight, from the first unacknowledged row on.
        self._numbers: deque[int] = deque()
        self._first = 0

    @property
    def read(self) -> int:
        """The number of rows whose result is known."""
        return self._sent.acknowledged + self.skipped

    @property
    def upserts(self) -> int:
        """The number of documents that the service has acknowledged."""
        return self._sent.upserted

    @property
    def refusals(self) -> Sequence[softkv.Refusal]:
        """The rows that are not documents or were refused."""
        return self._sent.refused

    @property
    def cut_ids(self) -> list[str]:
        """The ids of documents whose text is longer than the encoder reads."""
        return self._sent.truncated

    @property
    def values_waiting(self) -> int:
        """The number of values of the collection that were still to be encoded at the end."""
        return self._sent.values_waiting

    def run(self, *, resume: bool) -> None:
        """Send every document; with `resume`, only those whose ids the collection lacks."""
        rows = self._missing() if resume else iter(self._table)
        try:
            self.collection.upsert(self._remember_numbers(rows), progress=self._update, resume=self._sent)
        except softkv.Refused as error:
            self._forget_acknowledged()
            if not self._numbers:
                raise
            raise Refused(f"from {self._table.unit} {self._numbers[0]} on: {error}") from None
        self._report(self.read)

    def _missing(self) -> Iterator[TableRow]:
        for batch in batches(self._table, _IDS_PER_REQUEST):
            present = existing_ids(self.collection, (row.id for row in batch if row.id is not None and not row.flaw))
            missing = [row for row in batch if row.flaw or row.id not in present]
            self.skipped += len(batch) - len(missing)
            self._report(self.read)
            yield from missing

    def _remember_numbers(self, rows: Iterable[TableRow]) -> Iterator[TableRow]:
        for row in rows:
            self._numbers.append(row.number)
            yield row

    def _update(self, _: softkv.Report) -> None:
        self._forget_acknowledged()
        self._report(self.read)

    def _forget_acknowledged(self) -> None:
        for _ in range(self._sent.acknowledged - self._first):
            self._numbers.popleft()
        self._first = self._sent.acknowledged

    def summary(self) -> dict[str, Any]:
        """Return the counts of the upload as JSON, for programs."""
        return {
            "collection": self.collection.name,
            "documents": self.read,
            "upserted": self.upserts,
            "skipped": self.skipped,
            "keyless": self._table.keyless,
            "expired": self._table.expired,
            "notices": self._table.notices,
            "refused": [
                {self._table.unit: refused.line, "id": refused.id, "detail": refused.detail}
                for refused in self.refusals
            ],
            "truncated": self.cut_ids,
            "values_waiting": self.values_waiting,
        }

    def flaws(self) -> list[str]:
        """Return a line for each refused row, with its id and the reason."""
        return [
            f"{self._table.unit} {refused.line}{'' if refused.id is None else f', id {refused.id!r}'}: {refused.detail}"
            for refused in self.refusals
        ]

    def __str__(self) -> str:
        counts = [f"{self.upserts:,} {'document' if self.upserts == 1 else 'documents'} written"]
        if self._table.keyless:
            counts.append(f"{self._table.keyless:,} {'has' if self._table.keyless == 1 else 'have'} no key")
        if self._table.expired:
            counts.append(f"{self._table.expired:,} {'has' if self._table.expired == 1 else 'have'} expired")
        if self.skipped:
            counts.append(f"{self.skipped:,} {'was' if self.skipped == 1 else 'were'} there already")
        if self.refusals:
            counts.append(f"{len(self.refusals):,} refused")
        if self.cut_ids:
            counts.append(f"{len(self.cut_ids):,} longer than the encoder reads")
        return f"{self.collection.name}: {', '.join(counts)}"


# Far below the limit of a request, whatever the length of the texts.
_BATCH_CHARACTERS = 4 * 2**20


def batches(rows: Iterable[TableRow], size: int) -> Iterator[list[TableRow]]:
    """Yield rows in lists of at most `size`; lists of rows with long keys are shorter."""
    batch: list[TableRow] = []
    characters = 0
    for row in rows:
        length = len(str((row.document or {}).get("key", "")))
        if batch and (len(batch) == size or characters + length > _BATCH_CHARACTERS):
            yield batch
            batch, characters = [], 0
        batch.append(row)
        characters += length
    if batch:
        yield batch


def existing_ids(collection: softkv.Collection, ids: Iterable[str]) -> set[str]:
    """Return which of these ids the collection has; invalid ids are left out."""
    # Documents with an invalid id are sent later, so that the service reports the flaw.
    valid = {id_ for id_ in ids if id_.isprintable() and 0 < len(id_) <= _MAX_ID_CHARACTERS and id_ not in (".", "..")}
    return {document.id for document in collection.find(ids=sorted(valid), include=[])} if valid else set()


_ENCODE_BATCH = 64


class Encoding:
    """The encoding of a file's texts: call `run`, then read the results.

    `truncated` has the lines whose texts are longer than the model reads. `unknown_tokens` counts the tokens that the
    model does not know. An encoder behind a URL tells neither.
    """

    def __init__(self, client: softkv.Client, sink: ArrayFile | LineFile, purpose: str, model: str | None) -> None:
        self.model = model
        self.dimension = 0
        self.texts = 0
        self.truncated: list[int] = []
        self.unknown_tokens = 0
        self._client = client
        self._sink = sink
        self._options: dict[str, Any] = {"purpose": purpose, "model": model}

    def run(self, texts: Table, report: Callable[[int], None]) -> None:
        """Encode every text, and call `report` with the number of texts that are done.

        Raises:
            CommandError: a row has no text.
        """
        for batch in batches(texts, _ENCODE_BATCH):
            for row in batch:
                if row.flaw:
                    raise CommandError(f"{texts.name} {texts.unit} {row.number}: {row.flaw}")
            documents = [row.document or {} for row in batch]
            vectors = self._client.encode([document["key"] for document in documents], **self._options)
            self._sink.append(documents, np.asarray(vectors))
            self.model, self.dimension = vectors.model, vectors.shape[1]
            if vectors.truncated is not None:
                pairs = zip(batch, vectors.truncated, strict=True)
                self.truncated += [row.number for row, was_cut in pairs if was_cut]
            self.unknown_tokens += sum(vectors.unknown_tokens or ())
            self.texts += len(batch)
            report(self.texts)

    def summary(self) -> dict[str, Any]:
        """Return the counts of the encoding as JSON, for programs."""
        return {
            "model": self.model,
            "dimension": self.dimension,
            "texts": self.texts,
            "truncated": self.truncated,
            "unknown_tokens": self.unknown_tokens,
        }

    def __str__(self) -> str:
        return f"{self.texts:,} texts, {self.dimension} wide, by {self.model}"
