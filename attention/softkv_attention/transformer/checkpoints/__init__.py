"""Models from folders of weights: the families BERT, MPNet, NomicBERT, ModernBERT, Llama and Gemma 3, and GPT-2."""
