"""model.sinkhorn on a GPU as two Triton kernels: one row's M x M matrix stays in registers through all its normalisations.

Forward: x = softmax(rows) + eps, then columns, then (rows, columns) iterations - 1 times, each x / (sum + eps).
Backward: the normalisations are undone last to first, each input made again from the logits: for y = x / S with
S = sum(x) + eps the gradient of x is (dy - sum(dy * y)) / S.
"""
import torch
import triton
import triton.language as tl

ROWS = 128  # matrices a program


@triton.jit
def normalise(x, k: tl.constexpr, eps):
    """Normalisation number k: columns (sum over axis 1) for even k, rows for odd k. -> y, S."""
    if k % 2 == 0:
        total = tl.sum(x, axis=1)[:, None, :] + eps
    else:
        total = tl.sum(x, axis=2)[:, :, None] + eps
    return x / total, total


@triton.jit
def begin(logits, eps):
    """-> softmax over the last axis, and the same plus eps."""
    e = tl.exp(logits - tl.max(logits, axis=2)[:, :, None])
    p = e / tl.sum(e, axis=2)[:, :, None]
    return p, p + eps


@triton.jit
def offsets(count, M: tl.constexpr, ROWS: tl.constexpr):
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    at = row[:, None, None] * (M * M) + tl.arange(0, M)[None, :, None] * M + tl.arange(0, M)[None, None, :]
    return at, at < count * M * M


@triton.jit
def forward_kernel(logits, out, count, eps, M: tl.constexpr, STEPS: tl.constexpr, ROWS: tl.constexpr):
    at, inside = offsets(count, M, ROWS)
    _, x = begin(tl.load(logits + at, mask=inside, other=0.0), eps)
    for k in tl.static_range(STEPS):
        x, _ = normalise(x, k, eps)
    tl.store(out + at, x, mask=inside)


@triton.jit
def backward_kernel(logits, gradient, out, count, eps, M: tl.constexpr, STEPS: tl.constexpr, ROWS: tl.constexpr):
    at, inside = offsets(count, M, ROWS)
    p, first = begin(tl.load(logits + at, mask=inside, other=0.0), eps)
    d = tl.load(gradient + at, mask=inside, other=0.0)
    for back in tl.static_range(STEPS):  # normalisation STEPS - 1 - back, written out: a local variable would not be constant
        x = first
        for j in tl.static_range(STEPS):
            if j < STEPS - 1 - back:
                x, _ = normalise(x, j, eps)
        y, total = normalise(x, STEPS - 1 - back, eps)
        if (STEPS - 1 - back) % 2 == 0:
            d = (d - tl.sum(d * y, axis=1)[:, None, :]) / total
        else:
            d = (d - tl.sum(d * y, axis=2)[:, :, None]) / total
    d = p * (d - tl.sum(d * p, axis=2)[:, :, None])
    tl.store(out + at, d, mask=inside)


class Sinkhorn(torch.autograd.Function):
    @staticmethod
    def forward(context, logits, eps, iterations):
        logits = logits.contiguous()
        count, m, _ = logits.shape
        context.save_for_backward(logits)
        context.settings = eps, 2 * iterations - 1
        out = torch.empty_like(logits)
        forward_kernel[(triton.cdiv(count, ROWS),)](logits, out, count, eps, m, 2 * iterations - 1, ROWS)
        return out

    @staticmethod
    def backward(context, gradient):
        logits, = context.saved_tensors
        eps, steps = context.settings
        count, m, _ = logits.shape
        out = torch.empty_like(logits)
        backward_kernel[(triton.cdiv(count, ROWS),)](logits, gradient.contiguous(), out, count, eps, m, steps, ROWS)
        return out, None, None


def sinkhorn(logits, eps, iterations):
    """logits [N, M, M] float32 on a GPU -> the mixing matrix [N, M, M]; as model.sinkhorn."""
    return Sinkhorn.apply(logits, eps, iterations)


def agrees(reference, eps, iterations, device):
    """Whether values and gradients are those of `reference` (model.sinkhorn) in float64, on random logits."""
    generator = torch.Generator().manual_seed(5)
    logits = (torch.randn(1000, 4, 4, generator=generator) * 3).to(device).requires_grad_()
    direction = torch.randn(1000, 4, 4, generator=generator).to(device)
    exact = logits.detach().double().requires_grad_()
    value, wanted = sinkhorn(logits, eps, iterations), reference(exact, eps, iterations)
    value.backward(direction)
    wanted.backward(direction.double())
    errors = [((a.double() - b).norm() / b.norm()).item() for a, b in ((value, wanted), (logits.grad, exact.grad))]
    print(f"sinkhorn kernel: relative error {errors[0]:.1e} of values, {errors[1]:.1e} of gradients", flush=True)
    return max(errors) < 1e-5
