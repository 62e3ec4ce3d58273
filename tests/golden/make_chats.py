#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the goldens of conversations: tests/golden/text/chat. Run from the repository's root,
after make_tokenizers.py; needs the transformers package, whose apply_chat_template() lays out.

  make_chats.py [OUT]      default: tests/golden/text/chat

The templates below are those of the published families, or do what those do for messages of
text. tokenizer_config.json of each folder holds one; golden.jsonl has a line per conversation:
[[[role, text], ...], [ids]], ids null where the template cannot be followed. Folders that start
with "unknown-" hold templates that must be refused.
"""
import json
import os
import sys

os.environ["TOKENIZERS_PARALLELISM"] = "false"

from tokenizers import Tokenizer  # noqa: E402
from transformers import PreTrainedTokenizerFast  # noqa: E402

CHATML = ("{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + "
          "'<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")

QWEN2 = ("{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
         "{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}"
         "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
         "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")

QWEN2_5 = r"""{%- if tools %}
    {{- '<|im_start|>system\n' }}
    {%- if messages[0]['role'] == 'system' %}
        {{- messages[0]['content'] }}
    {%- else %}
        {{- 'You are Qwen, created by Alibaba Cloud. You are a helpful assistant.' }}
    {%- endif %}
    {{- "\n\n# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with function signatures within <tools></tools> XML tags:\n<tools>" }}
    {%- for tool in tools %}
        {{- "\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\n</tools>\n\nFor each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:\n<tool_call>\n{\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call><|im_end|>\n" }}
{%- else %}
    {%- if messages[0]['role'] == 'system' %}
        {{- '<|im_start|>system\n' + messages[0]['content'] + '<|im_end|>\n' }}
    {%- else %}
        {{- '<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n' }}
    {%- endif %}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>' + '\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|im_start|>' + message.role }}
        {%- if message.content %}
            {{- '\n' + message.content }}
        {%- endif %}
        {{- '<|im_end|>\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
{%- endif %}
"""

QWEN3 = r"""{%- if tools %}
    {{- '<|im_start|>system\n' }}
    {%- if messages[0].role == 'system' %}
        {{- messages[0].content + '\n\n' }}
    {%- endif %}
    {{- "# Tools\n\nYou may call one or more functions to assist with the user query.<|im_end|>\n" }}
{%- else %}
    {%- if messages[0].role == 'system' %}
        {{- '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}
    {%- endif %}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\n' + content + '<|im_end|>' + '\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set reasoning_content = content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index %}
            {%- if loop.last or (not loop.last and reasoning_content) %}
                {{- '<|im_start|>' + message.role + '\n<think>\n' + reasoning_content.strip('\n') + '\n</think>\n\n' + content.lstrip('\n') }}
            {%- else %}
                {{- '<|im_start|>' + message.role + '\n' + content }}
            {%- endif %}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\n' + content }}
        {%- endif %}
        {{- '<|im_end|>\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\n\n</think>\n\n' }}
    {%- endif %}
{%- endif %}"""

LLAMA3 = ("{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + "
          "message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}"
          "{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}"
          "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}")

LLAMA3_1 = r"""{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if not tools_in_user_message is defined %}
    {%- set tools_in_user_message = true %}
{%- endif %}
{%- if not date_string is defined %}
    {%- set date_string = "26 Jul 2024" %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}

{#- This block extracts the system message, so we can slot it into the right place. #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}

{#- System message + builtin tools #}
{{- "<|start_header_id|>system<|end_header_id|>\n\n" }}
{%- if builtin_tools is defined or tools is not none %}
    {{- "Environment: ipython\n" }}
{%- endif %}
{{- "Cutting Knowledge Date: December 2023\n" }}
{{- "Today Date: " + date_string + "\n\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}

{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif %}
"""

UNKNOWN = {
    "phi3": "{% for message in messages %}{% if message['role'] == 'user' %}{{'<|user|>\n' + message['content'] + "
            "'<|end|>\n'}}{% elif message['role'] == 'assistant' %}{{'<|assistant|>\n' + message['content'] + '<|end|>\n'}}"
            "{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}",
    "zephyr": "{% for message in messages %}\n{% if message['role'] == 'user' %}\n{{ '<|user|>\n' + message['content'] + "
              "eos_token }}\n{% endif %}\n{% endfor %}{{ '<|assistant|>' }}",
    "llama2": "{% for message in messages %}{{ bos_token + '[INST] ' + message['content'] + ' [/INST]' }}{% endfor %}",
    "gemma": "{{ bos_token }}{% for message in messages %}{{ '<start_of_turn>' + message['role'] + '\n' + "
             "message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}",
    "own-system": CHATML.replace("{% for message in messages %}", "{% for message in messages %}{% if loop.first and "
                                 "messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nYou are a helpful AI assistant "
                                 "named SmolLM, trained by Hugging Face<|im_end|>\\n' }}{% endif %}"),
    "chatml-bos": "{{ bos_token }}" + CHATML,
    "thinks-first": QWEN3.replace(r"'<|im_start|>assistant\n'", r"'<|im_start|>assistant\n<think>\n'"),
    "trims": CHATML.replace("message['content']", "message['content'] | trim"),
    "empty": "",
}

FAMILIES = {  # folder: tokenizer, bos_token, template
    "chatml": ("qwen2", None, CHATML),
    "qwen2": ("qwen2", None, QWEN2),
    "qwen2.5": ("qwen2", None, QWEN2_5),
    "qwen3": ("qwen2", None, QWEN3),
    "llama3": ("llama3", "<|begin_of_text|>", LLAMA3),
    "llama3.1": ("llama3", "<|begin_of_text|>", LLAMA3_1),
    "plain": ("tales", "<|bos|>", None),
}

TALK = [
    [("user", "Tell me a tale.")],
    [("system", "You are a teller of tales."), ("user", "  Of a fox, please. \n")],
    [("user", "One?"), ("assistant", "Once upon a time,\nthere was a king."), ("user", "And then?\n\n")],
    [("system", " \u3000Answer in verse.\x1c\n"), ("user", "Hello \U0001F44D\U0001F3FD"), ("assistant", "\n\n Hi!  "),
     ("user", ""), ("assistant", "Yes?"), ("user", "\u00a0caf\u0065\u0301 \u85e4\u539f 12345\u2003")],
    [("user", "Why?"), ("assistant", "<think>\nHm.\n</think>\n\nBecause."), ("user", "I see.")],
    [("user", "Why?"), ("assistant", "<think>a</think>b</think>\n\n\nc\n"), ("user", "I see."),
     ("assistant", "\nGood."), ("user", "'s it?")],
    [("user", "a"), ("system", "in between"), ("user", "b"), ("user", "c")],
    [("user", "a"), ("assistant", "b")],
    [("assistant", "b"), ("user", "a")],
    [("system", "Only this.")],
    [("user", "I'LL\r\n\tdo 3.14 things\u2026 \u180e\u200b\u2028 x"), ("assistant", "\u1100\u1161\u11a8 \U0001FAE8"), ("user", "\ufffd")],
]


def main():
    out = sys.argv[1] if len(sys.argv) > 1 else "tests/golden/text/chat"
    for name, (family, bos, template) in FAMILIES.items():
        os.makedirs(f"{out}/{name}", exist_ok=True)
        path = "models/tales-target" if family == "tales" else f"tests/golden/text/{family}"
        t = Tokenizer.from_file(f"{path}/tokenizer.json")
        if template is None:
            template = json.load(open(f"{path}/tokenizer_config.json"))["chat_template"]
        # Some published files name their templates; one of ours does.
        chat = [{"name": "tool_use", "template": "none"}, {"name": "default", "template": template}]
        with open(f"{out}/{name}/tokenizer_config.json", "w", encoding="utf-8") as f:
            json.dump({"bos_token": bos, "chat_template": chat if name == "llama3" else template}, f, indent=1)
            f.write("\n")
        lay_out = PreTrainedTokenizerFast(tokenizer_object=t, bos_token=bos)
        with open(f"{out}/{name}/golden.jsonl", "w", encoding="utf-8") as f:
            for talk in TALK:
                text = lay_out.apply_chat_template([{"role": r, "content": c} for r, c in talk],
                                                   chat_template=template, tokenize=False,
                                                   add_generation_prompt=True)
                ids = t.encode(text, add_special_tokens=False).ids
                if name == "qwen3" and talk[-1][0] == "assistant":
                    ids = None  # laid out with its thinking, which the runtime refuses
                f.write(json.dumps([talk, ids], ensure_ascii=False) + "\n")
    for name, template in UNKNOWN.items():
        os.makedirs(f"{out}/unknown-{name}", exist_ok=True)
        with open(f"{out}/unknown-{name}/tokenizer_config.json", "w", encoding="utf-8") as f:
            json.dump({"chat_template": template}, f, indent=1)
            f.write("\n")


if __name__ == "__main__":
    main()
