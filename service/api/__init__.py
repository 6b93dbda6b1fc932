"""HTTP. A request goes through `middleware`; `routing` and `body` let it in and read it; one of `routes` answers.

`problems` says what is refused and how, `openapi` describes it all. Nothing here decides anything about retrieval.
"""
