"""The compiled Transformer: layers over the packed tokens of many texts, whose definition is `attention.transformer`."""
