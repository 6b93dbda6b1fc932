"""Code shared by the modules for LangChain, LlamaIndex and Haystack. It imports none of these frameworks."""
