"""Chats: prompts framed as transformers frames them, and code extracted from answers."""

import datetime
import json

import pytest
import transformers

from lilliput.data.problems import Problem
from lilliput.errors import UserError
from lilliput.teachers.chat_template import folder_template
from lilliput.verbs.completers import GeneratorSource
from lilliput.verbs.completers.chat import ChatTemplate, code_of, template_for
from tests.data.test_problems import HUMANEVAL
from tests.runtime.tiny_generators import tiny_tokenizer

PROBLEM = Problem(**HUMANEVAL)
TEMPLATE = (
    "{% if not messages %}{{ raise_exception('nothing') }}{% endif %}\n"
    "{{ bos_token }}{% for message in messages %}\n"
    "    {% if loop.first %}<|system|>{{ 'x' | tojson }}{% endif %}\n"
    "<|{{ message['role'] }}|>{{ message.content | trim }}<|end|>\n"
    "{% endfor %}\n"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def test_prompt_is_framed_as_transformers_frames_it():
    theirs = transformers.PreTrainedTokenizerFast(tokenizer_object=tiny_tokenizer())
    question = " a <b> & 'c'\n```python\n{{ x }}\n``` "
    message = [{"role": "user", "content": question}]
    expected = theirs.apply_chat_template(
        message, chat_template=TEMPLATE, tokenize=False, add_generation_prompt=True, bos_token=""
    )
    assert ChatTemplate(TEMPLATE, "x").framed(question) == expected
    assert "{{ x }}" in expected


@pytest.mark.parametrize(
    "source",
    [
        "{{ raise_exception('no') }}",
        "{% if %}",
        "{{ messages[5].content.x }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{{ 1 / 0 }}",
    ],
)
def test_rejects_templates_that_fail_or_escape_the_sandbox(source):
    with pytest.raises(UserError, match="the chat template fails") as caught:
        ChatTemplate(source, "mine.jinja").framed("a")
    assert caught.value.where == "mine.jinja"


def test_date_is_fixed_and_recorded_only_if_a_template_uses_it():
    dated, plain = "{{ strftime_now('%d %b %Y, %H:%M') }}", "no date"
    first, second = datetime.date(2026, 1, 2), datetime.date(2026, 1, 3)
    assert ChatTemplate(dated, "x", first).framed("a") == "02 Jan 2026, 00:00"
    assert ChatTemplate(dated, "x", first).facts["date"] == "2026-01-02"
    assert ChatTemplate(dated, "x", first).facts != ChatTemplate(dated, "x", second).facts
    assert ChatTemplate(plain, "x", first).facts == ChatTemplate(plain, "x", second).facts
    assert ChatTemplate(dated, "x").framed("a") == f"{datetime.date.today():%d %b %Y}, 00:00"


def test_template_is_found_in_every_known_place(tmp_path):
    assert folder_template(tmp_path) is None
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": "one"}))
    assert folder_template(tmp_path) == ("one", "tokenizer_config.json")
    named = [{"name": "tool_use", "template": "other"}, {"name": "default", "template": "two"}]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": named}))
    assert folder_template(tmp_path) == ("two", "tokenizer_config.json")
    (tmp_path / "chat_template.jinja").write_text("three")
    assert folder_template(tmp_path) == ("three", "chat_template.jinja")
    (tmp_path / "tokenizer_config.json").write_text("{")
    (tmp_path / "chat_template.jinja").unlink()
    with pytest.raises(UserError, match="cannot be read"):
        folder_template(tmp_path)


def test_template_of_the_user_takes_precedence_and_a_missing_one_is_rejected(tmp_path):
    (tmp_path / "mine").write_text("given")
    source = GeneratorSource("model", chat=True, chat_template=str(tmp_path / "mine"))
    assert template_for(source, ("own", "x")).source == "given"
    assert template_for(GeneratorSource("model"), ("own", "x")).source == "own"
    with pytest.raises(UserError, match="model: has no chat template") as caught:
        template_for(GeneratorSource("model"), None)
    assert "--chat-template" in caught.value.remedy
    with pytest.raises(UserError, match="cannot be read"):
        template_for(GeneratorSource("model", chat_template=str(tmp_path / "none")), None)


CODE = "def double(n):\n    return 2 * n\n"


@pytest.mark.parametrize(
    ("answer", "code", "how"),
    [
        (f"Here:\n```python\n{CODE}```\nGood luck.", CODE, "fence"),
        (f"```\n{CODE}```", CODE, "fence"),
        (f"```bash\npip install x\n```\n\n```py\n{CODE}```\n```python\ndouble(2)\n```", CODE, "fence"),
        ("```bash\npip install x\n```\n```python\nx = 1\n```", "pip install x\n", "fence"),
        (f"Here:\n```python\n{CODE}", CODE, "unclosed fence"),
        ("```python", "```python", "no fence"),
        ("```python\n", "", "unclosed fence"),
        (CODE, CODE, "no fence"),
        ("", "", "no fence"),
        (f"  ```python\n{CODE}  ```", CODE, "fence"),
        (f"~~~\n{CODE}~~~", CODE, "fence"),
        (f"````\n{CODE}x = '''\n```\n'''\n````", f"{CODE}x = '''\n```\n'''\n", "fence"),
    ],
)
def test_code_is_extracted_from_the_answer(answer, code, how):
    assert code_of(answer, PROBLEM) == (code, how)
