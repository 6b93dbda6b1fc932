"""The calls of OpenAI's clients: embeddings, and the models that make them."""
