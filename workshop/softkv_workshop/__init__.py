"""The workshop of softkv: rooms, a lab of small models, recurrent networks, and `softkv page`."""
