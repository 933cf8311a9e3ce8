"""A chat as text, and which stretches of it are the assistant's: what a model learns to say.

Templates are other people's programs: they run in jinja's immutable sandbox, with the few names that templates use.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.exceptions import TemplateRuntimeError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

OPEN, CLOSE = "\ufdd0", "\ufdd1"
"""Noncharacters that mark a generation block in rendered text; no text may hold them."""

CHATML = """\
{%- for message in messages -%}
{{- '<|im_start|>' + message['role'] + '\\n' -}}
{%- if message['role'] == 'assistant' -%}
{%- generation -%}
{{- message['content'] + '<|im_end|>' -}}
{%- endgeneration -%}
{%- else -%}
{{- message['content'] + '<|im_end|>' -}}
{%- endif -%}
{{- '\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\\n' -}}
{%- endif -%}
"""
"""The template of the tokenizers trained here: ChatML, with the assistant's words in a generation block."""

Message = Mapping[str, Any]
Segment = tuple[str, bool]


class Generation(Extension):
    """`{% generation %} ... {% endgeneration %}` marks what the model itself would write, as transformers has it."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("mark"), [], [], body).set_lineno(line)

    def mark(self, caller: Any) -> str:
        return f"{OPEN}{caller()}{CLOSE}"


class Template:
    """A chat template: `source` in jinja, `tokens` the special tokens by the names that templates know (bos_token, ...).

    `specials` are all special tokens. Templates get no clock: the same chat is the same text tomorrow.
    """

    def __init__(self, source: str, tokens: Mapping[str, str], specials: Sequence[str]) -> None:
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
        environment.globals.update(raise_exception=_refuse)
        environment.filters["tojson"] = _tojson
        self._template = environment.from_string(source)
        self.tokens, self.specials = dict(tokens), tuple(specials)

    def render(self, messages: Sequence[Message], *, ask: bool = False) -> str:
        """Return the chat as text; `ask` ends it where the assistant's turn begins. Raises jinja2.TemplateError."""
        return self._marked(messages, ask=ask).replace(OPEN, "").replace(CLOSE, "")

    def segments(self, messages: Sequence[Message]) -> list[Segment]:
        """Return the chat as (text, supervised) stretches in order; joined they are `render(messages)`.

        Supervised are the template's generation blocks; where it has none, what each assistant turn adds to the prompt that
        asks for it (its end token too, blanks after that not). Raises jinja2.TemplateError when the template refuses the
        chat, or rewrites earlier turns so that no stretch can be told apart.
        """
        marked = self._marked(messages)
        if OPEN in marked:
            return _blocks(marked)
        return self._turns(messages, marked)

    def _marked(self, messages: Sequence[Message], *, ask: bool = False) -> str:
        if any(mark in str(message.get("content")) for message in messages for mark in (OPEN, CLOSE)):
            raise TemplateRuntimeError("the chat holds a Unicode noncharacter (U+FDD0 or U+FDD1)")
        return self._template.render(messages=list(messages), add_generation_prompt=ask, tools=None, documents=None, **self.tokens)

    def _turns(self, messages: Sequence[Message], whole: str) -> list[Segment]:
        """Tell the assistant's stretches apart by rendering the chat up to each of its turns."""
        segments, done = [], 0
        for i, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            before, after = self.render(messages[:i], ask=True), self.render(messages[: i + 1])
            if not (len(before) >= done and after.startswith(before) and whole.startswith(after)):
                raise TemplateRuntimeError("the template rewrites earlier turns and has no generation block")
            said = self._trim(after[len(before) :])
            segments += [(whole[done : len(before)], False), (said, True)]
            done = len(before) + len(said)
        return [segment for segment in [*segments, (whole[done:], False)] if segment[0]]

    def _trim(self, said: str) -> str:
        """Cut blanks after the end token of a turn: nobody generates past it."""
        bare = said.rstrip()
        return bare if bare.endswith(self.specials) else said


def _blocks(marked: str) -> list[Segment]:
    """Split a rendering at its generation marks."""
    segments: list[Segment] = []
    for i, piece in enumerate(marked.split(OPEN)):
        said, _, rest = piece.partition(CLOSE) if i else ("", "", piece)
        segments += [(said, True), (rest, False)]
    return [segment for segment in segments if segment[0]]


def _refuse(message: str) -> str:
    raise TemplateError(message)


def _tojson(value: Any, **options: Any) -> str:
    """JSON as it is, without the HTML escapes of jinja's own filter."""
    return json.dumps(value, ensure_ascii=False, indent=options.get("indent"))
