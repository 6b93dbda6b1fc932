"""What the product does: collections, documents, filters, the null background, attending."""
