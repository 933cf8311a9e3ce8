"""Rows of other people's tables as our shapes: texts, chats, pairs, items of evaluation sets. Each function returns our fields or raises ValueError(reason)."""

import datetime
import re
from collections.abc import Mapping, Sequence
from typing import Any

Row = dict[str, Any]
Message = dict[str, str]

ROLES = {
    "system": "system", "developer": "system", "user": "user", "human": "user", "prompter": "user", "assistant": "assistant", "gpt": "assistant",
    "bot": "assistant", "chatgpt": "assistant", "model": "assistant", "function_call": "assistant", "tool": "tool", "function": "tool",
    "observation": "tool", "ipython": "tool",
}  # fmt: skip
TURN = re.compile(r"(?:^|\n\n)\s*(Human|Assistant): ?")
TEXTS = ("uri", "text", "title", "author", "date", "license", "fetched_at")
COLUMNS = {"document": TEXTS, "chat": (*TEXTS, "messages"), "pair": (*TEXTS, "prompt", "chosen", "rejected", "scores"), "item": (*TEXTS, "answer", "choices")}


class Unfit(ValueError):
    """A row that cannot be of the wished shape. `args` are the reason and what was found."""


def document(row: Mapping[str, Any]) -> Row:
    """A row with a `text`. Reasons: `no_text`, `bad_row`."""
    text = row.get("text")
    if text is not None and not isinstance(text, str):
        raise Unfit("bad_row", f"text is {type(text).__name__}")
    if not (text or "").strip():
        raise Unfit("no_text", "text is empty")
    return {**_common(row), "text": text}


def chat(row: Mapping[str, Any]) -> Row:
    """Messages as role and content, from and value (ShareGPT), or instruction, input and output (Alpaca). Reasons: `bad_row`, `no_assistant`."""
    listed = next((row[key] for key in ("messages", "conversations", "conversation") if row.get(key) is not None), None)
    if listed is not None:
        messages = _messages(listed)
        tools = row.get("tools")
        if isinstance(tools, str) and tools.strip() and messages and messages[0]["role"] != "system":
            messages.insert(0, {"role": "system", "content": f"Tools: {tools}"})
    else:
        messages = _instruction(row)
    if not any(message["role"] == "assistant" and message["content"].strip() for message in messages):
        raise Unfit("no_assistant", "nothing that the assistant says")
    return {**_common(row), "messages": messages, "text": rendered(messages)}


def pair(row: Mapping[str, Any]) -> Row:
    """A prompt with a better and a worse answer, as texts or as messages. Reasons: `bad_row`, `no_preference` (both answers are the same)."""
    prompt = next((row[key] for key in ("prompt", "messages", "conversations", "instruction", "question") if row.get(key) is not None), None)
    chosen, before = _answer(row.get("chosen"), "chosen")
    rejected, _ = _answer(row.get("rejected"), "rejected")
    if prompt is None and not before:
        raise Unfit("bad_row", "no prompt")
    if isinstance(prompt, str):
        said = "\n\n".join(part for part in (prompt, row.get("input")) if isinstance(part, str) and part.strip())
        asked = [{"role": "user", "content": said}]
    else:
        asked = _messages(prompt) if prompt is not None else before
    if isinstance(row.get("system"), str) and row["system"].strip() and asked[0]["role"] != "system":
        asked.insert(0, {"role": "system", "content": row["system"]})
    if chosen == rejected:
        raise Unfit("no_preference", "chosen and rejected are the same")
    text = rendered([*asked, {"role": "assistant", "content": chosen}])
    return {**_common(row), "prompt": asked, "chosen": chosen, "rejected": rejected, "scores": _scores(row), "text": text}


def item(row: Mapping[str, Any]) -> Row:
    """An item of an evaluation set: its question as `text`, and its `answer`, which stands nowhere else. Reasons: `no_text`, `bad_row`."""
    answer, choices = row.get("answer"), row.get("choices")
    if isinstance(answer, Mapping | Sequence) and not isinstance(answer, str):
        raise Unfit("bad_row", f"answer is {type(answer).__name__}")
    if choices is not None and (isinstance(choices, str) or not isinstance(choices, Sequence)):
        raise Unfit("bad_row", f"choices is {type(choices).__name__}")
    said = None if answer is None else answer if isinstance(answer, str) else str(answer)
    return {**document(row), "answer": said, "choices": [str(one) for one in choices or ()]}


SHAPES = {"document": document, "chat": chat, "pair": pair, "item": item}


def rendered(messages: Sequence[Message]) -> str:
    """A chat as one text, so that every signal can be taken of it."""
    return "\n\n".join(f"{message['role']}: {message['content']}" for message in messages)


def transcript(text: str) -> list[Message]:
    """A chat written as one text, `Human:` and `Assistant:` before each turn (HH-RLHF), as messages."""
    pieces = TURN.split(text)[1:]
    return [{"role": ROLES[who.lower()], "content": said.strip()} for who, said in zip(pieces[::2], pieces[1::2], strict=True)]


def _messages(listed: Any) -> list[Message]:
    if not isinstance(listed, Sequence) or isinstance(listed, str) or not listed:
        raise Unfit("bad_row", f"messages is {type(listed).__name__}, or empty")
    return [_message(said) for said in listed]


def _message(said: Any) -> Message:
    if not isinstance(said, Mapping):
        raise Unfit("bad_row", f"a message is {type(said).__name__}")
    role = next((said[key] for key in ("role", "from", "speaker") if said.get(key)), None)
    content = next((said[key] for key in ("content", "value", "text") if said.get(key) is not None), None)
    if isinstance(content, list):  # the parts of a multimodal message: its texts
        content = "\n\n".join(part["text"] for part in content if isinstance(part, Mapping) and isinstance(part.get("text"), str))
    if ROLES.get(str(role).lower()) is None or not isinstance(content, str):
        raise Unfit("bad_row", f"a message of role {role!r} with content of {type(content).__name__}")
    return {"role": ROLES[str(role).lower()], "content": content}


def _instruction(row: Mapping[str, Any]) -> list[Message]:
    asked = next((row[key] for key in ("instruction", "prompt", "question") if isinstance(row.get(key), str)), None)
    said = next((row[key] for key in ("output", "response", "answer", "completion") if isinstance(row.get(key), str)), None)
    if asked is None or said is None:
        raise Unfit("bad_row", "neither messages nor an instruction with an output")
    more = row.get("input")
    messages = [{"role": "user", "content": f"{asked}\n\n{more}" if isinstance(more, str) and more.strip() else asked}, {"role": "assistant", "content": said}]
    system = row.get("system")
    return [{"role": "system", "content": system}, *messages] if isinstance(system, str) and system.strip() else messages


def _answer(said: Any, name: str) -> tuple[str, list[Message]]:
    """An answer as text, and the messages before it where the row gives a whole chat."""
    if isinstance(said, str) and TURN.match(said):
        messages = transcript(said)
        answer, before = messages[-1]["content"], messages[:-1]
    elif isinstance(said, str):
        answer, before = said, []
    elif isinstance(said, Mapping):
        answer, before = _message(said)["content"], []
    elif isinstance(said, Sequence) and said:
        messages = _messages(said)
        answer, before = messages[-1]["content"], messages[:-1]
    else:
        raise Unfit("bad_row", f"no {name}")
    if not answer.strip():
        raise Unfit("bad_row", f"{name} is empty")
    return answer, before


def _scores(row: Mapping[str, Any]) -> dict[str, float | None] | None:
    given = row.get("scores")
    if not isinstance(given, Mapping):
        given = {name: row.get(f"score_{name}", row.get(f"{name}_score")) for name in ("chosen", "rejected")}
    scores = {name: _number(given.get(name)) for name in ("chosen", "rejected")}
    return scores if any(score is not None for score in scores.values()) else None


def _number(said: Any) -> float | None:
    """A number as it is stored; None for what is none, or too large for one."""
    try:
        return float(said) if isinstance(said, int | float) else None
    except OverflowError:
        return None


def _common(row: Mapping[str, Any]) -> Row:
    out: Row = {key: row[key] if isinstance(row[key], str) else str(row[key]) for key in ("uri", "title", "author", "license") if row.get(key) is not None}
    date, fetched = _time(row.get("date")), _time(row.get("fetched_at"))
    return {**out, "date": date.date() if date else None, "fetched_at": fetched}


def _time(said: Any) -> datetime.datetime | None:
    """A time as written (ISO 8601) or as a table's own type, as naive UTC; None for what is none."""
    try:
        said = datetime.datetime.fromisoformat(said.strip()) if isinstance(said, str) else said
        if isinstance(said, datetime.datetime):
            return naive(said)
    except (ValueError, OverflowError):
        return None
    return datetime.datetime(said.year, said.month, said.day) if isinstance(said, datetime.date) else None


def naive(time: datetime.datetime) -> datetime.datetime:
    """A time in UTC without saying so; one that names no zone is in it, wherever it is read. Raises OverflowError at the ends of the calendar."""
    return time.astimezone(datetime.UTC).replace(tzinfo=None) if time.tzinfo else time
