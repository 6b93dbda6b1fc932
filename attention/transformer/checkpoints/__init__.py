"""A folder of weights → a model: BERT's family and GPT-2."""
