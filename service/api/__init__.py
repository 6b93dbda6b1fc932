"""HTTP. A request goes through `middleware`; `routing` and `body` let it in and read it; one of `routes` answers.

`problems` lists every refusal with its status, and `openapi` describes the API. Nothing here decides about retrieval.

A route declares what it needs: `requires` (the caller's level), `reaches` (the part of the store), `takes` (the kind of
its admission slot) and `refusals` (its other responses). A slot is released when the response ends or the client
disconnects. `routing.py` calls a function directly if it takes only its path, body, request and the service's state;
FastAPI calls the others.
"""
