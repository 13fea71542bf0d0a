"""Byte-level BPE of the family: three isolating splits, byte map, merges. Training, encoding, tokenizer.json."""
import heapq
import json
import re
from collections import Counter, defaultdict

import regex

BAR = "\uff5c"
MARK = lambda name: f"<{BAR}{name}{BAR}>"
BOS, EOS, USER, ASSISTANT = MARK("begin\u2581of\u2581sentence"), MARK("end\u2581of\u2581sentence"), MARK("User"), MARK("Assistant")
THINK, UNTHINK, DSML = "<think>", "</think>", f"{BAR}DSML{BAR}"
SPECIALS = [BOS, EOS, USER, ASSISTANT, THINK, UNTHINK, DSML, MARK("latest_reminder"), *map(MARK, (
    "action", "query", "authority", "domain", "title", "extracted_url", "read_url", "deepseek_image"))]

SPLITS = (
    r"\p{N}{1,3}",
    "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
)
NUMBERS = regex.compile(f"({SPLITS[0]})")
CJK = regex.compile(f"({SPLITS[1]})")
WORDS = regex.compile(SPLITS[2])
# A single space between two other characters always begins a piece, whatever follows: text may be cut there.
CUTS = re.compile(r"(?<=\S) (?=\S)")
CACHE_ENTRIES = 400_000


def byte_characters():
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table, extra = {b: chr(b) for b in plain}, 0
    for b in range(256):
        if b not in table:
            table[b], extra = chr(256 + extra), extra + 1
    return table


BYTE_CHARS = byte_characters()


def words_of(text):
    """P3 over one piece; unmatched stretches stay pieces."""
    pieces, end = [], 0
    for match in WORDS.finditer(text):
        if match.start() > end:
            pieces.append(text[end:match.start()])
        pieces.append(match.group())
        end = match.end()
    return pieces + [text[end:]] if end < len(text) else pieces


def pieces_of(text):
    found = []
    for i, part in enumerate(NUMBERS.split(text)):
        if not part:
            continue
        if i % 2:
            found.append(part)
        elif part.isascii():
            found += words_of(part)
        else:
            for stretch in CJK.split(part):
                found += words_of(stretch) if stretch else []
    return found


def mapped(piece):
    return tuple(BYTE_CHARS[b] for b in piece.encode())


def train(piece_counts, merges_wanted):
    """Merges by falling pair count (ties: the smaller pair). Digits never merge: numbers stay digit by digit."""
    words = [[list(mapped(piece)), count] for piece, count in sorted(piece_counts.items()) if not any(ch.isdigit() for ch in piece)]
    counts, places = Counter(), defaultdict(set)
    for i, (symbols, count) in enumerate(words):
        for pair in zip(symbols, symbols[1:]):
            counts[pair] += count
            places[pair].add(i)
    heap = [(-n, pair) for pair, n in counts.items()]
    heapq.heapify(heap)
    merges, made = [], set(BYTE_CHARS.values())
    while heap and len(merges) < merges_wanted:
        negative, pair = heapq.heappop(heap)
        if counts[pair] != -negative or not counts[pair]:
            continue
        joined = pair[0] + pair[1]
        touched = set()
        for i in places[pair]:
            symbols, count = words[i]
            for other in zip(symbols, symbols[1:]):
                counts[other] -= count
                touched.add(other)
            merged, j = [], 0
            while j < len(symbols):
                if j + 1 < len(symbols) and (symbols[j], symbols[j + 1]) == pair:
                    merged.append(joined)
                    j += 2
                else:
                    merged.append(symbols[j])
                    j += 1
            words[i][0] = merged
            for other in zip(merged, merged[1:]):
                counts[other] += count
                places[other].add(i)
                touched.add(other)
        for other in touched:
            if counts[other] > 0:
                heapq.heappush(heap, (-counts[other], other))
        if joined not in made:
            made.add(joined)
            merges.append(pair)
    return merges


def write_tokenizer(path, merges):
    vocab = {text: i for i, text in enumerate(SPECIALS)}
    for char in [BYTE_CHARS[b] for b in range(256)] + [a + b for a, b in merges]:
        vocab[char] = len(vocab)
    steps = [{"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False} for pattern in SPLITS]
    steps[2]["pattern"]["Regex"] = SPLITS[2].replace('\\"', '"')
    steps.append({"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False})
    added = [{"id": i, "content": text, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
             for i, text in enumerate(SPECIALS)]
    document = {"version": "1.0", "added_tokens": added, "normalizer": None,
                "pre_tokenizer": {"type": "Sequence", "pretokenizers": steps},
                "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
                "model": {"type": "BPE", "vocab": vocab, "merges": [f"{a} {b}" for a, b in merges]}}
    with open(path, "w", encoding="utf-8") as out:
        json.dump(document, out, ensure_ascii=False, separators=(",", ":"))
        out.write("\n")


class Tokenizer:
    def __init__(self, path):
        model = json.load(open(path, encoding="utf-8"))["model"]
        self.ids = model["vocab"]
        self.ranks = {tuple(merge.split(" ")): rank for rank, merge in enumerate(model["merges"])}
        self.special = {text: self.ids[text] for text in SPECIALS}
        self.cache = {}

    def piece(self, piece):
        symbols = list(mapped(piece))
        while len(symbols) > 1:
            rank, at = min((self.ranks.get(pair, 1 << 30), i) for i, pair in enumerate(zip(symbols, symbols[1:])))
            if rank == 1 << 30:
                break
            symbols[at:at + 2] = [symbols[at] + symbols[at + 1]]
        return [self.ids[s] for s in symbols]

    def encode(self, text):
        """Ids of plain text."""
        found, cache, head = [], self.cache, True
        for chunk in CUTS.split(text):
            chunk = chunk if head else " " + chunk
            head = False
            ids = cache.get(chunk)
            if ids is None:
                ids = [i for piece in pieces_of(chunk) for i in self.piece(piece)]
                if len(cache) < CACHE_ENTRIES:
                    cache[chunk] = ids
            found += ids
        return found

    def decode(self, ids):
        if not hasattr(self, "texts"):
            back = {char: b for b, char in BYTE_CHARS.items()}
            special = set(self.special.values())
            self.texts = {i: text.encode() if i in special else bytes(back[ch] for ch in text) for text, i in self.ids.items()}
        return b"".join(self.texts[int(i)] for i in ids).decode("utf-8", "replace")
