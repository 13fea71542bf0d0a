"""What a trained model gets right on held-out samples, teacher-forced: a quick look at the end of a run. `ds4 eval` decides."""
import math

import numpy as np
import torch

from bpe import BOS, Tokenizer
from chat import encode, render
from dialogues.arithmetic import arithmetic
from dialogues.facts import fact
from dialogues.instructions import instruction
from dialogues.recall import recall
from dialogues.tools import tool_call
from dialogues.words import Source
from mixture import Texts
from model import Model


def kinds_of(short, long):
    """kind -> (maker, tokens of a row, rows of a batch). short and long: (rows, tokens) that the model is compiled for."""
    (rows, tokens), (long_rows, long_tokens) = short, long
    makers = {"fact": fact, "arithmetic": lambda s: arithmetic(s, thinking=True), "instruction": instruction,
              "tool-call": lambda s: tool_call(s, stage="call"), "tool-result": lambda s: tool_call(s, stage="result"),
              "tool-none": lambda s: tool_call(s, stage="none"), "recall-near": lambda s: recall(s, 2000)}
    return {**{kind: (maker, tokens, rows) for kind, maker in makers.items()}, "recall-4000": (lambda s: recall(s, 12500), long_tokens, long_rows)}


def exact(trainer, kinds, tokenizer, texts, samples, select_long):
    """Share of samples whose every target token is the likeliest one: what greedy decoding would get right."""
    found = {}
    for kind, (maker, tokens, rows) in kinds.items():
        source, right = Source(77, is_eval=True, filler=texts.filler), []
        for _ in range(max(1, samples // rows)):
            ids = np.zeros((rows, tokens), np.int64)
            flags = np.zeros((rows, tokens), bool)
            for row in range(rows):
                while True:
                    made, flag = encode(tokenizer, render(maker(source)))
                    if len(made) <= tokens:
                        break
                last = max(i for i, f in enumerate(flag) if f and not flag[i - 1])
                ids[row, :len(made)] = made
                flags[row, last:len(made)] = True
            ids_t, flags_t = torch.from_numpy(ids).to(trainer.device), torch.from_numpy(flags).to(trainer.device)
            # With gradients, as in training: without them everything would compile once more.
            *_, guess = trainer.losses(ids_t, flags_t.float(), select_long and kind == "recall-4000")
            good = (guess[:, :-1] == ids_t[:, 1:]) | ~flags_t[:, 1:]
            right += good.all(1).tolist()
        found[kind] = round(float(np.mean(right)), 4)
    return found


def perplexity(trainer, tokenizer, texts, rows, tokens, stored, rounded_rows):
    """Per-token perplexity on held-out documents, and of how many tokens. stored: weights as they are stored, else float32
    masters; rounded_rows: with the FP8 and FP4 roundings of KV and index rows."""
    trainer.optimiser.publish(stored)
    plain = Model(trainer.model.c).to(trainer.device)  # not compiled: another dtype would compile everything again
    plain.load_state_dict(trainer.model.state_dict())
    ids = [i for d in texts.held_out for i in [tokenizer.special[BOS], *tokenizer.encode(d[:6000])]]
    count = min(len(ids) // tokens, 64) // rows * rows
    total, n = 0.0, 0
    for at in range(0, count, rows):
        batch = torch.tensor(ids[at * tokens:(at + rows) * tokens], device=trainer.device).view(rows, tokens)
        with torch.no_grad():
            hidden = plain(batch, dtype=torch.float32, rounding=rounded_rows)[0]
            losses, _ = trainer.token_losses(hidden, trainer.model.head, torch.roll(batch, -1, 1))
        total, n = total + losses[:, :-1].double().sum().item(), n + losses[:, :-1].numel()
    trainer.optimiser.publish()
    return math.exp(total / n), n
