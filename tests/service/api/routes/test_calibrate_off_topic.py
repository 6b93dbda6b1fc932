"""A few off-topic labels let no off-topic questions pass: a fit also refuses questions made on many topics."""

from __future__ import annotations

from typing import Any

import pytest

KINDS = {
    "coffee maker": ("something to make coffee with", "brew my morning espresso"),
    "desk lamp": ("light to read by at night", "it is too dark at my table"),
    "umbrella": ("keep off the rain", "I get wet on my way to work"),
    "backpack": ("carry my books to school", "bag for a hike"),
    "kettle": ("boil water for tea", "hot water in the kitchen"),
    "blanket": ("I am cold on the sofa", "warm cover for the bed"),
    "office chair": ("somewhere to sit while I work", "my back hurts when I sit"),
    "bookshelf": ("where to put my novels", "furniture for the living room wall"),
    "bath towel": ("dry off after a shower", "something for the swimming pool"),
    "wall clock": ("see what time it is", "timepiece for the kitchen"),
    "yoga mat": ("stretch on the floor", "pilates at home"),
    "tent": ("sleep outdoors", "a night in the woods"),
    "frying pan": ("fry eggs", "make pancakes"),
    "flower vase": ("put roses on the table", "where do the tulips go"),
    "headphones": ("hear music on the train", "listen to podcasts quietly"),
}
MISSING = (
    *("teddy bear", "lawn mower", "toothbrush", "fishing rod", "perfume", "chess set", "printer ink", "dog leash"),
    *("sewing machine", "shower gel", "mattress", "necklace", "bird feeder", "razor", "paint brush", "sunglasses"),
    "lipstick",
)
OFF_TOPIC = (
    *("capital of Mongolia", "who wrote Don Quixote", "symptoms of appendicitis", "how old is the universe"),
    *("what is quantum entanglement", "how to file for divorce", "treatment of high blood pressure"),
    "Wer war der erste Bundeskanzler?",
)
OTHERS = (
    *("how do volcanoes form", "who won the world cup in 1998", "lyrics of the national anthem of Brazil"),
    *("how many bones are in the human body", "when was the Magna Carta signed", "is there life on Mars"),
    *("population of Nigeria", "how do vaccines work", "meaning of the word serendipity", "what is a black swan event"),
    *(
        "Pythagorean theorem proof",
        "why did the Roman Empire fall",
        "can dogs eat grapes",
        "how to pass a driving test",
    ),
    *(
        "why is the Dead Sea salty",
        "who discovered penicillin",
        "history of the Ottoman Empire",
        "what causes inflation",
    ),
    *(
        "how far is the moon",
        "stages of grief",
        "plot of Hamlet",
        "how to conjugate French verbs",
        "what do koalas eat",
    ),
    *("causes of the First World War", "what is a hung parliament", "medieval siege weapons", "leaves of mangroves"),
    *("actors in Titanic", "goalkeeper of Uruguay", "children of Odin", "how high is Etna", "next election in Finland"),
    *("fish of the Danube", "who invented the telephone", "cure for hiccups", "why is the sea blue at night"),
    *("plural of rhythm", "how are stars born", "train times from Paris to Lyon", "average salary of a teacher"),
)
COLOURS = ("black", "white", "red", "green", "navy")
MATERIALS = ("steel", "oak", "glass", "bamboo")
PROMISES = "Delivered within three days, with a two-year warranty and free returns."
DOCUMENTS = [
    {"id": f"{kind}, {colour} {material}", "key": f"{kind.capitalize()} in {colour} {material}. {PROMISES}"}
    for kind in KINDS
    for colour in COLOURS
    for material in MATERIALS
]


def labels() -> list[dict[str, Any]]:
    """Return 50 labels: 25 questions with an answer, 17 for a missing product, and eight that are off-topic."""
    asked = [
        {"query": question, "ids": [document["id"] for document in DOCUMENTS if document["id"].startswith(kind)]}
        for kind, questions in KINDS.items()
        for question in questions
    ]
    return [*asked[:25], *({"query": question, "id": None} for question in (*MISSING, *OFF_TOPIC))]


@pytest.mark.parametrize("source", ["labels", "feedback"])
def test_eight_off_topic_labels_let_none_of_the_others_pass(client, collection, source):
    path = collection(null="strict")
    client.post(f"{path}/documents", json={"documents": DOCUMENTS}).raise_for_status()
    body: dict[str, Any] = {"questions": labels(), "apply": True}
    if source == "feedback":
        judged = [
            {"query": label["query"], "id": identity, "right": True}
            for label in labels()
            for identity in label.get("ids", [None])
        ]
        for start in range(0, len(judged), 500):
            client.post(f"{path}/feedback", json={"feedback": judged[start : start + 500]}).raise_for_status()
        body = {"from": "feedback", "apply": True}
    calibrated = client.post(f"{path}/calibrate", json=body).json()
    assert calibrated["applied"], calibrated
    assert calibrated["before"]["off_topic_none"]["value"] == 1
    assert calibrated["after"]["off_topic_none"]["value"] > 0.97
    answers = client.post(f"{path}/attend", json={"queries": [*OTHERS], "top_k": 1}).json()["results"]
    passed = [
        question for question, answer in zip(OTHERS, answers, strict=True) if answer["evidence"]["verdict"] != "none"
    ]
    assert len(passed) <= 1, passed
    found = client.post(f"{path}/attend", json={"query": "umbrella", "top_k": 1}).json()
    assert found["evidence"]["verdict"] == "several"
