"""The calls of the service, one function each. A function returns an unsent `Call` or `Plan`.

A `Call` has a method, a path, a body and a parser of the response. A `Plan` is a generator that yields calls and
receives their results, for example for batches of rows. `softkv.methods` builds the method of both clients from each
function, with its arguments and docstring. `Sender` and `AsyncSender` run calls and plans, and retry them. So only
`softkv.sending` differs between the blocking and the asynchronous client.

A new call is one function here and a line for each client in `softkv.client`. `tests/clients/python/test_methods.py`
requires both as soon as the API's description has the call.

Rows become the batches of an `Upload` (`writing.py`), which adds each result to its report, in order. Two batches are
sent at a time while the next one is read. Each is a request, because httpx2 reads no response before a body is sent.
"""
