"""The DeepSeek-V4 forward pass for training: whole sequences from position 0, every expert computed densely.

Parameter names are those of the checkpoint. Weights are used as they are: train.py keeps float32 masters and puts
their rounded values here, so the gradient of a rounded weight is the gradient of its master.
"""
import json
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from numerics import hadamard_matrix, round_index, round_kv


@dataclass(frozen=True)
class Config:
    vocab: int
    hidden: int
    heads: int
    head_dim: int
    rope_dim: int
    q_rank: int
    out_groups: int
    out_rank: int
    experts: int
    experts_used: int
    expert_width: int
    hash_layers: int
    window: int
    index_heads: int
    index_dim: int
    index_top_k: int
    streams: int
    sinkhorn: int
    ratios: tuple
    norm_eps: float
    hc_eps: float
    rope_theta: float
    compress_rope_theta: float
    yarn_factor: float
    yarn_beta_fast: float
    yarn_beta_slow: float
    yarn_original: int
    routed_scale: float
    swiglu_limit: float
    mtp_blocks: int

    @property
    def layers(self):
        return len(self.ratios)


def read_config(path):
    """Config from the config.json of an official checkpoint."""
    c = json.load(open(path))
    yarn = c["rope_scaling"]
    return Config(
        vocab=c["vocab_size"], hidden=c["hidden_size"], heads=c["num_attention_heads"], head_dim=c["head_dim"],
        rope_dim=c["qk_rope_head_dim"], q_rank=c["q_lora_rank"], out_groups=c["o_groups"], out_rank=c["o_lora_rank"],
        experts=c["n_routed_experts"], experts_used=c["num_experts_per_tok"], expert_width=c["moe_intermediate_size"],
        hash_layers=c["num_hash_layers"], window=c["sliding_window"], index_heads=c["index_n_heads"],
        index_dim=c["index_head_dim"], index_top_k=c["index_topk"], streams=c["hc_mult"], sinkhorn=c["hc_sinkhorn_iters"],
        ratios=tuple(c["compress_ratios"][:c["num_hidden_layers"]]), norm_eps=c["rms_norm_eps"], hc_eps=c["hc_eps"],
        rope_theta=c["rope_theta"], compress_rope_theta=c["compress_rope_theta"], yarn_factor=yarn["factor"],
        yarn_beta_fast=yarn["beta_fast"], yarn_beta_slow=yarn["beta_slow"],
        yarn_original=yarn["original_max_position_embeddings"], routed_scale=c["routed_scaling_factor"],
        swiglu_limit=c["swiglu_limit"], mtp_blocks=c["num_nextn_predict_layers"])


def rope_frequencies(c, compressed):
    """[rope_dim / 2] float32."""
    half = c.rope_dim // 2
    base = c.compress_rope_theta if compressed else c.rope_theta
    plain = torch.tensor([base ** (-2 * i / c.rope_dim) for i in range(half)], dtype=torch.float64)
    if not compressed:
        return plain.float()
    turn = lambda beta: c.rope_dim * math.log(c.yarn_original / (2 * math.pi * beta)) / (2 * math.log(base))
    low, high = max(math.floor(turn(c.yarn_beta_fast)), 0), min(math.ceil(turn(c.yarn_beta_slow)), c.rope_dim - 1)
    ramp = ((torch.arange(half, dtype=torch.float64) - low) / max(high - low, 0.001)).clamp(0, 1)
    return (plain * (1 - ramp) + plain / c.yarn_factor * ramp).float()


def rotate(x, cos, sin):
    """x [..., n]: adjacent pairs of the last channels; cos, sin [..., rope_dim / 2] broadcast against x's pairs."""
    width = 2 * cos.shape[-1]
    pairs = x[..., -width:].float().unflatten(-1, (width // 2, 2))
    a, b = pairs[..., 0], pairs[..., 1]
    turned = torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2)
    return torch.cat([x[..., :-width], turned.to(x.dtype)], -1)


def unit_rms(x, eps):
    xf = x.float()
    return xf * torch.rsqrt(xf.square().mean(-1, keepdim=True) + eps)


def rms_norm(x, weight, eps):
    return (unit_rms(x, eps) * weight.float()).to(x.dtype)


def linear(x, weight):
    return F.linear(x, weight.to(x.dtype))


class Compressor(nn.Module):
    def __init__(self, c, ratio, width):
        super().__init__()
        self.ratio, self.width, self.eps = ratio, width, c.norm_eps
        rows = width * (2 if ratio == 4 else 1)
        self.wkv = nn.Parameter(torch.zeros(rows, c.hidden))
        self.wgate = nn.Parameter(torch.zeros(rows, c.hidden))
        self.ape = nn.Parameter(torch.zeros(ratio, rows))
        self.norm = nn.Parameter(torch.ones(width))

    def forward(self, x, cos, sin):
        """x [B, T, D] -> entries [B, T / ratio, width], normalised and rotated, not rounded."""
        batch, tokens, _ = x.shape
        count, d = tokens // self.ratio, self.width
        x = x[:, :count * self.ratio]
        value = linear(x, self.wkv).float().unflatten(1, (count, self.ratio))
        score = linear(x, self.wgate).float().unflatten(1, (count, self.ratio)) + self.ape.float()
        if self.ratio == 4:
            before = F.pad(value[:, :-1, :, :d], (0, 0, 0, 0, 1, 0))
            before_score = F.pad(score[:, :-1, :, :d], (0, 0, 0, 0, 1, 0), value=-1e30)
            value = torch.cat([before, value[..., d:]], 2)
            score = torch.cat([before_score, score[..., d:]], 2)
        entry = (torch.softmax(score, 2) * value).sum(2)
        entry = (unit_rms(entry, self.eps) * self.norm.float()).to(x.dtype)
        return rotate(entry, cos[:tokens:self.ratio][:count], sin[:tokens:self.ratio][:count])


class Indexer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.heads, self.dim, self.top_k = c.index_heads, c.index_dim, c.index_top_k
        self.wq_b = nn.Parameter(torch.zeros(c.index_heads * c.index_dim, c.q_rank))
        self.weights_proj = nn.Parameter(torch.zeros(c.index_heads, c.hidden))
        self.compressor = Compressor(c, 4, c.index_dim)
        self.register_buffer("hadamard", hadamard_matrix(c.index_dim), persistent=False)

    def forward(self, x, qr, cos, sin, rounding):
        """Scores [B, T, T / 4], not masked. Inputs are detached: only the indexer learns from them."""
        x, qr = x.detach(), qr.detach()
        keys = self.compressor(x, cos, sin)
        query = linear(qr, self.wq_b).unflatten(-1, (self.heads, self.dim))
        query = rotate(query, cos[:x.shape[1], None], sin[:x.shape[1], None])
        if rounding:
            keys, query = round_index(keys, self.hadamard), round_index(query, self.hadamard)
        head_weight = linear(x, self.weights_proj).float() * (self.heads * self.dim) ** -0.5
        dots = torch.matmul(query.flatten(1, 2), keys.transpose(1, 2)).unflatten(1, (x.shape[1], self.heads))
        return (F.relu(dots.float()) * head_weight[..., None]).sum(2)


class Attention(nn.Module):
    def __init__(self, c, ratio):
        super().__init__()
        self.c, self.ratio = c, ratio
        self.wq_a = nn.Parameter(torch.zeros(c.q_rank, c.hidden))
        self.q_norm = nn.Parameter(torch.ones(c.q_rank))
        self.wq_b = nn.Parameter(torch.zeros(c.heads * c.head_dim, c.q_rank))
        self.wkv = nn.Parameter(torch.zeros(c.head_dim, c.hidden))
        self.kv_norm = nn.Parameter(torch.ones(c.head_dim))
        self.attn_sink = nn.Parameter(torch.zeros(c.heads))
        self.wo_a = nn.Parameter(torch.zeros(c.out_groups * c.out_rank, c.heads * c.head_dim // c.out_groups))
        self.wo_b = nn.Parameter(torch.zeros(c.hidden, c.out_groups * c.out_rank))
        if ratio:
            self.compressor = Compressor(c, ratio, c.head_dim)
        if ratio == 4:
            self.indexer = Indexer(c)

    def window_part(self, q, kv):
        """exp(scores) [B, T, heads, window + block] and the keys they belong to [B * blocks, window + block, head_dim]."""
        c = self.c
        batch, tokens = kv.shape[:2]
        block = min(c.window, 128)
        blocks, back = tokens // block, c.window // block
        rows = F.pad(kv, (0, 0, c.window, 0)).unflatten(1, (blocks + back, block))
        keys = torch.cat([rows[:, j:j + blocks] for j in range(back + 1)], 2).flatten(0, 1)
        scores = torch.matmul(q.reshape(batch * blocks, block * c.heads, c.head_dim), keys.transpose(1, 2))
        scores = scores.view(batch, blocks, block, c.heads, c.window + block)
        key = torch.arange(c.window + block, device=kv.device)
        row = torch.arange(block, device=kv.device)
        first = torch.arange(blocks, device=kv.device)[:, None] * block - c.window
        seen = ((key[None] > row[:, None]) & (key[None] <= row[:, None] + c.window))[None] & ((first + key) >= 0)[:, None]
        weights = torch.where(seen[None, :, :, None], torch.exp(scores.float() * c.head_dim ** -0.5), 0.0)
        return weights.view(batch, tokens, c.heads, c.window + block), keys

    def compressed_part(self, q, x, qr, cos, sin, rounding, select):
        """exp(scores) [B, T, heads, n] of what is attended to, the same of all visible entries, entries [B, n, head_dim],
        indexer scores or None, visibility [T, n]."""
        c = self.c
        batch, tokens = x.shape[:2]
        entries = self.compressor(x, cos, sin)
        if rounding:
            entries = round_kv(entries, c.rope_dim)
        count = entries.shape[1]
        scores = torch.matmul(q.flatten(1, 2), entries.transpose(1, 2)).unflatten(1, (tokens, c.heads))
        limit = (torch.arange(tokens, device=x.device) + 1) // self.ratio
        seen = torch.arange(count, device=x.device)[None] < limit[:, None]
        mask, index = seen[None, :, None], None
        if self.ratio == 4:
            index = self.indexer(x, qr, cos, sin, rounding).masked_fill(~seen[None], -1e30)
            if select and count > c.index_top_k:
                kept = torch.zeros_like(index, dtype=torch.bool).scatter_(2, index.detach().topk(c.index_top_k, 2).indices, True)
                mask = (kept & seen[None])[:, :, None]
        powers = torch.exp(scores.float() * c.head_dim ** -0.5)
        return torch.where(mask, powers, 0.0), torch.where(seen[None, :, None], powers.detach(), 0.0), entries, index, seen

    def forward(self, x, cos, sin, rounding, select):
        """-> output [B, T, D], index loss (scalar)."""
        c = self.c
        batch, tokens, _ = x.shape
        cos_t, sin_t = cos[:tokens], sin[:tokens]
        qr = rms_norm(linear(x, self.wq_a), self.q_norm, c.norm_eps)
        q = linear(qr, self.wq_b).unflatten(-1, (c.heads, c.head_dim))
        q = rotate(unit_rms(q, c.norm_eps).to(x.dtype), cos_t[:, None], sin_t[:, None])
        kv = rotate(rms_norm(linear(x, self.wkv), self.kv_norm, c.norm_eps), cos_t, sin_t)
        if rounding:
            kv = round_kv(kv, c.rope_dim)
        near, keys = self.window_part(q, kv)
        near = near.to(x.dtype)
        total = near.float().sum(-1) + torch.exp(self.attn_sink.float())
        out = torch.matmul(near.reshape(keys.shape[0], -1, keys.shape[1]), keys).view(batch, tokens, c.heads, c.head_dim).float()
        loss = x.new_zeros((), dtype=torch.float32)
        if self.ratio:
            before = total.detach()
            far, visible, entries, index, seen = self.compressed_part(q, x, qr, cos, sin, rounding, select)
            far = far.to(x.dtype)
            total = total + far.float().sum(-1)
            out = out + torch.matmul(far.flatten(1, 2), entries).view(batch, tokens, c.heads, c.head_dim).float()
            if index is not None:
                # The target is the attention over all entries: one that the indexer leaves out can still be learnt.
                wanted = (visible / (before + visible.sum(-1))[..., None]).sum(2)
                loss = -(wanted * torch.log_softmax(index, -1).masked_fill(~seen[None], 0.0)).sum(-1).mean() / c.heads
        out = rotate((out / total[..., None]).to(x.dtype), cos_t[:, None], -sin_t[:, None])
        grouped = out.reshape(batch, tokens, c.out_groups, -1)
        low = torch.cat([linear(grouped[:, :, g], self.wo_a[g * c.out_rank:(g + 1) * c.out_rank]) for g in range(c.out_groups)], -1)
        return linear(low, self.wo_b), loss


class Expert(nn.Module):
    def __init__(self, hidden, width, leading=()):
        super().__init__()
        self.w1 = nn.Parameter(torch.zeros(*leading, width, hidden))
        self.w3 = nn.Parameter(torch.zeros(*leading, width, hidden))
        self.w2 = nn.Parameter(torch.zeros(*leading, hidden, width))


class Gate(nn.Module):
    def __init__(self, c, hashed):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(c.experts, c.hidden))
        if hashed:
            self.register_buffer("tid2eid", torch.zeros(c.vocab, c.experts_used, dtype=torch.long))
        else:
            self.register_buffer("bias", torch.zeros(c.experts))


class MoE(nn.Module):
    def __init__(self, c, hashed):
        super().__init__()
        self.c, self.hashed = c, hashed
        self.gate = Gate(c, hashed)
        self.experts = Expert(c.hidden, c.expert_width, (c.experts,))
        self.shared_experts = Expert(c.hidden, c.expert_width)

    def route(self, x, ids):
        """x [N, D] -> weights [N, experts], zero for experts not chosen, and the tokens each expert got [experts]."""
        c = self.c
        score = torch.sqrt(F.softplus(linear(x, self.gate.weight).float()))
        number = torch.arange(c.experts, device=x.device)
        if self.hashed:
            chosen = (self.gate.tid2eid[ids][..., None] == number).any(-2)
        else:
            value = score + self.gate.bias
            ahead = (value[..., None, :] > value[..., None]) | ((value[..., None, :] == value[..., None]) & (number[None] < number[:, None]))
            chosen = ahead.sum(-1) < c.experts_used
        kept = score * chosen
        return kept / kept.sum(-1, keepdim=True) * c.routed_scale, chosen.flatten(0, -2).sum(0)

    def forward(self, x, ids):
        c = self.c
        weight, load = self.route(x, ids)
        w1 = torch.cat([self.experts.w1.flatten(0, 1), self.shared_experts.w1])
        w3 = torch.cat([self.experts.w3.flatten(0, 1), self.shared_experts.w3])
        w2 = torch.cat([self.experts.w2.transpose(1, 2).flatten(0, 1), self.shared_experts.w2.t()])
        gate = linear(x, w1).float().clamp(max=c.swiglu_limit)
        up = linear(x, w3).float().clamp(-c.swiglu_limit, c.swiglu_limit)
        weight = torch.cat([weight, torch.ones_like(weight[..., :1])], -1)
        inner = (F.silu(gate) * up).unflatten(-1, (c.experts + 1, c.expert_width)) * weight[..., None]
        return torch.matmul(inner.flatten(-2).to(x.dtype), w2.to(x.dtype)), load


def read_streams(streams, fn, base, scale, norm, norm_eps, hc_eps):
    """streams [N, M, D] -> sublayer input after its RMSNorm [N, D], post [N, M], mixing logits [N, M, M]."""
    m = streams.shape[-2]
    flat = streams.flatten(-2)
    mixed = linear(flat, fn).float() * torch.rsqrt(flat.float().square().mean(-1, keepdim=True) + norm_eps)
    pre = torch.sigmoid(scale[0] * mixed[:, :m] + base[:m]) + hc_eps
    post = 2 * torch.sigmoid(scale[1] * mixed[:, m:2 * m] + base[m:2 * m])
    logits = scale[2] * mixed[:, 2 * m:] + base[2 * m:]
    x = (pre[..., None] * streams.float()).sum(-2)
    return rms_norm(x, norm, norm_eps).to(streams.dtype), post, logits.unflatten(-1, (m, m))


def sinkhorn(logits, eps, iterations):
    """[N, M, M] -> the mixing matrix, rows normalised before columns. Never compiled: its fused form takes minutes to build
    (sinkhorn_kernel.py is the GPU's)."""
    comb = torch.softmax(logits, -1) + eps
    for step in range(iterations):
        if step:
            comb = comb / (comb.sum(-1, keepdim=True) + eps)
        comb = comb / (comb.sum(-2, keepdim=True) + eps)
    return comb


def write_streams(output, streams, post, comb):
    """New streams [N, M, D]: post[k] * output + sum over j of comb[j, k] * streams[j]."""
    size = range(streams.shape[-2])
    old = [streams[:, j].float() for j in size]
    new = [post[:, k, None] * output.float() + sum(comb[:, j, k, None] * old[j] for j in size) for k in size]
    return torch.stack(new, 1).to(streams.dtype)


class Mixer(nn.Module):
    """The parameters of one hyper-connection."""

    def __init__(self, c):
        super().__init__()
        m = c.streams
        self.fn = nn.Parameter(torch.zeros((2 + m) * m, m * c.hidden))
        self.base = nn.Parameter(torch.zeros((2 + m) * m))
        self.scale = nn.Parameter(torch.ones(3))


class Layer(nn.Module):
    # train.py replaces these by compiled versions, once for all layers.
    read, write, mix = staticmethod(read_streams), staticmethod(write_streams), staticmethod(sinkhorn)

    def __init__(self, c, ratio, hashed):
        super().__init__()
        self.c = c
        self.hc_attn, self.hc_ffn = Mixer(c), Mixer(c)
        self.attn_norm = nn.Parameter(torch.ones(c.hidden))
        self.ffn_norm = nn.Parameter(torch.ones(c.hidden))
        self.attn, self.ffn = Attention(c, ratio), MoE(c, hashed)

    def enter(self, streams, mixer, norm):
        x, post, logits = Layer.read(streams, mixer.fn, mixer.base, mixer.scale, norm, self.c.norm_eps, self.c.hc_eps)
        return x, post, Layer.mix(logits, self.c.hc_eps, self.c.sinkhorn)

    def forward(self, streams, ids, cos, sin, rounding: bool, select: bool):
        """streams [B * T, M, D], ids [B, T] -> streams, index loss, expert load [experts]."""
        x, post, comb = self.enter(streams, self.hc_attn, self.attn_norm)
        out, loss = self.attn(x.view(*ids.shape, -1), cos, sin, rounding, select)
        streams = Layer.write(out.flatten(0, 1), streams, post, comb)
        x, post, comb = self.enter(streams, self.hc_ffn, self.ffn_norm)
        out, load = self.ffn(x, ids.flatten())
        return Layer.write(out, streams, post, comb), loss, load


class Head(nn.Module):
    """Collapses the streams: hc_head_* of the trunk or of the prediction block."""

    def __init__(self, c):
        super().__init__()
        self.c = c
        self.fn = nn.Parameter(torch.zeros(c.streams, c.streams * c.hidden))
        self.base = nn.Parameter(torch.zeros(c.streams))
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, streams, norm):
        flat = streams.flatten(-2)
        mixed = linear(flat, self.fn).float() * torch.rsqrt(flat.float().square().mean(-1, keepdim=True) + self.c.norm_eps)
        weight = torch.sigmoid(self.scale * mixed + self.base) + self.c.hc_eps
        return rms_norm((weight[..., None] * streams.float()).sum(-2).to(streams.dtype), norm, self.c.norm_eps)


class PredictionBlock(Layer):
    """mtp.0: a window-only layer over the trunk's streams joined with the next token's embedding."""

    def __init__(self, c):
        super().__init__(c, 0, False)
        self.e_proj = nn.Parameter(torch.zeros(c.hidden, c.hidden))
        self.h_proj = nn.Parameter(torch.zeros(c.hidden, c.hidden))
        self.enorm = nn.Parameter(torch.ones(c.hidden))
        self.hnorm = nn.Parameter(torch.ones(c.hidden))
        self.norm = nn.Parameter(torch.ones(c.hidden))
        self.hc_head = Head(c)

    def join(self, streams, embedded):
        joined = linear(rms_norm(embedded, self.enorm, self.c.norm_eps), self.e_proj)
        return joined[..., None, :] + linear(rms_norm(streams, self.hnorm, self.c.norm_eps), self.h_proj)


class Model(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.embed = nn.Parameter(torch.zeros(c.vocab, c.hidden))
        self.head = nn.Parameter(torch.zeros(c.vocab, c.hidden))
        self.norm = nn.Parameter(torch.ones(c.hidden))
        self.hc_head = Head(c)
        self.layers = nn.ModuleList(Layer(c, r, l < c.hash_layers) for l, r in enumerate(c.ratios))
        self.mtp = nn.ModuleList(PredictionBlock(c) for _ in range(c.mtp_blocks))
        self.tables = {}

    def rope(self, tokens, compressed, device):
        key = (tokens, compressed)
        if key not in self.tables:
            angle = torch.arange(tokens, dtype=torch.float32)[:, None] * rope_frequencies(self.c, compressed)
            self.tables[key] = (torch.cos(angle.double()).float().to(device), torch.sin(angle.double()).float().to(device))
        return self.tables[key]

    def forward(self, ids, dtype=torch.float32, rounding=True, select=True):
        """ids [B, T] (T a multiple of the attention block) -> hidden [B, T, D], draft hidden or None, index loss, loads.

        Draft row i is the prediction block over (streams i, token i + 1): a guess of token i + 2; its last row is junk.
        """
        streams = F.embedding(ids.flatten(), self.embed).to(dtype)[:, None].expand(-1, self.c.streams, -1).contiguous()
        losses, loads = [], []
        for layer, ratio in zip(self.layers, self.c.ratios):
            cos, sin = self.rope(ids.shape[1], ratio != 0, ids.device)
            streams, loss, load = layer(streams, ids, cos, sin, rounding, select)
            losses.append(loss)
            loads.append(load)
        hidden, draft = self.hc_head(streams, self.norm), None
        for block in self.mtp[:1]:
            cos, sin = self.rope(ids.shape[1], False, ids.device)
            following = torch.roll(ids, -1, 1)
            joined = block.join(streams, F.embedding(following.flatten(), self.embed).to(dtype))
            out, _, load = block(joined, following, cos, sin, rounding, select)
            loads.append(load)
            draft = block.hc_head(out, block.norm).view(*ids.shape, -1)
        return hidden.view(*ids.shape, -1), draft, sum(losses), loads
