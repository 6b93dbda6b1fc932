"""What the modules for LangChain, LlamaIndex and Haystack share. It imports none of these."""
