"""Routes of the lab: train small models while the caller listens, and query them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Literal

import numpy as np
from fastapi import Request, Response
from numpy.typing import NDArray

from softkv_service.api.events import Event, Events, event_responses
from softkv_service.api.json import JSONAnswer
from softkv_service.api.middleware.access import may
from softkv_service.api.problems.table import ENCODING, WITH_BODY, refusals
from softkv_service.api.routing import json_router, takes
from softkv_service.api.state import Running, State
from softkv_service.encoding import EncodingQueue, TextRefused
from softkv_service.retrieval import InvalidContent
from softkv_service.retrieval.collections import get_encoding_queue
from softkv_workshop.lab import TASKS, Job, LabClosed, NetworkJob, NotLearnable, PairsJob, Plan, UnreadableSource
from softkv_workshop.schemas.lab import DecodeAnswer, DecodeRequest, LabAnswer, TrainRequest
from softkv_workshop.state import Workshop

EVENTS_EXAMPLE = 'event: step\ndata: {"step":40,"seconds":1.2,"loss":1.73,"step_ms":24.1}\n\n'

router = json_router("/v1/lab", "lab", "stateless", "nothing", "whole")


@router.get(
    "",
    response_model=LabAnswer,
    response_description="The state of the lab, and its models.",
    summary="Describe the lab",
)
async def get_lab(request: Request, running: Running) -> Response:
    """Return the trained models, and whether a model is being trained."""
    lab = Workshop.of(running).lab
    models = [
        {
            "id": model.id,
            "task": model.job.plan.task.name,
            "model": model.job.plan.model,
            "parameters": model.parameters,
            "accuracy": model.accuracy,
            "seconds": model.job.seconds,
            "seed": model.job.plan.seed,
        }
        for model in lab.models
    ]
    return JSONAnswer({"open": _open(request, running), "training": lab.training, "models": models})


@router.post(
    "/train",
    status_code=200,
    response_class=Events,
    dependencies=[takes("stream")],
    responses=refusals(*WITH_BODY, "lab_closed", "forbidden", "host_refused", "lab_busy", *ENCODING)
    | event_responses(EVENTS_EXAMPLE),
    response_description="Events, until the model is trained.",
    summary="Train a small model",
)
async def train_model(body: TrainRequest, request: Request, running: Running) -> Response:
    """Train a model in a process of its own, with low priority. It ends if the client disconnects.

    The events: `begun` has the number of parameters. Each `step` has the state of the training. `tested` has the
    accuracy on unseen sources, by length. `trained`, the last, has the `id` for `POST /v1/lab/decode`, and some
    examples. With `pairs`, each `step` has the weights of every question over every key. An error is a `problem`.
    """
    if not _open(request, running):
        raise LabClosed(
            "training takes this machine's time, and this caller may only read: use a key that may write, or set "
            "SOFTKV_LAB=readers"
        )
    job = await _job(body, running)
    await Workshop.of(running).lab.check()
    return Events(_events(running, job), request)


@router.post(
    "/decode",
    response_model=DecodeAnswer,
    responses=refusals(*WITH_BODY, "model_not_trained"),
    response_description="The output of the model, and the attention of each of its tokens.",
    summary="Query a trained model",
)
async def decode_source(body: DecodeRequest, running: Running) -> Response:
    """Return the output of a trained model.

    Each of its tokens is a query over the source; its weights align the two.
    """
    if (body.source is None) == (body.picture is None):
        raise InvalidContent.at("", "send exactly one of source and picture")
    model = Workshop.of(running).lab.model(body.model)
    source = body.picture if body.source is None else body.source
    assert source is not None
    try:
        decoded = await Workshop.of(running).lab.decode(model, source)
    except UnreadableSource as error:
        raise InvalidContent.at("/picture" if body.source is None else "/source", str(error)) from None
    tokens = zip(decoded.tokens, decoded.probabilities, strict=True)
    return JSONAnswer(
        {
            "text": decoded.text,
            "source": decoded.source,
            "tokens": [{"text": text, "probability": float(probability)} for text, probability in tokens],
            "attention": decoded.weights,
            "source_attention": decoded.source_weights,
        }
    )


def _open(request: Request, running: State) -> bool:
    return running.lab_for == "readers" or may(request.scope, "write")


async def _job(body: TrainRequest, running: State) -> Job:
    if body.task != "pairs":
        if body.pairs is not None:
            raise InvalidContent.at("/pairs", f"the task {body.task} makes its own examples: leave pairs out")
        try:
            plan = Plan(TASKS[body.task], body.model, body.seed)
        except NotLearnable as error:
            raise InvalidContent.at("/model", str(error)) from None
        return NetworkJob(plan, body.seconds, body.steps)
    if body.pairs is None:
        raise InvalidContent.at("/pairs", "the task pairs learns from pairs of a query and a key: send some")
    if body.model != "transformer":
        raise InvalidContent.at("/model", f"pairs are learned by attention, not by {body.model}: leave model out")
    queue = await get_encoding_queue(running.catalogue.encoders)
    query = await _encode(queue, [pair.query for pair in body.pairs], "query")
    key = await _encode(queue, [pair.key for pair in body.pairs], "key")
    return PairsJob(query, key, body.seconds, body.steps, body.seed)


async def _encode(queue: EncodingQueue, texts: list[str], side: Literal["query", "key"]) -> NDArray[np.float32]:
    """Return the vectors [n, d] of one side of n pairs."""
    try:
        encoded = await queue.encode(texts, "query" if side == "query" else "document")
    except TextRefused as error:
        raise InvalidContent.of_texts(error, [f"/pairs/{i}/{side}" for i in range(len(texts))]) from None
    return encoded.vectors


async def _events(running: State, job: Job) -> AsyncGenerator[Event]:
    async with aclosing(Workshop.of(running).lab.train(job)) as events:
        async for event in events:
            yield Event(event.name, event.data)
