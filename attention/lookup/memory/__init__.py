"""What is stored, and who sees it: blocks of rows, and immutable views of them."""
