"""How often the prediction block's first guess is the token that follows, on answers that the engine gave.

  ds4 eval --json > answers.json
  python3 draft_acceptance.py answers.json

Each answer is fed back whole; at every position of it the block sees the trunk's streams there and the next token,
and its likeliest token is compared with the one after that.
"""
import json
import pathlib
import sys

import torch
import torch.nn.functional as F

from bpe import Tokenizer
from chat import encode, render
from model import Model, read_config
from storage import load_checkpoint

HERE = pathlib.Path(__file__).resolve().parent
MODEL = HERE.parents[1] / "models" / "demo"
SUITE = MODEL / "eval-suite.json"
LONGEST, PER_KIND = 640, 8  # a sample is enough, and the training code is slow on a CPU


def sample_of(item, result):
    """The suite's conversation with the engine's answer as its last turn."""
    messages = [{**m, "calls": [(c["name"], json.loads(c["arguments"])) for c in m.get("toolCalls", [])]} for m in item["messages"]]
    calls = [(c["name"], json.loads(c["arguments"])) for c in result["calls"]]
    messages.append({"role": "assistant", "content": result["content"], "reasoning": result["reasoning"], "calls": calls})
    return {"messages": messages, "tools": item.get("tools"), "thinking": item["thinking"]}


def main():
    answers = {r["id"]: r for r in json.load(open(sys.argv[1]))["results"]}
    config = read_config(MODEL / "config.json")
    model, tokenizer = Model(config), Tokenizer(MODEL / "tokenizer.json")
    load_checkpoint(model, MODEL)
    torch.set_flush_denormal(True)
    torch.set_num_threads(1)
    hits, total, used = {}, {}, {}
    for item in json.load(open(SUITE))["items"]:
        ids, flags = encode(tokenizer, render(sample_of(item, answers[item["id"]])))
        if len(ids) > LONGEST or used.get(item["kind"], 0) >= PER_KIND:
            continue
        used[item["kind"]] = used.get(item["kind"], 0) + 1
        padded = F.pad(torch.tensor([ids]), (0, -len(ids) % 128))
        with torch.no_grad():
            _, draft, _, _ = model(padded)
            guess = F.linear(draft[0], model.head).argmax(-1)
        first = max(i for i, flag in enumerate(flags) if flag and not flags[i - 1])
        right = [int(guess[i]) == ids[i + 2] for i in range(first - 1, len(ids) - 2)]
        hits[item["kind"]] = hits.get(item["kind"], 0) + sum(right)
        total[item["kind"]] = total.get(item["kind"], 0) + len(right)
    for kind in total:
        print(f"{kind:16}{hits[kind]:6}/{total[kind]}{100 * hits[kind] / total[kind]:8.1f} %")
    print(f"{'all':16}{sum(hits.values()):6}/{sum(total.values())}{100 * sum(hits.values()) / sum(total.values()):8.1f} %")


if __name__ == "__main__":
    main()
