"""The documentation site: `make docs` builds it from `docs/`, `service/softkv_service/api/openapi.json` and the
docstrings.

`pages.py` copies the pages and derives the navigation from `docs/README.md`, `python_reference.py` writes the Python
reference, `links.py` finds dead links in the result, and `versions.py` adds a version to the published site. Swagger UI
shows the description of the API. The build needs only the packages of `docs/site/requirements.txt`.
"""
