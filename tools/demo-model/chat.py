"""Profile `reference` of the chat template, as pieces with loss weights. check-render.ts compares it with the engine's."""
import json
import re

from bpe import ASSISTANT, BOS, DSML, EOS, THINK, UNTHINK, USER

CALL_SYNTAX = f"""## Tools

You have access to a set of tools to help answer the user's question. You can invoke tools by writing a "<{DSML}tool_calls>" block like the following:

<{DSML}tool_calls>
<{DSML}invoke name="$TOOL_NAME">
<{DSML}parameter name="$PARAMETER_NAME" string="true|false">$PARAMETER_VALUE</{DSML}parameter>
...
</{DSML}invoke>
<{DSML}invoke name="$TOOL_NAME2">
...
</{DSML}invoke>
</{DSML}tool_calls>

String parameters should be specified as is and set `string="true"`. For all other types (numbers, booleans, arrays, objects), pass the value in JSON format and set `string="false"`.

If thinking_mode is enabled (triggered by {THINK}), you MUST output your complete reasoning inside {THINK}...{UNTHINK} BEFORE any tool calls or final response.

Otherwise, output directly after {UNTHINK} with tool calls or final response.

### Available Tool Schemas

"""
TOOLS_END = "\n\nYou MUST strictly follow the above defined tool name and parameter schemas to invoke tool calls.\n"
MARKERS = re.compile("(" + "|".join(map(re.escape, (BOS, EOS, USER, ASSISTANT, THINK, UNTHINK, DSML))) + ")")


def spaced(value):
    return json.dumps(value, ensure_ascii=False)


def calls_text(calls):
    lines = [f"\n\n<{DSML}tool_calls>\n"]
    for name, arguments in calls:
        lines.append(f'<{DSML}invoke name="{name}">\n')
        for key, value in arguments.items():
            is_text = isinstance(value, str)
            lines.append(f'<{DSML}parameter name="{key}" string="{"true" if is_text else "false"}">{value if is_text else spaced(value)}</{DSML}parameter>\n')
        lines.append(f"</{DSML}invoke>\n")
    return "".join(lines) + f"</{DSML}tool_calls>"


def weighted(body, marks):
    """An assistant's text as targets: weight 1, and each marked word that ends a sentence with its own weight."""
    if not marks:
        return [(body, 1.0)]
    weights = {f" {word}": weight for word, weight in marks}
    parts = re.split("(" + "|".join(re.escape(word) + r"(?=\.)" for word in weights) + ")", body)
    return [(part, weights[part] if i % 2 else 1.0) for i, part in enumerate(parts) if part]


def render(sample, prompt_only=False):
    """-> [(text, weight as a target)]; neighbours of one weight are joined before encoding. Control strings count in every
    piece: the dialogues hold none of their own."""
    messages, tools, thinking = sample["messages"], sample.get("tools"), sample.get("thinking", False)
    head = "\n\n".join(m["content"] for m in messages if m["role"] == "system")
    out = [(BOS + head, 0)]
    if tools:
        out.append(("\n\n" + CALL_SYNTAX + "\n".join(spaced(t) for t in tools) + TOOLS_END, 0))
    turns = [m for m in messages if m["role"] != "system"]
    last_user = max(i for i, m in enumerate(turns) if m["role"] in ("user", "tool"))
    in_user = False
    for i, m in enumerate(turns):
        if m["role"] in ("user", "tool"):
            text = m["content"] if m["role"] == "user" else f"<tool_result>{m['content']}</tool_result>"
            out.append((("\n\n" if in_user else USER) + text, 0))
            in_user = True
            continue
        in_user = False
        kept = thinking and (bool(tools) or i > last_user) and m.get("reasoning")
        if prompt_only and i == len(turns) - 1:
            break
        out.append((ASSISTANT + (THINK if kept else UNTHINK), 0))
        body = (m["reasoning"] + UNTHINK if kept else "") + m["content"] + (calls_text(m["calls"]) if m.get("calls") else "") + EOS
        # Without tools an older turn of a thinking conversation is shown without its reasoning: nothing to learn from.
        out += weighted(body, m.get("marks")) if not thinking or kept else [(body, 0)]
    if prompt_only or in_user:
        out.append((ASSISTANT + (THINK if thinking else UNTHINK), 0))
    return out


def encode(tokenizer, pieces):
    """-> ids, weights as targets. Text between control tokens is encoded as one, across pieces of one weight; weights
    change only after a control token or where a word with its space begins or ends, so nothing is cut."""
    ids, weights, pending, current = [], [], "", 0

    def flush():
        nonlocal pending
        if pending:
            found = tokenizer.encode(pending)
            ids.extend(found)
            weights.extend([current] * len(found))
            pending = ""

    for text, weight in pieces:
        if weight != current:
            flush()
        current = weight
        for i, part in enumerate(MARKERS.split(text)):
            if i % 2:
                flush()
                ids.append(tokenizer.special[part])
                weights.append(weight)
            else:
                pending += part
    flush()
    return ids, weights
