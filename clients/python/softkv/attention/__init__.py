"""The door to the core, softkv-core: attention as a function of arrays.

    from softkv.attention import attend

    attended = attend(query, key, value, temperature=0.05, null=0.3)
    attended.output, attended.weights, attended.null_weight

It has the names of `softkv_attention`, and no code of its own. Where softkv-core is installed without the client,
import `softkv_attention`.
"""

from __future__ import annotations

try:
    from softkv_attention import *
    from softkv_attention import __all__ as __all__
except ModuleNotFoundError as error:
    if error.name != "softkv_attention":
        raise
    message = "softkv.attention needs softkv_attention, which is not installed: install `softkv-core`"
    raise ImportError(message, name=error.name) from None
