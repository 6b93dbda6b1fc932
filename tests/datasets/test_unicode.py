import numpy as np
import pytest


@pytest.mark.parametrize(("query", "found"), [("smiling cat", set("😺😸")), ("pizza", {"🍕"}), ("thumbs up", {"👍"})])
def test_pictographs_are_found_by_what_they_show(query, found, pictographs, encoder):
    characters, keys = pictographs
    similarity = keys @ encoder.encode([query], "query").vectors[0]
    assert characters[int(np.argmax(similarity))] in found


@pytest.fixture(scope="module")
def pictographs(documents, encoder):
    blocks = {"Emoticons", "Miscellaneous Symbols and Pictographs", "Miscellaneous Symbols"}
    shown = [document for document in documents["unicode"] if document["metadata"]["block"] in blocks]
    keys = encoder.encode([document["key"] for document in shown], "document").vectors
    return [document["value"] for document in shown], keys / np.linalg.norm(keys, axis=1, keepdims=True)
