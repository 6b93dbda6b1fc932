"""Code shared by the modules for LangChain, LangGraph, LlamaIndex and Haystack. It imports none of these frameworks."""
