"""Models: they are loaded from a folder, and turn token ids into vectors.

A folder is read in this order:

    1. Is it a dense sentence encoder? Other kinds are refused from their small JSON files (`declaration.py`).
    2. Its maker's similarity, and the temperature of the loss on the model card (`declaration.py`).
    3. Families that the core knows run on it (`core_network.py`), with the tokeniser of their class in transformers
       (`tokenizer_classes.py`; `unigram.py` cuts words for XLM-RoBERTa's). They use the kernels in C if `compiles`
       allows it, else torch, else the definition in NumPy.
    4. Static models are the mean of their tokens' vectors, which NumPy computes (`static_network.py`).
    5. Other models run by sentence-transformers, with the core's attention if it gives the same vectors
       (`library_network.py`). If vectors depend on the rest of a batch, each text runs alone. An error says why
       softkv does not compute the model itself.
    6. Mean and deviation of unrelated pairs, and the temperature at which questions best find their texts
       (`background.py` and `temperature.py` of the package above, on `topics.jsonl`).

A collection copies similarity and temperature when it is created, so a changed folder does not change it. A maker's
Euclidean distance becomes the similarity `gaussian`, −‖q − k‖²/2, which orders documents alike; dot and cosine do so
only for vectors of length one. Manhattan distance has no such twin: cosine is used, with a note.
"""
