"""Several processes, one a GPU, that train one model (`torchrun --nproc-per-node 2 train.py ...`): each has rows of its
own, and gradients are averaged before every update. A process that was started alone is all of them.
"""
import os

import torch

from optimiser import copy_all


class Replicas:
    def __init__(self):
        self.rank, self.count = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        local = int(os.environ.get("LOCAL_RANK", 0))
        self.device = f"cuda:{local}" if torch.cuda.is_available() else "cpu"
        if self.device != "cpu":
            torch.cuda.set_device(local)
        self.clocks = None
        if self.count > 1:
            torch.distributed.init_process_group("gloo" if self.device == "cpu" else "nccl")
            self.clocks = torch.distributed.new_group(backend="gloo")

    def agree(self, value):
        """The first process's number, for all: progress follows a clock, and each has another."""
        if self.clocks is None:
            return value
        said = torch.tensor([value], dtype=torch.float64)
        torch.distributed.broadcast(said, 0, group=self.clocks)
        return said.item()


class SharedGradients:
    """All gradients in one vector, with whatever else is averaged (`extra` numbers), so that one exchange suffices."""

    def __init__(self, replicas, parameters, extra):
        self.replicas, self.parameters = replicas, list(parameters)
        sizes = [p.numel() for p in self.parameters]
        self.flat = torch.zeros(sum(sizes) + extra, device=replicas.device)
        *parts, self.extra = self.flat.split([*sizes, extra])
        self.views = [part.view(p.shape) for part, p in zip(parts, self.parameters)]

    def collect(self, extra):
        """Moves the gradients of a backward pass here; the parameters then have none."""
        copy_all(self.views, [p.grad for p in self.parameters])
        self.extra.copy_(extra)
        for p in self.parameters:
            p.grad = None

    def average(self):
        if self.replicas.count > 1:
            torch.distributed.all_reduce(self.flat)
            self.flat /= self.replicas.count

    def spread(self):
        """Gives the averages back to the parameters as their gradients."""
        for p, view in zip(self.parameters, self.views):
            p.grad = view
