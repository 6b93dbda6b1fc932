"""The HTTP API. A request passes `middleware`; `routing` and `body` check and read it; one of `routes` answers it.

`problems` lists every reason to refuse a call, with its status, and `openapi` describes the API. Nothing here decides
about retrieval.

A route declares what it needs: `requires` (the caller's level), `reaches` (the collections that it may touch), `takes`
(the kind of its admission slot) and `refusals` (its error responses). A slot is released when the response ends or the
client disconnects. `routing.py` calls a route's function directly if its only parameters are path, body, request and
the service's state. FastAPI calls the other functions.
"""
