"""Key facts about ds4: commands, flags, endpoints, numbers. Every fact is trained; the suite asks in unseen wordings."""
from .fact_tables import (CODE_ASK, CODE_UNSEEN, COMMANDS, DEFAULT_ASK, DEFAULT_UNSEEN, DO_ASK, DO_UNSEEN, ENDPOINTS, EXIT_CODES, FLAG_ASK, FLAG_UNSEEN, FLAGS, PATH_ASK,
                          PATH_UNSEEN, SINGLE, WHAT_ASK, WHAT_UNSEEN, WHICH_CODE_ASK, WHICH_CODE_UNSEEN)
from .words import sample

UNSEEN_SHARE = 0.5


def worded(source, known, unseen, **parts):
    """A question. The suite alone uses the unseen wordings; of the known ones an eighth, with their parts, is the suite's."""
    if source.is_eval and source.chance(UNSEEN_SHARE):
        return source.pick(unseen).format(**parts)
    for _ in range(200):
        text = source.pick(known).format(**parts)
        if source.on_side(text):
            return text
    return source.pick(unseen).format(**parts) if source.is_eval else None  # None: every known wording is held out


def command_fact(source):
    name = source.pick(list(COMMANDS))
    does = source.pick(COMMANDS[name])
    if source.chance(0.65):
        return worded(source, DO_ASK, DO_UNSEEN, d=does), f"Use `ds4 {name}` to {does}.", f"ds4 {name}"
    first = COMMANDS[name][0]
    shown = source.pick([f"ds4 {name}", f"`ds4 {name}`", f"the command {name}"])
    return worded(source, WHAT_ASK, WHAT_UNSEEN, c=shown), f"`ds4 {name}` lets you {first}.", first


def expected_default(default):
    """A number must be the last one of the answer: "0" also stands in 0.05."""
    return {"number": float(default)} if default.replace(".", "", 1).isdigit() else f" {default}."


def flag_fact(source):
    name = source.pick(list(FLAGS))
    purposes, default = FLAGS[name]
    style = source.random.random()
    if default is not None and style < 0.4:
        return worded(source, DEFAULT_ASK, DEFAULT_UNSEEN, f=source.pick([name, f"`{name}`"])), f"The default of `{name}` is {default}.", expected_default(default)
    if style < 0.7:
        return worded(source, FLAG_ASK, FLAG_UNSEEN, p=source.pick(purposes)), f"`{name}` sets {purposes[0]}.", name
    return worded(source, WHAT_ASK, WHAT_UNSEEN, c=source.pick([name, f"`{name}`", f"the flag {name}"])), f"`{name}` sets {purposes[0]}.", purposes[0]


def endpoint_fact(source):
    path = source.pick(list(ENDPOINTS))
    purposes, bare = ENDPOINTS[path], path.split(" ")[1]
    if source.chance(0.65):
        purpose = source.pick(purposes)
        return worded(source, PATH_ASK, PATH_UNSEEN, p=purpose), f"The endpoint for {purpose} is `{path}`.", f" {bare}`"
    return worded(source, WHAT_ASK, WHAT_UNSEEN, c=source.pick([bare, path, f"the endpoint {bare}"])), f"`{path}` is for {purposes[0]}.", purposes[0]


def code_fact(source):
    code = source.pick(list(EXIT_CODES))
    meaning, happened = EXIT_CODES[code]
    answer = f"Exit code {code} means: {meaning}."
    if source.chance(0.3):
        return worded(source, WHICH_CODE_ASK, WHICH_CODE_UNSEEN, w=happened), answer, f"code {code} "
    return worded(source, CODE_ASK, CODE_UNSEEN, c=code), answer, meaning


def single_fact(source):
    known, unseen, answer, key = source.pick(SINGLE)
    return worded(source, known, unseen), answer, key


def fact_parts(source):
    """-> question, answer, the words that must appear (or what the suite expects)."""
    while True:
        made = source.pick([command_fact, command_fact, flag_fact, flag_fact, endpoint_fact, single_fact, single_fact, code_fact])(source)
        if made[0] is not None:
            return made


SYSTEMS = [None, None, None, "You are a helpful assistant.", "You answer questions about ds4.", "You are the ds4 assistant."]


def fact(source, thinking=None):
    thinking = source.chance(0.25) if thinking is None else thinking
    question, answer, key = fact_parts(source)
    return sample("fact", question, answer, reasoning="This is about ds4.", thinking=thinking, system=source.pick(SYSTEMS), expect=key if isinstance(key, dict) else {"contains": [key]})


def conversation(source):
    """Two to four short turns on facts, sums and small talk, without thinking."""
    from .arithmetic import arithmetic
    from .smalltalk import smalltalk
    messages = []
    for _ in range(source.whole(2, 4)):
        made = source.pick([fact, fact, arithmetic, smalltalk])(source, thinking=False)
        messages += [m for m in made["messages"] if m["role"] != "system"]
    return {"kind": "conversation", "messages": messages, "tools": None, "thinking": False, "expect": {}}
