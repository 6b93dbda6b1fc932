"""A question tells how many have guessed, and what only with its answer."""

from __future__ import annotations

from softkv_workshop.rooms import Answer, Question, Share


def test_guesses_are_shown_with_the_answer_only():
    question = Question(3, "kitten", guesses={"a": "cats", "b": None, "c": "cats", "d": "gone"})
    assert question.public_state() == {"number": 3, "query": "kitten", "guesses": 4}
    question.answer = Answer([Share("cats", 0.8, 0.7), Share("dogs", 0.15, 0.4)], 0.05, 0.05, 0.2, "one", True)
    state = question.public_state()
    assert state["guesses"] == 4
    assert state["temperature"] == 0.05
    assert state["answer"] == {
        "matches": [
            {"id": "cats", "weight": 0.8, "similarity": 0.7, "guesses": 2},
            {"id": "dogs", "weight": 0.15, "similarity": 0.4, "guesses": 0},
        ],
        "null_weight": 0.05,
        "null_similarity": 0.2,
        "null_guesses": 1,
        "background": None,
        "verdict": "one",
        "verdict_certain": True,
    }


def test_a_requested_temperature_is_shown_before_the_answer():
    assert Question(1, "kitten", 0.0).public_state()["temperature"] == 0.0


def test_the_temperature_that_the_presenter_has_chosen_is_in_the_state_beside_that_of_the_answer():
    question = Question(1, "kitten", answer=Answer([], 0.05, 1, 0.2, "none", True))
    assert "shown_temperature" not in question.public_state()
    question.shown_temperature = 1e300
    state = question.public_state()
    assert (state["temperature"], state["shown_temperature"]) == (0.05, 1e300)
