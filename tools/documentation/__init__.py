"""The documentation site: `make docs` builds it from `docs/`, `service/api/openapi.json` and the docstrings.

`pages.py` copies the pages and derives the navigation from `docs/README.md`, `http_reference.py` and
`python_reference.py` write the reference, `links.py` finds dead links in the result, and `versions.py` adds a version
to the published site. It needs only the packages of `docs/site/requirements.txt`.
"""
