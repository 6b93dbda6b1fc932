"""Models of jobs that move a collection to another encoder."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from softkv_service.schemas.wire import Null, Temperature, Text, Wire


class ReEncodeRequest(Wire):
    """The encoder to which a collection is to move."""

    encoder: Text = Field(
        description="The name of the other encoder, see GET /v1/encoders.", examples=["all-MiniLM-L6-v2"]
    )
    temperature: Temperature | None = Field(
        None, description="The default temperature afterwards. Left out: that of the other encoder."
    )
    null: Null | None = Field(
        None,
        description='The default null key afterwards. Left out: "auto", "lenient", "strict" and false stay; a '
        'similarity, which is of the vectors until now, and "calibrated" become "auto".',
    )
    vectors: Literal["keep"] | None = Field(
        None,
        description="The treatment of vectors that no encoder can make from the texts. Left out: the call is refused "
        "if there are any. keep: they stay as they are, which needs an encoder of their width.",
    )

    model_config = ConfigDict(json_schema_extra={"examples": [{"encoder": "all-MiniLM-L6-v2"}]})
