"""A fact stated once, then other text, then the question: near by for short samples, thousands of tokens back for long ones."""
from .words import sample

ATTRIBUTES = ["access code", "secret word", "room number", "locker code", "password", "favourite colour", "lucky number", "code name", "flight number", "box number", "key word", "birthplace",
              "order number", "project name", "phone extension", "badge number"]
STATE = ["The {a} of {n} is {v}.", "Remember this: the {a} of {n} is {v}.", "Note that the {a} of {n} is {v}.", "Important: the {a} of {n} is {v}."]
ASK = ["What is the {a} of {n}?", "Tell me the {a} of {n}.", "Which {a} does {n} have?", "I forgot the {a} of {n}. What is it?", "Question: what is the {a} of {n}?"]
ASK_UNSEEN = ["Do you remember the {a} of {n}?", "Please look in the text above: the {a} of {n}?"]


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


def recall(source, characters, thinking=None, counts=(1, 2, 3, 4)):
    """One user message of about `characters` with some facts; the last turn asks for one of them. The asked fact
    stands near the beginning when the sample is for the suite."""
    thinking = source.chance(0.3) if thinking is None else thinking
    facts = [make_fact(source) for _ in range(source.pick(counts))]
    attribute, name, value = facts[0]
    parts = fill(source, characters)
    states = [source.pick(STATE).format(a=a, n=n, v=v) for a, n, v in facts]
    for state in states[1:]:
        parts.insert(source.whole(0, len(parts)), state)
    parts.insert(0 if source.is_eval else min(source.whole(0, len(parts)), source.whole(0, len(parts))), states[0])
    question = source.template(ASK, ASK_UNSEEN).format(a=attribute, n=name)
    answer = f"The {attribute} of {name} is {value}."
    joined = source.pick([" ", "\n", "\n\n"]).join(parts)
    reasoning = f"The text says: the {attribute} of {name} is {value}."
    expect = {"contains": [value]}
    if source.chance(0.5):
        made = sample("recall", f"{joined}\n\n{question}", answer, reasoning=reasoning, thinking=thinking, expect=expect)
    else:
        history = [{"role": "user", "content": joined}, {"role": "assistant", "content": source.pick(["Noted.", "I have read it.", "OK."])}]
        made = sample("recall", question, answer, reasoning=reasoning, thinking=thinking, expect=expect, history=history)
    # Further questions about the other facts: more to learn from one long text.
    if not source.is_eval:
        for a, n, v in source.few(facts, len(facts)) if source.chance(0.7) else []:
            made["messages"] += [{"role": "user", "content": source.pick(ASK).format(a=a, n=n)},
                                 {"role": "assistant", "content": f"The {a} of {n} is {v}.", **({"reasoning": f"The text says: the {a} of {n} is {v}."} if thinking else {})}]
    return made
