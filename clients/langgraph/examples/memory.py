"""An agent with a long-term memory of each user. It says "I do not know." if it remembers nothing about a question.

python memory.py anna "Remember: my cat is called Miso." "What is my cat called?" "tax law"
"""

from __future__ import annotations

import sys
import uuid
from typing import Any, TypedDict

from langgraph.config import get_store
from langgraph.graph import START, StateGraph
from langgraph.store.base import BaseStore

from langgraph_store_softkv import SoftkvStore

REMEMBER = "Remember: "


class State(TypedDict, total=False):
    """The state of the graph: a message of a user, and the reply."""

    user: str
    message: str
    reply: str


def remember(state: State) -> State:
    """Store what the message says."""
    fact = {"text": state["message"].removeprefix(REMEMBER)}
    get_store().put(("users", state["user"]), uuid.uuid4().hex, fact)
    return {"reply": "I will remember that."}


def recall(state: State) -> State:
    """Answer from the facts about the message. A real agent would pass them to its model."""
    facts = get_store().search(("users", state["user"]), query=state["message"], limit=3)
    if not facts:
        return {"reply": "I do not know."}
    return {"reply": f"You told me: {facts[0].value['text']}"}


def build_graph(store: BaseStore) -> Any:
    """Return the graph over a store."""
    graph = StateGraph(State)
    graph.add_node("remember", remember)
    graph.add_node("recall", recall)
    graph.add_conditional_edges(START, lambda state: "remember" if state["message"].startswith(REMEMBER) else "recall")
    return graph.compile(store=store)


def ask(graph: Any, user: str, message: str) -> str:
    """Send a message of a user to the graph; return its reply."""
    reply: str = graph.invoke({"user": user, "message": message})["reply"]
    return reply


if __name__ == "__main__":
    agent = build_graph(SoftkvStore("agent", index={"fields": ["text"]}))
    for message in sys.argv[2:]:
        print(ask(agent, sys.argv[1], message))
