"""Files of documents, texts and vectors, read as streams and written."""
