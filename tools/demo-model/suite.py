"""Writes the held-out questions of `ds4 eval --suite demo`: models/demo/eval-suite.json.

Every item comes from the generators' held-out side (dialogues/words.py): words, names, number pairs and wordings that
training never produced. Filler of the long texts is from held-out documents.
"""
import argparse
import json
import pathlib

from bpe import Tokenizer
from chat import encode, render
from dialogues.arithmetic import arithmetic
from dialogues.facts import fact
from dialogues.instructions import instruction
from dialogues.recall import recall
from dialogues.tools import tool_call
from dialogues.words import Source
from mixture import Texts

HERE = pathlib.Path(__file__).resolve().parent
MODEL = HERE.parents[1] / "models" / "demo"
OUT, TOKENIZER = MODEL / "eval-suite.json", MODEL / "tokenizer.json"
DISTANCE, SEED = 4000, 2026


def message(m):
    made = {"role": m["role"], "content": m["content"]}
    if m.get("reasoning"):
        made["reasoning"] = m["reasoning"]
    if m.get("calls"):
        made["toolCalls"] = [{"id": f"call_{i}", "name": n, "arguments": json.dumps(a, ensure_ascii=False)} for i, (n, a) in enumerate(m["calls"])]
    return made


def item(number, kind, made):
    found = {"id": f"{kind}-{number}", "kind": kind, "thinking": made["thinking"], "messages": [message(m) for m in made["messages"][:-1]]}
    if made.get("tools"):
        found["tools"] = made["tools"]
    return {**found, "expect": made["expect"]}


def far_recall(source, tokenizer):
    """A fact whose question comes at least DISTANCE tokens later."""
    while True:
        made = recall(source, 12600, thinking=False)
        ids, _ = encode(tokenizer, render(made, prompt_only=True))
        if DISTANCE + 40 <= len(ids) <= DISTANCE + 500:
            return made


def kinds_of(tokenizer):
    """kind, number of items, maker."""
    return [("fact", 60, fact), ("arithmetic", 60, lambda s: arithmetic(s, thinking=True)), ("tool-call", 60, lambda s: tool_call(s, stage="call")),
            ("tool-none", 40, lambda s: tool_call(s, stage="none")), ("tool-result", 40, lambda s: tool_call(s, stage="result")), ("instruction", 60, instruction),
            ("recall-near", 20, lambda s: recall(s, 1200, thinking=False)), ("recall-4000", 30, lambda s: far_recall(s, tokenizer))]


def build(source, tokenizer):
    """-> [(kind, number, sample)], no question twice."""
    made_all = []
    for kind, count, maker in kinds_of(tokenizer):
        seen = set()
        while len(seen) < count:
            made = maker(source)
            key = json.dumps([m["content"] for m in made["messages"] if m["role"] != "assistant"], ensure_ascii=False)
            if key not in seen:
                seen.add(key)
                made_all.append((kind, len(seen), made))
    return made_all


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=SEED, help="another seed gives a set for choosing between checkpoints")
    parser.add_argument("--out", type=pathlib.Path, default=OUT)
    parser.add_argument("--with-prompts", action="store_true", help="also the rendered prompt and its ids, for check-render.ts")
    args = parser.parse_args()
    texts, tokenizer, items = Texts(), Tokenizer(TOKENIZER), []
    for kind, number, made in build(Source(args.seed, is_eval=True, filler=texts.filler), tokenizer):
        items.append(item(number, kind, made))
        if args.with_prompts:
            pieces = render(made, prompt_only=True)
            items[-1] |= {"prompt": "".join(text for text, _ in pieces), "ids": encode(tokenizer, pieces)[0]}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({"name": "demo", "items": items}, ensure_ascii=False, indent=0) + "\n", "utf-8")
    print(f"{len(items)} items, {args.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
