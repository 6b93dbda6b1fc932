"""Calls by the client of datamodel-codegen: the URL of a service comes in, what the calls answer goes out."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

from client import Client
from client.errors import APIStatusError
from models import (
    AttendAnswer,
    AttendAnswers,
    AttendRequest,
    AttentionRequest,
    Base64Vector,
    CollectionSettings,
    Document,
    DocumentBatch,
    DocumentDelete,
    EncodeRequest,
    Metadata,
    Ordering,
    Problem,
    QueryPart1,
    QueryPart2,
    QueryPart3,
)


def problem(call: Callable[[], object]) -> Problem:
    try:
        call()
    except APIStatusError as error:
        if isinstance(error.body, Problem):
            return error.body
        raise
    raise AssertionError("the call was answered")


def asked(client: Client) -> dict[str, object]:
    settings = CollectionSettings(encoder=None, dimension=2, similarity="dot", temperature=1.0, null=False)
    made = client.collections.put_collection(name="generated", body=settings)

    documents = [
        Document(id="a/b?", key_vector=[1.0, 0.0], metadata=Metadata.model_validate({"year": 2001})),
        Document(
            id="c", key_vector=Base64Vector(base64="AAAAAAAAgD8="), metadata=Metadata.model_validate({"year": 2003})
        ),
        Document(id="d", key_vector=[-1.0, -2.0], metadata=Metadata.model_validate({"year": 1999})),
    ]
    written = client.documents.post_documents(
        name="generated",
        body=DocumentBatch(documents=documents),
        media_type="application/json",
        response_media_type="application/json",
    )
    stored = client.documents.get_document(name="generated", id="a/b?")
    assert stored.metadata

    recent = Ordering(field="metadata.year", operator=">=", value=2000)
    one = client.attend.attend(name="generated", body=AttendRequest(query=[1.0, 0.0], filter=recent))
    assert isinstance(one, AttendAnswer)

    parts: list[QueryPart1 | QueryPart2 | QueryPart3] = [QueryPart2(id="d", weight=-1.0)]
    queries = AttendRequest(queries=[[2.0, -1.0], Base64Vector(base64="AAAAAAAAgD8="), parts], top_k=1)
    many = client.attend.attend(name="generated", body=queries)
    assert isinstance(many, AttendAnswers)

    arrays = AttentionRequest(
        query=[[1.0, 0.0]], key=[[1.0, 0.0], [0.0, 1.0]], value=[[10.0], [20.0]], similarity="dot", temperature=0.5
    )
    attended = client.attend.attend_arrays(body=arrays)
    encoded = client.encode.encode(body=EncodeRequest(texts=["cats"]), response_media_type="application/json")
    table = client.documents.read_table(file="cats.csv", body=b"id,key\ncat,a cat asleep\n")

    refused = problem(lambda: client.attend.attend(name="generated", body=AttendRequest(query=[1.0])))
    assert refused.errors

    removed = client.documents.delete_documents(name="generated", body=DocumentDelete(ids=["c", "unknown"]))
    statuses = [
        client.documents.with_response.delete_document(name="generated", id="a/b?").info.status_code,
        client.collections.with_response.delete_collection(name="generated").info.status_code,
    ]
    return {
        "dimension": made.dimension,
        "upserted": written.upserted,
        "document": [stored.id, stored.metadata.model_dump()["year"]],
        "weights": [[match.id, match.weight] for match in one.matches],
        "best": [answer.matches[0].id for answer in many.results],
        "output": attended.output,
        "embeddings": encoded.embeddings,
        "rows": json.loads(table.splitlines()[-1])["rows"],
        "refused": [refused.status, refused.code, refused.errors[0].pointer],
        "deleted": removed.deleted,
        "statuses": statuses,
        "missing": problem(lambda: client.collections.get_collection(name="generated")).code,
    }


with Client(base_url=sys.argv[1]) as client:
    json.dump(asked(client), sys.stdout)
