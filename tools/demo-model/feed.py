"""Batches of packed rows, made by worker processes."""
import multiprocessing
import pathlib
import random

import numpy as np

TOKENIZER = pathlib.Path(__file__).resolve().parents[2] / "models" / "demo" / "tokenizer.json"
SHORT_TOKENS, LONG_TOKENS = 1024, 4608  # 36 rows of one are as many tokens as 8 of the other: most parts compile once


def produce(queue, seed, tokens, shares, rows):
    """One worker: batches of `rows` packed rows, for ever."""
    from bpe import Tokenizer
    from mixture import ENDINGS, LONG, SHORT, Stream, Texts
    stream = Stream(seed, Tokenizer(TOKENIZER), Texts(), tokens, {"short": SHORT, "long": LONG, "endings": ENDINGS}[shares])
    while True:
        made = [stream.row() for _ in range(rows)]
        queue.put((np.stack([ids for ids, _ in made]), np.stack([weights for _, weights in made])))


class Feed:
    """Batches of several workers in a fixed order. With `again` a batch that is not ready in time is replaced by an
    earlier one, at random: the GPU never waits, and which batches come twice depends on the machine."""

    def __init__(self, seed, workers, tokens, shares, rows, again=False):
        context = multiprocessing.get_context("fork")
        self.queues = [context.Queue(12) for _ in range(workers)]
        self.turn, self.repeated, self.kept = 0, 0, [] if again else None
        self.random = random.Random(seed)
        for i, queue in enumerate(self.queues):
            context.Process(target=produce, args=(queue, seed * 1000 + i, tokens, shares, rows), daemon=True).start()

    def batch(self):
        source = self.queues[self.turn % len(self.queues)]
        if self.kept is not None and len(self.kept) >= 64 and source.empty():
            self.repeated += 1
            return self.random.choice(self.kept)
        made = source.get(timeout=120)
        self.turn += 1
        if self.kept is not None:
            self.kept.append(made)
        return made

    def next(self, device):
        import torch
        ids, weights = self.batch()
        return torch.from_numpy(ids).to(device).long(), torch.from_numpy(weights).to(device).float()
