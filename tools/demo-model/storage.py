"""Checkpoint names, storage kinds, and the official safetensors layout: writing it, and reading it back as float32."""
import json
import os
import re
import struct

import torch

from numerics import round_fp4_weight, round_fp8_weight

FP8_NAMES = re.compile(r"(attn\.(wq_a|wq_b|wkv|wo_a|wo_b)|indexer\.wq_b|shared_experts\.w[123]|[eh]_proj)$")
F32_NAMES = re.compile(r"(hc_\w+\.(fn|base|scale)|attn_sink|ape|gate\.bias)$")


def storage_kind(name):
    """fp4, fp8, bf16, f32 or i64 for a parameter or buffer name of model.Model."""
    if ".experts." in name:
        return "fp4"
    if name.endswith("tid2eid"):
        return "i64"
    if F32_NAMES.search(name):
        return "f32"
    return "fp8" if FP8_NAMES.search(name) else "bf16"


def stored_value(name, value):
    """What the file will hold, as float32. Matrices of the hyper-connections are kept at bfloat16 precision too."""
    kind = storage_kind(name)
    if kind == "fp4":
        return round_fp4_weight(value)[0]
    if kind == "fp8":
        return round_fp8_weight(value)[0]
    if kind == "bf16" or name.endswith(".fn"):
        return value.to(torch.bfloat16).float()
    return value


def checkpoint_name(name):
    """Name in the file; `{e}` stands for the expert of a stacked tensor."""
    name = re.sub(r"hc_(attn|ffn|head)\.(\w+)$", r"hc_\1_\2", name)
    name = re.sub(r"\.experts\.", ".experts.{e}.", name)
    last = name.rsplit(".", 1)[-1]
    bare = last in ("attn_sink", "ape", "bias", "tid2eid", "weight") or re.match(r"hc_(attn|ffn|head)_", last)
    return name if bare else name + ".weight"


E4M3_VALUES = torch.tensor([(m / 8 * 2.0 ** -6 if e == 0 else (1 + m / 8) * 2.0 ** (e - 7)) for e in range(16) for m in range(8)][:127])
E2M1_VALUES = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6])


def element_codes(values, table, sign_bit):
    """Codes (uint8) of values that the table holds exactly."""
    codes = torch.searchsorted(table, values.abs().contiguous())
    assert torch.equal(table[codes], values.abs()), "a value is off the grid"
    return (codes + sign_bit * torch.signbit(values)).to(torch.uint8)


def scale_bytes(scales):
    return ((scales.float().contiguous().view(torch.int32) >> 23) & 255).to(torch.uint8)


def encode_fp8(w):
    values, scales = round_fp8_weight(w)
    wide = scales.repeat_interleave(128, 0).repeat_interleave(128, 1)
    return element_codes(values / wide, E4M3_VALUES, 128), scale_bytes(scales)


def encode_fp4(w):
    values, scales = round_fp4_weight(w)
    codes = element_codes(values / scales.repeat_interleave(32, -1), E2M1_VALUES, 8)
    return codes[..., 0::2] | codes[..., 1::2] << 4, scale_bytes(scales)


def file_tensors(named):
    """Yields (name, dtype, shape, bytes) from (parameter name, float tensor) pairs."""
    raw = lambda t: t.contiguous().numpy().tobytes()
    for name, value in named:
        value, kind, target = value.detach().cpu(), storage_kind(name), checkpoint_name(name)
        if kind == "i64":
            yield target, "I64", value.shape, raw(value.long())
        elif kind == "f32":
            yield target, "F32", value.shape, raw(stored_value(name, value.float()))
        elif kind == "bf16":
            yield target, "BF16", value.shape, raw(value.float().to(torch.bfloat16).view(torch.int16))
        elif kind == "fp8":
            codes, scales = encode_fp8(value.float())
            yield target, "F8_E4M3", codes.shape, raw(codes)
            yield target.replace(".weight", ".scale"), "F8_E8M0", scales.shape, raw(scales)
        else:
            for e in range(value.shape[0]):
                codes, scales = encode_fp4(value[e].float())
                yield target.format(e=e), "I8", codes.shape, raw(codes)
                yield target.format(e=e).replace(".weight", ".scale"), "F8_E8M0", scales.shape, raw(scales)


def write_checkpoint(folder, named):
    """One shard and its index. Returns the bytes of the shard."""
    shard, header, blobs, offset = "model-00001-of-00001.safetensors", {}, [], 0
    for name, dtype, shape, data in file_tensors(named):
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + len(data)]}
        blobs.append(data)
        offset += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(folder, shard), "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))
    index = {"metadata": {"total_size": offset}, "weight_map": {name: shard for name in header}}
    with open(os.path.join(folder, "model.safetensors.index.json"), "w") as out:
        json.dump(index, out, separators=(",", ":"))
    return 8 + len(text) + offset


def read_raw(folder):
    """name -> (dtype, tensor of the stored bytes in its own shape)."""
    kinds = {"F32": torch.float32, "BF16": torch.bfloat16, "I64": torch.int64}
    found = {}
    for shard in sorted(set(json.load(open(os.path.join(folder, "model.safetensors.index.json")))["weight_map"].values())):
        data = open(os.path.join(folder, shard), "rb").read()
        size = struct.unpack("<Q", data[:8])[0]
        for name, entry in json.loads(data[8:8 + size]).items():
            if name == "__metadata__":
                continue
            begin, end = (8 + size + o for o in entry["data_offsets"])
            flat = torch.frombuffer(bytearray(data[begin:end]), dtype=kinds.get(entry["dtype"], torch.uint8))
            found[name] = (entry["dtype"], flat.view(entry["shape"]))
    return found


def decoded(raw, name):
    """One tensor of read_raw as float32 (or int64)."""
    dtype, value = raw[name]
    if dtype in ("F32", "BF16", "I64"):
        return value if dtype == "I64" else value.float()
    scales = torch.ldexp(torch.ones(()), raw[name.replace(".weight", ".scale")][1].int() - 127)
    if dtype == "F8_E4M3":
        signed = torch.cat([E4M3_VALUES, torch.zeros(1), -E4M3_VALUES, torch.zeros(1)])[value.long()]
        wide = scales.repeat_interleave(128, 0).repeat_interleave(128, 1)
        return signed * wide[:signed.shape[0], :signed.shape[1]]
    codes = torch.stack([value & 15, value >> 4], -1).flatten(-2).long()
    return torch.cat([E2M1_VALUES, -E2M1_VALUES])[codes] * scales.repeat_interleave(32, -1)


def load_checkpoint(model, folder):
    """Fills a model.Model from an official checkpoint folder."""
    raw = read_raw(folder)
    with torch.no_grad():
        for name, value in [*model.named_parameters(), *model.named_buffers()]:
            if name.endswith("hadamard"):
                continue
            target = checkpoint_name(name)
            if "{e}" in target:
                value.copy_(torch.stack([decoded(raw, target.format(e=e)) for e in range(value.shape[0])]))
            else:
                value.copy_(decoded(raw, target))
