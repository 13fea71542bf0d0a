"""Float32 masters of every parameter, their update, and the rounded values that the forward pass uses.

Matrices are updated with orthogonalised momentum (Muon), the rest with Adam. After a step each parameter of the model
holds stored_value(master): the gradient taken there is applied to the master, which is the straight-through rule.
"""
import torch

from storage import storage_kind, stored_value

MATRIX_HINTS = (".wq_a", ".wq_b", ".wkv", ".wgate", ".wo_a", ".wo_b", ".w1", ".w2", ".w3", "e_proj", "h_proj")
MUON_RATE, ADAM_RATE, EMBED_RATE, DECAY = 3e-3, 2e-3, 4e-3, 0.05
MOMENTUM, BETAS = 0.95, (0.9, 0.97)


def orthogonalised(m, steps=5):
    """Newton-Schulz iteration towards the nearest semi-orthogonal matrix. m [K, r, c] with r <= c."""
    x = m.to(torch.bfloat16)
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        a = x @ x.transpose(-2, -1)
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x.float()


def copy_all(targets, values):
    """values into targets in few kernels; torch before 2.1 has no such call."""
    torch._foreach_copy_(targets, values) if hasattr(torch, "_foreach_copy_") else [t.copy_(v) for t, v in zip(targets, values)]


class MatrixGroup:
    """Parameters whose matrices share a shape, stacked as [K, r, c]."""

    def __init__(self, named, head_rows):
        self.named, self.rows = named, head_rows
        self.masters = torch.cat([self.cut(p.detach()) for _, p in named]).clone()
        self.momentum = torch.zeros_like(self.masters)

    def cut(self, value):
        return value.reshape(-1, self.rows, value.shape[-1])

    def step(self, scale):
        gradient = torch.cat([self.cut(p.grad) for _, p in self.named])
        self.momentum.lerp_(gradient, 1 - MOMENTUM)
        direction = torch.lerp(gradient, self.momentum, MOMENTUM)
        tall = self.rows > direction.shape[-1]
        update = orthogonalised(direction.transpose(1, 2) if tall else direction)
        update = update.transpose(1, 2) if tall else update
        rate = MUON_RATE * scale
        self.masters.mul_(1 - rate * DECAY).sub_(update * (rate * (0.2 * max(update.shape[-2:]) ** 0.5)))

    def stored(self):
        """The rounded masters, all at once: one storage kind a group, and cuts fall on whole FP8 blocks."""
        return stored_value(self.named[0][0], self.masters)

    def pieces(self, values):
        """(name, parameter, its share of `values` in the parameter's shape)."""
        at = 0
        for name, p in self.named:
            count = p.numel() // (self.rows * p.shape[-1])
            yield name, p, values[at:at + count].reshape(p.shape)
            at += count


class FlatGroup:
    """Everything that is not a hidden matrix, as one vector."""

    def __init__(self, named):
        self.named = named
        self.masters = torch.cat([p.detach().flatten() for _, p in named])
        self.rates = torch.cat([torch.full_like(p.flatten(), EMBED_RATE if name in ("embed", "head") else ADAM_RATE) for name, p in named])
        self.mean, self.square = torch.zeros_like(self.masters), torch.zeros_like(self.masters)
        self.is_rounded = torch.cat([torch.full_like(p.flatten(), storage_kind(name) == "bf16" or name.endswith(".fn")) for name, p in named]).bool()
        self.count = torch.zeros((), device=self.masters.device)  # a tensor: the step is captured as a graph

    def step(self, scale):
        gradient = torch.cat([p.grad.flatten() for _, p in self.named])
        self.count.add_(1)
        self.mean.lerp_(gradient, 1 - BETAS[0])
        self.square.lerp_(gradient.square(), 1 - BETAS[1])
        corrected = (self.square / (1 - BETAS[1] ** self.count)).sqrt_().add_(1e-10)
        self.masters.sub_(self.rates * scale * (self.mean / (1 - BETAS[0] ** self.count)) / corrected)

    def stored(self):
        return torch.where(self.is_rounded, self.masters.to(torch.bfloat16).float(), self.masters)

    def pieces(self, values):
        for (name, p), part in zip(self.named, values.split([p.numel() for _, p in self.named])):
            yield name, p, part.view(p.shape)


class Optimiser:
    """step(scale) takes a float or a 0-dim tensor, copies nothing from the device and so can be captured as a graph."""

    def __init__(self, model):
        matrices, flat = {}, []
        for name, p in model.named_parameters():
            if p.dim() >= 2 and name.endswith(MATRIX_HINTS):
                rows = 128 if name.endswith(".wq_b") else p.shape[-2]
                matrices.setdefault((storage_kind(name), rows, p.shape[-1], p.shape[-2]), (rows, []))[1].append((name, p))
            else:
                flat.append((name, p))
        self.groups = [MatrixGroup(named, rows) for rows, named in matrices.values()] + [FlatGroup(flat)]

    @torch.no_grad()
    def step(self, scale):
        for group in self.groups:
            group.step(scale)
        self.publish()

    @torch.no_grad()
    def publish(self, rounded=True):
        """Puts the masters into the model, rounded as they would be stored, or as they are."""
        targets, values = [], []
        for group in self.groups:
            for _, p, value in group.pieces(group.stored() if rounded else group.masters):
                targets.append(p)
                values.append(value)
        copy_all(targets, values)

    def state(self):
        return [{k: v for k, v in vars(g).items() if k in ("masters", "momentum", "mean", "square", "count")} for g in self.groups]

    def load(self, state):
        for group, saved in zip(self.groups, state):
            for key, value in saved.items():
                getattr(group, key).copy_(torch.as_tensor(value))  # in place: a captured step keeps its addresses
