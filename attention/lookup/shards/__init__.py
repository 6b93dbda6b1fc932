"""What a scan says of one part of a collection, and all that an answer is made of: plain arrays, no view."""
