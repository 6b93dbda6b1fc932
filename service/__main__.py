"""`python -m service` is `softkv`."""

from service.cli import main

main()
