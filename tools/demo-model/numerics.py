"""The roundings of the stored formats and of the KV and index rows, as float tensor operations.

Every function returns float values that the format represents exactly; nothing is packed here (export.py does
that). Formulas: smallest power of two scale with amax <= top * scale, round to nearest, ties to the even code.
"""
import torch

E4M3 = {"mantissa": 3, "lowest": -6, "shift": 8, "carry": 0x1FFFFF, "top": 448.0}  # 448 = 1.75 * 2^8
E2M1 = {"mantissa": 1, "lowest": 0, "shift": 2, "carry": 0x3FFFFF, "top": 6.0}  # 6 = 1.5 * 2^2


def power_of_two(exponent):
    """2^exponent for an int32 tensor with values in -126..127."""
    return ((exponent + 127) << 23).view(torch.float32)


def exponent_of(x):
    """floor(log2 |x|) of a normal float32 tensor, as int32."""
    return ((x.view(torch.int32) >> 23) & 255) - 127


def group_scale(amax, fmt):
    """Smallest power of two s with amax <= top * s. amax must be a positive normal float32."""
    return power_of_two(((amax.view(torch.int32) + fmt["carry"]) >> 23) - 127 - fmt["shift"])


def to_grid(x, fmt):
    """Nearest value of the element format; |x| <= top."""
    unit = power_of_two(exponent_of(x).clamp(min=fmt["lowest"]) - fmt["mantissa"])
    return torch.round(x / unit) * unit


def round_groups(x, size, fmt, floor):
    """x [..., n] in groups of `size` along the last axis -> (values, scales [..., n / size])."""
    grouped = x.float().unflatten(-1, (x.shape[-1] // size, size))
    scale = group_scale(grouped.abs().amax(-1, keepdim=True).clamp(min=floor), fmt)
    return (to_grid(grouped / scale, fmt) * scale).reshape(x.shape), scale[..., 0]


def round_fp4_weight(w):
    """w [..., out, in] -> values and scales [..., out, in / 32]."""
    return round_groups(w, 32, E2M1, 2.0 ** -100)


def round_fp8_weight(w):
    """w [..., out, in] (multiples of 128) -> values and scales [..., out / 128, in / 128]."""
    rows, cols = w.shape[-2:]
    blocks = w.float().unflatten(-1, (cols // 128, 128)).unflatten(-3, (rows // 128, 128))
    scale = group_scale(blocks.abs().amax((-3, -1), keepdim=True).clamp(min=2.0 ** -100), E4M3)
    return (to_grid(blocks / scale, E4M3) * scale).reshape(w.shape), scale[..., 0, :, 0]


def straight_through(x, rounded):
    return x + (rounded.to(x.dtype) - x).detach()


def round_kv(x, rope_dim):
    """A KV row after rope: FP8 in groups of 64, rotary channels bfloat16. Gradient passes through."""
    plain, rotary = x[..., :-rope_dim], x[..., -rope_dim:]
    rounded = torch.cat([round_groups(plain, 64, E4M3, 1e-4)[0], rotary.to(torch.bfloat16).float()], -1)
    return straight_through(x, rounded)


def hadamard_matrix(size):
    h = torch.ones(1, 1)
    while h.shape[0] < size:
        h = torch.cat([torch.cat([h, h], 1), torch.cat([h, -h], 1)], 0)
    return h * size ** -0.5


def round_index(x, hadamard):
    """Index rows after rope: Hadamard rotation, then FP4 in groups of 32. Gradient passes through the rounding."""
    rotated = x @ hadamard.to(x.dtype)
    return straight_through(rotated, round_groups(rotated, 32, E2M1, 6 * 2.0 ** -126)[0])
