"""Calls by the client of openapi-python-client: the URL of a service comes in, what the calls answer goes out."""

from __future__ import annotations

import json
import sys
from io import BytesIO

from softkv_client import Client
from softkv_client.api.attend import attend, attend_arrays
from softkv_client.api.collections import delete_collection, get_collection, put_collection
from softkv_client.api.documents import delete_document, delete_documents, get_document, post_documents, read_table
from softkv_client.api.encode import encode
from softkv_client.models import (
    AttendAnswer,
    AttendAnswers,
    AttendRequest,
    AttentionAnswer,
    AttentionRequest,
    AttentionRequestSimilarity,
    Base64Vector,
    CollectionAnswer,
    CollectionSettings,
    CollectionSettingsSimilarity,
    Deleted,
    Document,
    DocumentAnswer,
    DocumentBatch,
    DocumentDelete,
    EncodeAnswer,
    EncodeRequest,
    Metadata,
    Ordering,
    OrderingOperator,
    Problem,
    Upserted,
)
from softkv_client.types import File

client = Client(sys.argv[1], raise_on_unexpected_status=True)
settings = CollectionSettings(
    encoder=None, dimension=2, similarity=CollectionSettingsSimilarity.DOT, temperature=1.0, null=False
)
made = put_collection.sync("generated", client=client, body=settings)
assert isinstance(made, CollectionAnswer)

documents = [
    Document(id="a/b?", key_vector=[1.0, 0.0], metadata=Metadata.from_dict({"year": 2001})),
    Document(id="c", key_vector=Base64Vector("AAAAAAAAgD8="), metadata=Metadata.from_dict({"year": 2003})),
    Document(id="d", key_vector=[-1.0, -2.0], metadata=Metadata.from_dict({"year": 1999})),
]
written = post_documents.sync("generated", client=client, body=DocumentBatch(documents))
assert isinstance(written, Upserted)

stored = get_document.sync("generated", "a/b?", client=client)
assert isinstance(stored, DocumentAnswer)
assert stored.metadata

recent = Ordering(field="metadata.year", operator=OrderingOperator.GREATER_OR_EQUAL, value=2000)
one = attend.sync("generated", client=client, body=AttendRequest(query=[1.0, 0.0], filter_=recent))
assert isinstance(one, AttendAnswer)

queries = AttendRequest(queries=[[2.0, -1.0], Base64Vector("AAAAAAAAgD8="), [{"id": "d", "weight": -1.0}]], top_k=1)
many = attend.sync("generated", client=client, body=queries)
assert isinstance(many, AttendAnswers)

arrays = AttentionRequest(
    query=[[1.0, 0.0]],
    key=[[1.0, 0.0], [0.0, 1.0]],
    value=[[10.0], [20.0]],
    similarity=AttentionRequestSimilarity.DOT,
    temperature=0.5,
)
attended = attend_arrays.sync(client=client, body=arrays)
assert isinstance(attended, AttentionAnswer)

encoded = encode.sync(client=client, body=EncodeRequest(texts=["cats"]))
assert isinstance(encoded, EncodeAnswer)

table = read_table.sync(client=client, file="cats.csv", body=File(BytesIO(b"id,key\ncat,a cat asleep\n")))
assert isinstance(table, File)

refused = attend.sync("generated", client=client, body=AttendRequest(query=[1.0]))
assert isinstance(refused, Problem)
assert refused.errors

removed = delete_documents.sync("generated", client=client, body=DocumentDelete(ids=["c", "unknown"]))
assert isinstance(removed, Deleted)
statuses = [
    delete_document.sync_detailed("generated", "a/b?", client=client).status_code,
    delete_collection.sync_detailed("generated", client=client).status_code,
]
missing = get_collection.sync("generated", client=client)
assert isinstance(missing, Problem)

answers = {
    "dimension": made.dimension,
    "upserted": written.upserted,
    "document": [stored.id, stored.metadata["year"]],
    "weights": [[match.id, match.weight] for match in one.matches],
    "best": [answer.matches[0].id for answer in many.results],
    "output": attended.output,
    "embeddings": encoded.embeddings,
    "rows": json.loads(table.payload.read().splitlines()[-1])["rows"],
    "refused": [refused.status, refused.code, refused.errors[0].pointer],
    "deleted": removed.deleted,
    "statuses": statuses,
    "missing": missing.code,
}
json.dump(answers, sys.stdout)
