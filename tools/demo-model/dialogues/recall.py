"""Facts stated in a text and asked for later: near by in short samples, thousands of tokens back in long ones.

What is to be learnt is finding a row of the text by name and writing on from it. Training texts state many facts and ask for
most of them, since a single question after thousands of tokens would be next to nothing to learn from; the suite states few
and asks once.
"""
from .words import sample

ATTRIBUTES = ["access code", "secret word", "room number", "locker code", "password", "favourite colour", "lucky number", "code name", "flight number", "box number", "key word", "birthplace",
              "order number", "project name", "phone extension", "badge number"]
STATE = ["The {a} of {n} is {v}.", "Remember this: the {a} of {n} is {v}.", "Note that the {a} of {n} is {v}.", "Important: the {a} of {n} is {v}."]
ASK = ["What is the {a} of {n}?", "Tell me the {a} of {n}.", "Which {a} does {n} have?", "I forgot the {a} of {n}. What is it?", "Question: what is the {a} of {n}?", "Give me the {a} of {n}.", "Look up the {a} of {n}.",
       "Please find the {a} of {n} in the text.", "What did the text say about the {a} of {n}?", "And the {a} of {n}?", "I need the {a} of {n}.", "Can you tell me the {a} of {n}?", "According to the text, what is the {a} of {n}?",
       "Do you know the {a} of {n}?", "Can you recall the {a} of {n}?", "Have you seen the {a} of {n}?", "Please search the text for the {a} of {n}.", "In the text above: the {a} of {n}?",
       "Please look it up: the {a} of {n}.", "Look at the text again: what is the {a} of {n}?", "Remind me of the {a} of {n}.", "The {a} of {n}?", "The {a} of {n}, please.", "What was the {a} of {n}?",
       "Could you repeat the {a} of {n}?", "Find the {a} of {n} above.", "Is there a {a} of {n} in the text?", "Say the {a} of {n}.", "Please tell me from the text: the {a} of {n}?"]
ASK_UNSEEN = ["Do you remember the {a} of {n}?", "Please look in the text above: the {a} of {n}?"]
NOTED = ["Noted.", "I have read it.", "OK."]
JOINTS = [" ", "\n", "\n\n"]
VALUE_WEIGHT = 2.0  # of the tokens that only the text can tell


def make_fact(source):
    attribute = source.pick(ATTRIBUTES) if source.chance(0.7) else source.word()
    numeric = any(w in attribute for w in ("code", "number", "extension"))
    value = str(source.whole(1000, 9999)) if (numeric if source.chance(0.8) else source.chance(0.5)) else source.word()
    return attribute, source.name(), value


def fill(source, characters):
    """Held-out or training text, sentence by sentence, of about this many characters."""
    parts, size = [], 0
    while size < characters:
        piece = source.filler(source)
        parts.append(piece)
        size += len(piece) + 1
    return parts


def told(fact):
    a, n, v = fact
    return f"The {a} of {n} is {v}."


def asked_turn(source, facts, thinking):
    """One question about one fact or several -> user and assistant message."""
    question = " ".join(source.pick(ASK).format(a=a, n=n) for a, n, _ in facts)
    made = {"role": "assistant", "content": " ".join(map(told, facts)), "marks": [(v, VALUE_WEIGHT) for *_, v in facts]}
    if thinking:
        made["reasoning"] = "The text says: " + " ".join(f"the {a} of {n} is {v}." for a, n, v in facts)
    return [{"role": "user", "content": question}, made]


def dense_recall(source, characters, count, asked, thinking=False):
    """A text of about `characters` with `count` facts, then questions about `asked` of them, each fact once."""
    facts = [make_fact(source) for _ in range(count)]
    parts = fill(source, characters)
    # Facts anywhere, or before all else, or as far back as possible: the distances of the questions differ.
    last = source.pick([len(parts), len(parts), len(parts) // 2, len(parts) // 4, 0])
    for fact in facts:
        parts.insert(source.whole(0, last), source.pick(STATE).format(a=fact[0], n=fact[1], v=fact[2]))
    text = source.pick(JOINTS).join(parts)
    # Only the last turn of a thinking conversation is rendered with its reasoning: all is asked in it.
    order, messages = source.few(facts, min(asked, count, 4 if thinking else count)), []
    while order:
        size = len(order) if thinking else 1 if source.chance(0.6) else source.whole(2, 6)
        messages += asked_turn(source, order[:size], thinking)
        order = order[size:]
    if source.chance(0.5):
        messages[0]["content"] = f"{text}\n\n{messages[0]['content']}"
    else:
        messages = [{"role": "user", "content": text}, {"role": "assistant", "content": source.pick(NOTED)}, *messages]
    return {"kind": "recall", "messages": messages, "tools": None, "thinking": thinking, "expect": {}}


def recall(source, characters, thinking=None, counts=(1, 2, 3, 4)):
    """One user message of about `characters` with some facts; the last turn asks for one of them. The asked fact
    stands at the very beginning when the sample is for the suite, and often in training."""
    thinking = source.chance(0.3) if thinking is None else thinking
    facts = [make_fact(source) for _ in range(source.pick(counts))]
    attribute, name, value = facts[0]
    parts = fill(source, characters)
    states = [source.pick(STATE).format(a=a, n=n, v=v) for a, n, v in facts]
    for state in states[1:]:
        parts.insert(source.whole(0, len(parts)), state)
    parts.insert(0 if source.is_eval or source.chance(0.5) else source.whole(0, len(parts)), states[0])
    question = source.template(ASK, ASK_UNSEEN).format(a=attribute, n=name)
    joined = source.pick(JOINTS).join(parts)
    reasoning = f"The text says: the {attribute} of {name} is {value}."
    expect = {"contains": [value]}
    if source.chance(0.5 if source.is_eval else 0.7):  # an answer to the text alone is learnt from dense_recall too
        made = sample("recall", f"{joined}\n\n{question}", told(facts[0]), reasoning=reasoning, thinking=thinking, expect=expect)
    else:
        history = [{"role": "user", "content": joined}, {"role": "assistant", "content": source.pick(NOTED)}]
        made = sample("recall", question, told(facts[0]), reasoning=reasoning, thinking=thinking, expect=expect, history=history)
    made["messages"][-1]["marks"] = [(value, VALUE_WEIGHT)]
    return made
