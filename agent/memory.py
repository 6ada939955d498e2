"""What the model sees of a conversation: whole (every call has a result) and no longer than it can read."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, RemoveMessage, SystemMessage, ToolMessage

# A conversation keeps this many messages; what was said before is in the transcript.
MOST_MESSAGES = 120

# Of a long old result the model sees its beginning: what it said about it stands in the conversation anyway.
OLD_RESULT = 600


def whole(messages: Sequence[AnyMessage]) -> list[AnyMessage]:
    """The same messages with a result for each call that has none.

    A turn that was stopped, or a question that was answered with something else, leaves calls open; endpoints refuse
    such a conversation.
    """
    answered = {message.tool_call_id for message in messages if isinstance(message, ToolMessage)}
    complete: list[AnyMessage] = []
    for message in messages:
        complete.append(message)
        if isinstance(message, AIMessage):
            complete += [
                ToolMessage(
                    content="Not done: the person said something else instead.",
                    tool_call_id=call["id"] or "", name=call["name"], status="error", artifact={"declined": True},
                )
                for call in message.tool_calls
                if call["id"] not in answered
            ]  # fmt: skip
    return complete


def fit(messages: Sequence[AnyMessage], budget: int) -> list[AnyMessage]:
    """The system message, and as many of the last turns as `budget` characters hold; old results shortened.

    The present turn always stays; when it alone is too long, its own earlier results are shortened.
    """
    system = [message for message in messages if isinstance(message, SystemMessage)]
    turns = _turns([message for message in messages if not isinstance(message, SystemMessage)])
    room = budget - sum(_length(message) for message in system)
    kept: list[AnyMessage] = []
    for place, turn in enumerate(reversed(turns)):
        length = sum(_length(message) for message in turn)
        if place > 0 and length > room:
            turn = [_shortened(message) for message in turn]
            length = sum(_length(message) for message in turn)
            if length > room:
                break
        elif length > room:
            turn = [*(_shortened(message) for message in turn[:-1]), _shortened(turn[-1], max(room // 2, OLD_RESULT))]
            length = sum(_length(message) for message in turn)
        kept = [*turn, *kept]
        room -= length
    return [*system, *kept]


def outgrown(messages: Sequence[AnyMessage]) -> list[RemoveMessage]:
    """What to remove so that a conversation keeps to `MOST_MESSAGES`: whole turns, oldest first."""
    turns, count = _turns(messages), len(messages)
    gone: list[RemoveMessage] = []
    for turn in turns[:-1]:
        if count <= MOST_MESSAGES:
            break
        gone += [RemoveMessage(id=message.id) for message in turn if message.id]
        count -= len(turn)
    return gone


def _turns(messages: Sequence[AnyMessage]) -> list[list[AnyMessage]]:
    """Cut before each human message: a call and its results stay together."""
    turns: list[list[AnyMessage]] = []
    for message in messages:
        if isinstance(message, HumanMessage) or not turns:
            turns.append([])
        turns[-1].append(message)
    return turns


def _length(message: AnyMessage) -> int:
    calls = sum(len(str(call["args"])) + 40 for call in message.tool_calls) if isinstance(message, AIMessage) else 0
    return len(message.text) + calls + 20


def _shortened(message: AnyMessage, longest: int = OLD_RESULT) -> AnyMessage:
    if isinstance(message, ToolMessage | HumanMessage) and len(message.text) > longest:
        return message.model_copy(update={"content": message.text[:longest] + " … (shortened)"})
    return message
