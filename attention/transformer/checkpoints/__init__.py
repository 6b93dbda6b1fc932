"""Models from folders of weights: the BERT family and GPT-2."""
