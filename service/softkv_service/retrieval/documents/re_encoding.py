"""Jobs that move a collection to another encoder while callers read and write it.

A job fills a shadow of the collection: a hidden one with the same documents and the vectors of the other encoder. It
copies batch after batch. Then it compares the row numbers of both, which shows what callers wrote meanwhile, until only
a few documents are left. It encodes these, too, before the last transaction. That one compares once more, and if no
caller has written in between, it writes them, and the shadow takes the collection's name.

So a call before the commit finds the old collection, and a call after it the new one. A call that has begun reads the
old one to its end. No answer mixes vectors of two encoders, and a process that is killed loses at most one batch.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from softkv_service.encoding import Encoder, EncodingQueue, InvalidText
from softkv_service.logs import log
from softkv_service.retrieval.collections import (
    Catalogue,
    Collection,
    SharedCatalogue,
    check_temperature,
    choose_encoder,
    default_temperature,
    estimate_disk_bytes,
    get_encoding_queue,
    get_known_facts,
    get_model_queue,
)
from softkv_service.retrieval.documents.prepare import draft_again
from softkv_service.retrieval.documents.work import Kind, Slices, WorkOver, vectors_of
from softkv_service.retrieval.errors import Flaw, InvalidContent, ReEncodingNotFound, ReEncodingOver, RetrievalError
from softkv_service.scheduling import READS, WRITES
from softkv_service.storage import (
    IdempotentWrite,
    JobState,
    Reader,
    ReEncoding,
    Writer,
    choose_null,
    was_read,
)
from softkv_service.storage.errors import (
    CollectionDamaged,
    DiskFull,
    DocumentDamaged,
    StorageError,
    Unstorable,
    WidthMismatch,
)
from softkv_service.storage.records import CollectionRecord, CollectionSettings, DocumentRecord, Null, RowNumbers

BATCH = 128
"""Documents that are copied in one transaction."""
FINAL_DOCUMENTS = 64
"""The most documents that the last transaction writes, in the first rounds."""
ROUNDS_PER_DOUBLING = 4
MAX_FINAL_DOCUMENTS = 1024
ROUNDS_PER_HOLD = 8
"""Other writes wait in one round of this number, while texts that came during the round are encoded. Else the copy of a
collection that is written to all the time would never end."""
HOLD_SECONDS = 1.0
"""The most time that they wait. An encoder whose round took longer holds up no write."""
GRACE_SECONDS = 60.0
"""For so long a collection that was replaced stays readable for the calls that began on it."""
SHARED_GRACE_SECONDS = 600.0
"""The same if other processes may have calls on it."""
DELETED_AT_ONCE = 500
DISK_RESERVE = 1.1

MAX_REFUSED = 100
"""The number of documents with refused texts after which a job looks for no more."""
SHOWN_REFUSED = 10
DROPPED = ("calibration", "projection")
"""The settings that are of the vectors until now."""

FINAL_ERRORS = (InvalidContent, InvalidText, WidthMismatch, Unstorable, DocumentDamaged, CollectionDamaged)
"""Errors that come again however often the job tries."""


class DocumentsRefused(InvalidContent):
    """The provider of the new encoder refuses texts of some documents.

    Attributes:
        reasons: the first reason of each document, by its id.
    """

    def __init__(self, reasons: Mapping[str, str]) -> None:
        self.reasons = reasons
        documents = "1 document" if len(reasons) == 1 else f"{len(reasons)} documents"
        if len(reasons) >= MAX_REFUSED:
            documents = f"at least {documents}"
        ids = ", ".join(map(repr, list(reasons)[:SHOWN_REFUSED])) + (", …" if len(reasons) > SHOWN_REFUSED else "")
        super().__init__(
            [
                Flaw(
                    "",
                    f"{documents} cannot be encoded: {ids}. The first: {next(iter(reasons.values()))} Change or delete "
                    f"{'it' if len(reasons) == 1 else 'them'}, and begin again.",
                )
            ]
        )


@dataclass(frozen=True)
class JobStatus:
    """A job, and how far it is.

    Attributes:
        documents: how many documents the collection has; after the end, how many it had then.
        done: how many of them are in the shadow.
    """

    job: ReEncoding
    documents: int
    done: int

    @classmethod
    def of(cls, job: ReEncoding, reader: Reader) -> JobStatus:
        """Return the status of a job as a reader sees it."""
        if job.shadow is None:
            return cls(job, job.documents, job.done)
        documents = reader.record(job.collection).documents
        return cls(job, documents, min(documents, reader.record(job.shadow).documents))


def read_last_job(name: str, reader: Reader) -> JobStatus | None:
    """Return the last job of the collection with this name, as a reader sees it; None if it never had one."""
    job = reader.re_encoding(reader.collection(name).id)
    return None if job is None else JobStatus.of(job, reader)


@dataclass(frozen=True)
class _Work:
    """The rest of the work of a job at one instant.

    Attributes:
        rows: int64[n], ascending, the row numbers of the documents that the shadow lacks.
        gone: int64[m], the row numbers of documents of the shadow that have no original any more.
    """

    rows: RowNumbers
    gone: RowNumbers

    @classmethod
    def of(cls, job: ReEncoding, reader: Reader) -> _Work:
        assert job.shadow is not None
        sources, copies = reader.read_copies(job.shadow)
        rows = reader.rows_where(job.collection)
        return cls(np.setdiff1d(rows, sources, assume_unique=True), copies[~np.isin(sources, rows, assume_unique=True)])

    @property
    def documents(self) -> int:
        return max(len(self.rows), len(self.gone))


class ReEncodings:
    """The jobs of a service that move collections to other encoders, for callers: to start, cancel and watch them.

    Args:
        catalogue: the collections of the service.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    async def start(
        self,
        collection: Collection,
        encoder: str,
        *,
        temperature: float | None = None,
        null: Null | None = None,
        keep: bool = False,
        once: IdempotentWrite[JobStatus] | None = None,
    ) -> JobStatus:
        """Begin to move a collection to another encoder.

        Args:
            collection: the collection.
            encoder: the name of the other encoder.
            temperature, null: the settings of the collection after it; None for those that follow from the encoder.
            keep: whether vectors that callers sent are kept, instead of a refusal.
            once: makes a repeated request get its first answer; None without an Idempotency-Key.

        Raises:
            InvalidContent: the encoder is unknown or the collection's own, or vectors of callers are in the way.
            EncoderUnavailable: the encoder is still loading, or has failed.
            ReEncodingActive: a job of the collection has not ended.
            DiskFull: the disk lacks the space for a second copy of the collection.
        """
        encoders = self._catalogue.encoders
        chosen = choose_encoder(encoders, encoder)
        assert chosen is not None
        model = (await get_model_queue(encoders, chosen.name)).encoder

        def begin() -> JobStatus:
            with collection.reading() as (record, reader):
                if (record.settings.encoder_model or record.settings.encoder, record.settings.precision) == (
                    chosen.model,
                    model.precision,
                ):
                    raise InvalidContent.at(
                        "/encoder", f"collection {record.name!r} has the vectors of {encoder!r} already: name another"
                    )
                _check_own_vectors(record, reader, model, keep=keep)
                self._check_disk(record, reader, model)
            settings = _settings(record.settings, model, temperature, null)
            settings = replace(settings, encoder=chosen.name, encoder_model=chosen.model)
            check_temperature(settings)
            job = ReEncoding(
                record.id,
                None,
                "running",
                None,
                record.settings.encoder,
                chosen.name,
                temperature,
                null,
                tuple(name for name in DROPPED if getattr(record.settings, name) is not None),
                time.time(),
            )

            def status_of(begun: ReEncoding) -> JobStatus:
                return JobStatus(begun, record.documents, 0)

            adapted = None if once is None else once.adapt(status_of)
            return status_of(self._catalogue.begin_re_encoding(job, settings, record.name, adapted))

        status = await WRITES.run(begin)
        encoders.wake_worker()
        return status

    def _check_disk(self, record: CollectionRecord, reader: Reader, model: Encoder) -> None:
        disk = self._catalogue.store.disk()
        if disk is None:
            return
        wider = model.dimension / (record.settings.dimension or model.dimension)
        needed = round(DISK_RESERVE * max(1.0, wider) * estimate_disk_bytes(record, reader))
        if needed > disk.free:
            raise DiskFull(
                f"re-encoding {record.name!r} takes about {needed:,} bytes beside it, and {disk.free:,} are free: "
                "free some space first"
            )

    def find(self, name: str) -> Collection:
        """Return the collection of that name; raises CollectionNotFound."""
        return self._catalogue.collection(name)

    async def cancel_soon(self, name: str, once: IdempotentWrite[JobStatus] | None = None) -> JobStatus:
        """Cancel the job of a collection, and delete what it has written in the background; see `cancel`."""
        status = await WRITES.run(self.cancel, name, once)
        self._catalogue.encoders.wake_worker()
        return status

    def cancel(self, name: str, once: IdempotentWrite[JobStatus] | None = None) -> JobStatus:
        """Cancel the job of a collection, which stays as it is; blocks.

        Args:
            once: makes a repeated request get its first answer; None without an Idempotency-Key.

        Raises:
            ReEncodingNotFound: the collection was never re-encoded.
            ReEncodingOver: the job has ended.
        """
        while True:
            with self._catalogue.store.reading() as reader:
                number = reader.collection(name).id
            with self._catalogue.store.writing(once, collection=number) as writer:
                if writer.collection(name).id != number:
                    continue
                status = read_last_job(name, writer)
                if status is None:
                    raise ReEncodingNotFound(name)
                if not (status.job.active or status.job.damaged):
                    raise ReEncodingOver(name, status.job.state)
                ended = _end(self._catalogue, writer, status, "cancelled")
                writer.keep_answer(once, ended)
                return ended

    def active(self) -> list[JobStatus]:
        """Return the jobs that have not ended; blocks."""
        with self._catalogue.store.reading() as reader:
            return [JobStatus.of(job, reader) for job in reader.re_encodings() if job.active]

    def failures(self) -> list[str]:
        """Return a line for each job whose record is damaged; blocks."""
        with suppress(StorageError), self._catalogue.store.reading() as reader:
            return [
                f"collection {reader.record(job.collection).name}: {job.reason}"
                for job in reader.re_encodings()
                if job.damaged
            ]
        return []


class Moves(Kind):
    """Jobs that have not ended."""

    name = "re-encoding"

    def find(self, reader: Reader) -> dict[int, str | None]:
        """Return the collections that move."""
        return {job.collection: job.to for job in reader.re_encodings() if job.active}

    def batches(self, number: int) -> AsyncGenerator[None]:
        """Do the job of a collection."""
        return _Move(self, number).batches()

    def is_final(self, error: Exception) -> bool:
        """Return whether an error comes again however often the job tries."""
        return isinstance(error, FINAL_ERRORS)

    def lease_job(self, writer: Writer, number: int) -> ReEncoding:
        """Return the job of a collection, in the transaction of a write for it; raises WorkOver."""
        job = writer.re_encoding(number)
        if job is None or not job.active:
            raise WorkOver
        self.lease(writer, number)
        return job

    async def pause(self, number: int, reason: str, seconds: float) -> None:
        """Store why the job waits."""
        await super().pause(number, reason, seconds)
        await WRITES.run(self._pause, number, reason)

    def _pause(self, number: int, reason: str) -> None:
        with self.catalogue.store.writing() as writer:
            writer.save_re_encoding(replace(self.lease_job(writer, number), state="paused", reason=reason))

    async def fail(self, number: int, reason: str) -> None:
        """End the job; the collection stays as it is."""
        await super().fail(number, reason)
        await WRITES.run(self._fail, number, reason)

    def _fail(self, number: int, reason: str) -> None:
        with self.catalogue.store.writing(collection=number) as writer:
            job = writer.re_encoding(number)
            if job is not None and job.active:
                _end(self.catalogue, writer, JobStatus.of(job, writer), "failed", reason)


class Leftovers(Kind):
    """Hidden collections that no job fills: shadows of jobs that ended, and collections that were replaced.

    Args:
        catalogue, slices, owner: as for `Kind`.
        grace_seconds: for how long a replaced collection stays readable; None for the usual time.
    """

    name = "the deletion of what a re-encoding has left"
    leased = False  # every process forgets them

    def __init__(self, catalogue: Catalogue, slices: Slices, owner: str, grace_seconds: float | None = None) -> None:
        super().__init__(catalogue, slices, owner)
        default = SHARED_GRACE_SECONDS if isinstance(catalogue, SharedCatalogue) else GRACE_SECONDS
        self._grace = default if grace_seconds is None else grace_seconds
        self._seen: dict[int, float] = {}  # when each was seen first

    def find(self, reader: Reader) -> dict[int, str | None]:
        """Return the collections that no call can read any more."""
        shadows, now = {job.shadow for job in reader.re_encodings() if job.active}, time.monotonic()
        left = {record.id: was_read(record.name) for record in reader.list_hidden() if record.id not in shadows}
        self._seen = {number: self._seen.get(number, now) for number in left}
        return {number: None for number, read in left.items() if not read or now - self._seen[number] >= self._grace}

    async def batches(self, number: int) -> AsyncGenerator[None]:
        """Delete a collection, some documents at a time."""
        while await WRITES.run(self.catalogue.delete_hidden, number, DELETED_AT_ONCE):
            yield


class _Move:
    """The work of this process on one job."""

    def __init__(self, moves: Moves, collection: int) -> None:
        self._moves, self._catalogue, self._collection = moves, moves.catalogue, collection

    async def batches(self) -> AsyncGenerator[None]:
        """Copy what is left, round by round, and put the shadow into the place of the collection."""
        await self._catalogue.refresh()
        rounds = 0
        while True:
            job, shadow, work = await READS.run(self._look)
            queue = await get_encoding_queue(self._catalogue.encoders, shadow.record.settings)
            limit = min(FINAL_DOCUMENTS << (rounds // ROUNDS_PER_DOUBLING), MAX_FINAL_DOCUMENTS)
            ready = dict[int, DocumentRecord]()
            if work.documents <= limit:
                began = time.perf_counter()
                ready = await self._encode_rows(queue, job, shadow, work.rows, patience=0.0)
                fast = time.perf_counter() - began < HOLD_SECONDS
                holds = fast and rounds % ROUNDS_PER_HOLD == ROUNDS_PER_HOLD - 1
                missing = partial(self._encode_held, queue, shadow, asyncio.get_running_loop()) if holds else None
                if await WRITES.run(self._finish, shadow, ready, missing):
                    return
            for start in range(0, len(work.gone), BATCH):
                await WRITES.run(self._write, shadow, (), (), work.gone[start : start + BATCH])
                yield
            refused = dict[str, str]()
            for start in range(0, len(work.rows), BATCH):
                batch = work.rows[start : start + BATCH]
                try:
                    records = ready or await self._encode_rows(queue, job, shadow, batch)
                except DocumentsRefused as error:  # the job ends, after it has found the others, too
                    refused |= error.reasons
                    if len(refused) >= MAX_REFUSED:
                        break
                else:
                    copied = [int(row) for row in batch if int(row) in records]
                    await WRITES.run(self._write, shadow, copied, [records[row] for row in copied], ())
                yield
            if refused:
                raise DocumentsRefused(refused)
            rounds += 1

    def _look(self) -> tuple[ReEncoding, Collection, _Work]:
        with self._catalogue.store.reading() as reader:
            job = reader.re_encoding(self._collection)
            if job is None or not job.active:
                raise WorkOver
            work = _Work.of(job, reader)
        shadow = self._catalogue.shadow(job)
        if shadow is None:
            raise RetrievalError("the collection that it fills is not known to this process yet")
        with shadow.snapshot():  # raises CollectionLoading if its keys are not in memory
            pass
        return job, shadow, work

    def _originals(self, job: ReEncoding, rows: RowNumbers) -> tuple[RowNumbers, list[DocumentRecord]]:
        """Return those of these documents that are still stored."""
        with self._catalogue.store.reading() as reader:
            stored = reader.rows_where(job.collection, first=int(rows[0]), last=int(rows[-1]))
            rows = np.intersect1d(rows, stored, assume_unique=True)
            return rows, reader.documents(job.collection, rows)

    async def _encode_rows(
        self,
        queue: EncodingQueue,
        job: ReEncoding,
        shadow: Collection,
        rows: RowNumbers,
        patience: float | None = None,
    ) -> dict[int, DocumentRecord]:
        """Return the documents with these row numbers that are still stored, with the vectors of the new encoder."""
        if not len(rows):
            return {}
        rows, documents = await READS.run(self._originals, job, rows)
        records = await self._encode(queue, shadow.record, documents, job, patience)
        return dict(zip(rows.tolist(), records, strict=True))

    async def _encode(
        self,
        queue: EncodingQueue,
        record: CollectionRecord,
        documents: Sequence[DocumentRecord],
        job: ReEncoding,
        patience: float | None = None,
    ) -> list[DocumentRecord]:
        """Return the documents with the vectors of the new encoder; see `Slices.encode`.

        Raises:
            DocumentsRefused: the provider of the new encoder refuses texts of some documents.
        """
        drafts = [draft_again(record, document, sent_vectors=job.encoder is None) for document in documents]
        texts = list({text: None for draft in drafts for text in draft.texts})
        vectors, reasons = await self._moves.slices.encode(queue, texts, vectors_of, patience=patience)
        if reasons:
            flaws_by_id = {draft.document.id: draft.text_flaws(reasons) for draft in drafts}
            raise DocumentsRefused({identity: flaws[0].detail for identity, flaws in flaws_by_id.items() if flaws})
        return await READS.run(lambda: [draft.record(vectors) for draft in drafts])

    def _write(
        self,
        shadow: Collection,
        rows: RowNumbers | Sequence[int],
        records: Sequence[DocumentRecord],
        gone: RowNumbers | Sequence[int],
    ) -> None:
        with shadow.filling() as writer:
            job = self._moves.lease_job(writer, self._collection)
            if job.state == "paused":
                writer.save_re_encoding(replace(job, state="running", reason=None))
            shadow.write_copies(np.asarray(rows, dtype=np.int64), records, np.asarray(gone, dtype=np.int64), writer)

    def _encode_held(
        self,
        queue: EncodingQueue,
        shadow: Collection,
        loop: asyncio.AbstractEventLoop,
        job: ReEncoding,
        documents: Sequence[DocumentRecord],
    ) -> list[DocumentRecord] | None:
        """Return these documents with the vectors of the new encoder; None after HOLD_SECONDS."""
        encoding = self._encode(queue, shadow.record, documents, job, patience=0.0)
        future = asyncio.run_coroutine_threadsafe(encoding, loop)
        try:
            return future.result(HOLD_SECONDS)
        except TimeoutError:
            future.cancel()
            return None

    def _finish(
        self,
        shadow: Collection,
        ready: Mapping[int, DocumentRecord],
        encode: Callable[[ReEncoding, Sequence[DocumentRecord]], list[DocumentRecord] | None] | None,
    ) -> bool:
        """Write the last documents, and let the shadow take the collection's place, in one transaction.

        Args:
            ready: the encoded documents by the row numbers of their originals.
            encode: encodes documents that came since, while other writes wait; None to leave them to the next round.

        Returns:
            False if other documents are left; then nothing is written.
        """
        shadow.warm()
        with shadow.filling(of=self._collection) as writer:
            job = self._moves.lease_job(writer, self._collection)
            work = _Work.of(job, writer)
            records = dict(ready)
            missing = [row for row in work.rows.tolist() if row not in records]
            if len(missing) > FINAL_DOCUMENTS or len(work.gone) > MAX_FINAL_DOCUMENTS:
                return False
            if missing:
                documents = writer.documents(self._collection, np.array(missing, dtype=np.int64))
                encoded = None if encode is None else encode(job, documents)
                if encoded is None:
                    return False
                records.update(zip(missing, encoded, strict=True))
            shadow.write_copies(work.rows, [records[row] for row in work.rows.tolist()], work.gone, writer)
            assert job.shadow is not None
            if writer.record(job.shadow).documents != writer.record(self._collection).documents:
                raise CollectionDamaged(shadow.name, "its copy for another encoder lacks documents")
            settings = writer.record(job.shadow).settings
            original = writer.record(self._collection).settings
            # A caller may have changed these during the job.
            settings = replace(settings, defaults=original.defaults, expire_after=original.expire_after)
            facts = get_known_facts(self._catalogue.encoders, settings)
            settings = replace(settings, late=original.late and facts is not None and facts.is_late)
            settings = replace(settings, null=choose_null(original, job.null))
            self._catalogue.replace_collection(writer, job, settings)
        log.info("re-encoded", collection=shadow.name, encoder=job.to, documents=shadow.record.documents)
        return True


def _end(
    catalogue: Catalogue, writer: Writer, status: JobStatus, state: JobState, reason: str | None = None
) -> JobStatus:
    """Store the end of a job that was cancelled or has failed, and return its status then."""
    ended = status.job.ending(state, time.time(), status.documents, status.done, reason)
    catalogue.end_re_encoding(writer, ended, status.job.shadow)
    return JobStatus(ended, ended.documents, ended.done)


def _settings(
    settings: CollectionSettings, model: Encoder, temperature: float | None, null: Null | None
) -> CollectionSettings:
    if null == "calibrated":
        raise InvalidContent.at("/null", "a calibration is of the vectors until now: leave null out, calibrate later")
    if temperature is None:
        temperature = default_temperature(settings.similarity, encoder=model.temperatures, dimension=model.dimension)
    return replace(
        settings,
        precision=model.precision,
        dimension=model.dimension,
        value_dimension=None,
        temperature=temperature,
        null=choose_null(settings, null),
        calibration=None,
        projection=None,
        late=settings.late and model.measure().late is not None,
    )


def _check_own_vectors(record: CollectionRecord, reader: Reader, model: Encoder, *, keep: bool) -> None:
    """Raise InvalidContent if vectors that callers sent are in the way."""
    counts, settings = reader.count_own_vectors(record.id), record.settings
    if counts.documents and not keep:
        documents = "1 document carries" if counts.documents == 1 else f"{counts.documents:,} documents carry"
        raise InvalidContent.at(
            "/vectors",
            f"{documents} vectors that no encoder can make from the texts: send "
            '"vectors": "keep" to keep these as they are, or delete those documents first',
        )
    if counts.keys and settings.dimension != model.dimension:
        raise InvalidContent.at(
            "/vectors",
            f"{counts.keys:,} documents carry keys of width {settings.dimension}, and {model.name!r} makes keys of "
            f"width {model.dimension}: a collection has one width, so choose an encoder of that width, or delete those "
            "documents first",
        )
    # Values as wide as the keys may partly be encoded; those of another width were all sent.
    if counts.values and settings.value_dimension == settings.dimension != model.dimension:
        raise InvalidContent.at(
            "/vectors",
            f"{counts.values:,} documents carry values of width {settings.value_dimension}, and {model.name!r} makes "
            f"values of width {model.dimension}: choose an encoder of that width, or delete those documents first",
        )
