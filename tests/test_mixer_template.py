"""Chats as text: the assistant's stretches, with generation blocks and without, as transformers renders them."""

import pytest
from jinja2 import TemplateError

from mixer.template import CHATML, Template

TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
SPECIALS = ("<s>", "</s>", "<|im_start|>", "<|im_end|>")
PLAIN = CHATML.replace("{%- generation -%}\n", "").replace("{%- endgeneration -%}\n", "")
DEFAULT_SYSTEM = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nBe kind<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
INST = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content | trim }} [/INST]"
    "{% elif m.role == 'assistant' %} {{ m.content }}{{ eos_token }}{% else %}{{ raise_exception('no ' + m.role) }}{% endif %}{% endfor %}"
)
BLANKS = "{{ messages | tojson }}\n  {% if true %}\n x{% endif %}\n{% for m in messages %}{% break %}{% endfor %}"
CHAT = [
    {"role": "user", "content": " Hi\n"},
    {"role": "assistant", "content": "\nYes <b> 🙂\n"},
    {"role": "user", "content": "and?"},
    {"role": "assistant", "content": "more"},
]


def said(template: Template, chat: list[dict[str, str]]) -> list[str]:
    return [text for text, supervised in template.segments(chat) if supervised]


@pytest.mark.parametrize("source", [CHATML, PLAIN, DEFAULT_SYSTEM])
def test_the_assistants_words_and_their_end_are_supervised(source: str) -> None:
    template = Template(source, TOKENS, SPECIALS)
    assert said(template, CHAT) == ["\nYes <b> 🙂\n<|im_end|>", "more<|im_end|>"]
    assert "".join(text for text, _ in template.segments(CHAT)) == template.render(CHAT)


def test_a_template_without_roles_marks_works_too() -> None:
    template = Template(INST, TOKENS, SPECIALS)
    assert said(template, CHAT) == [" \nYes <b> 🙂\n</s>", " more</s>"]
    assert template.render(CHAT[:1], ask=True) == "<s>[INST] Hi [/INST]"
    with pytest.raises(TemplateError, match="no system"):
        template.segments([{"role": "system", "content": "x"}])


def test_a_template_that_forgets_earlier_turns_is_refused() -> None:
    forgets = "{% for m in messages %}{{ m.role }}: {% if loop.last or m.role == 'user' %}{{ m.content }}{% endif %}\n{% endfor %}"
    forgets += "{% if add_generation_prompt %}assistant: {% endif %}"
    with pytest.raises(TemplateError, match="rewrites earlier turns"):
        Template(forgets, TOKENS, SPECIALS).segments(CHAT)


def test_generation_blocks_are_found_where_history_is_rewritten() -> None:
    forgets = "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}"
    forgets += "{% elif loop.last %}{% generation %}{{ m.content }}{% endgeneration %}{% endif %}{% endfor %}"
    assert Template(forgets, TOKENS, SPECIALS).segments(CHAT) == [(" Hi\nand?", False), ("more", True)]


def test_templates_run_in_a_sandbox() -> None:
    with pytest.raises(TemplateError):
        Template("{{ messages.__class__.__mro__ }}", TOKENS, SPECIALS).render(CHAT)
    with pytest.raises(TemplateError):
        Template("{{ messages.append(1) }}", TOKENS, SPECIALS).render(CHAT)


def test_a_chat_may_not_hold_our_marks() -> None:
    with pytest.raises(TemplateError, match="noncharacter"):
        Template(CHATML, TOKENS, SPECIALS).render([{"role": "user", "content": "a\ufdd0b"}])


@pytest.mark.parametrize("source", [CHATML, PLAIN, DEFAULT_SYSTEM, INST, BLANKS])
def test_transformers_renders_the_same(source: str) -> None:
    from transformers.utils.chat_template_utils import render_jinja_template

    ours = Template(source, TOKENS, SPECIALS)
    for ask in (False, True):
        theirs, _ = render_jinja_template([CHAT], chat_template=source, add_generation_prompt=ask, **TOKENS)
        assert ours.render(CHAT, ask=ask) == theirs[0]
