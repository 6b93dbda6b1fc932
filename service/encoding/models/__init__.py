"""From a model's folder to vectors of token ids."""
