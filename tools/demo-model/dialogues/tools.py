"""Conversations with declared tools: which one to call, with which arguments, when not to, and what to do with results.

Most tools are made up on the spot (names, parameters and values from words that do not exist), so the only way to
be right is to copy from the declaration and from the request.
"""
import json

from . import everyday
from .arithmetic import arithmetic
from .facts import fact
from .instructions import plain_question
from .smalltalk import smalltalk
from .words import sample

NOUNS = ["price", "status", "owner", "colour", "weight", "address", "balance", "schedule", "version", "temperature", "score", "level", "size", "speed",
         "capacity", "rating", "location", "code", "limit", "summary", "forecast", "route", "delay", "count"]
ENTITIES = ["city", "item", "user", "project", "device", "order", "room", "book", "server", "station", "team", "file", "ticket", "country", "product", "account"]
READ_VERBS = ["get", "find", "fetch", "read", "check", "show", "lookup", "query"]
ACT_VERBS = ["set", "create", "start", "stop", "send", "delete", "open", "close", "add", "remove", "book", "update", "move", "reset"]
# Verbs of one group could mean each other; a request with a verb of another group does not.
GROUPS = [{*READ_VERBS}, {"create", "add", "start", "open", "book"}, {"stop", "close", "delete", "remove"}, {"set", "update", "reset"}, {"send", "move"}]
EXTRA = ["amount", "count", "level", "priority", "limit", "distance", "unit", "mode", "format", "colour", "language", "date", "owner", "target", "reason", "size"]
VALUES = ["red", "blue", "green", "small", "large", "fast", "slow", "daily", "weekly", "short", "long", "metric", "imperial", "low", "high", "english", "german"]


def styled(source, words):
    style = source.pick(["snake", "snake", "snake", "camel", "kebab", "plain"])
    if style == "camel":
        return words[0] + "".join(w.capitalize() for w in words[1:])
    return {"snake": "_", "kebab": "-", "plain": ""}[style].join(words)


def value_of(source, parameter):
    kind = parameter["type"]
    if kind == "integer":
        return source.whole(0, source.pick([9, 99, 999, 9999]))
    if kind == "number":
        return round(source.whole(1, 999) / source.pick([2, 4, 5, 10]), 2)
    if kind == "boolean":
        return source.chance(0.5)
    if "enum" in parameter:
        return source.pick(parameter["enum"])
    style = source.random.random()
    if style < 0.55:
        return source.name()
    if style < 0.7:
        return f"{source.name()} {source.name()}"
    if style < 0.8:
        return f"{source.word()}-{source.whole(1, 99)}"
    if style < 0.9:
        return f"{source.word()}.{source.pick(['txt', 'md', 'json', 'py'])}"
    return source.word()


def make_parameter(source, taken):
    while True:
        name = source.pick(EXTRA) if source.chance(0.5) else source.word()
        if name not in taken:
            break
    kind = source.pick(["string", "string", "integer", "integer", "number", "boolean", "enum"])
    parameter = {"type": "string" if kind == "enum" else kind}
    if kind == "enum":
        parameter["enum"] = source.few(VALUES, 3) if source.chance(0.6) else [source.word() for _ in range(3)]
    if source.chance(0.6):
        parameter["description"] = source.pick(["The {n}.", "{N} to use.", "Value of the {n}."]).format(n=name, N=name.capitalize())
    return name, parameter


def group_of(verb):
    return next(i for i, verbs in enumerate(GROUPS) if verb in verbs)


def tool_name(source, verb, noun, entity):
    words = [verb, noun] if source.chance(0.7) else [verb, entity, noun]
    # Training alone: names that do not follow from what is asked, so that they must be read in the declaration.
    style = 1 if source.is_eval else source.random.random()
    if style < 0.12:
        words = [source.word(), *words]
    elif style < 0.24:
        words = [source.word()] if source.chance(0.5) else [source.word(), source.word()]
    elif style < 0.34:
        words = [noun, verb]
    return styled(source, words)


def make_tool(source, verb=None, noun=None, entity=None):
    """A declaration plus how people speak of it."""
    verb = verb or source.pick(READ_VERBS if source.chance(0.55) else ACT_VERBS)
    noun = noun or (source.pick(NOUNS) if source.chance(0.5) else source.word())
    entity = entity or (source.pick(ENTITIES) if source.chance(0.5) else source.word())
    first = {"type": "string"}
    if source.chance(0.7):
        first["description"] = source.pick(["The {e}.", "Name of the {e}.", "Which {e}."]).format(e=entity)
    properties = {entity: first}
    for _ in range(source.pick([0, 0, 1, 1, 2])):
        name, parameter = make_parameter(source, {*properties, noun})
        properties[name] = parameter
    description = source.pick([f"{verb.capitalize()} the {noun} of a {entity}.", f"{verb.capitalize()}s the {noun} of a {entity}.", f"Use this to {verb} the {noun} of a {entity}."])
    declaration = {"name": tool_name(source, verb, noun, entity), "description": description,
                   "parameters": {"type": "object", "properties": properties, "required": list(properties)}}
    return {"declaration": declaration, "verb": verb, "noun": noun, "entity": entity, "reads": verb in READ_VERBS}


def serves(tool, verb, noun):
    """Whether a tool could be meant by a request with this verb and noun."""
    return tool["noun"] == noun and group_of(tool["verb"]) == group_of(verb)


def spoken(name, value):
    if value is True:
        return f"with {name} on"
    if value is False:
        return f"with {name} off"
    return f"{name} {value}"


# "Look up" and the like say the same of any reading tool; the requests without a verb are for those too.
READ_ASK = ["What is the {n} of the {e} {v}{x}?", "Please {b} the {n} of the {e} {v}{x}.", "Tell me the {n} of {e} {v}{x}.", "{B} the {n} for the {e} {v}{x}.", "I need the {n} of the {e} {v}{x}.", "Can you {b} the {n} of {v}{x}?",
            "Which {n} does the {e} {v} have{x}?", "I want to know the {n} of {e} {v}{x}.", "Show me the {n} of the {e} {v}{x}.", "The {n} of the {e} {v}{x}, please.", "What {n} has the {e} {v}{x}?", "Give me the {n} for {e} {v}{x}."]
READ_UNSEEN = ["Could you give me the {n} of the {e} {v}{x}?", "I would like to know the {n} of {e} {v}{x}."]
ACT_ASK = ["Please {b} the {n} of the {e} {v}{x}.", "{B} the {n} of {e} {v}{x}.", "{B} the {n} for the {e} {v}{x}, please.", "I want you to {b} the {n} of the {e} {v}{x}.", "Can you {b} the {n} of {v}{x}?",
           "You should {b} the {n} of the {e} {v}{x}.", "Now {b} the {n} of {e} {v}{x}.", "I need you to {b} the {n} for {e} {v}{x}.", "{B} the {n} of the {e} {v}{x} now."]
ACT_UNSEEN = ["Would you {b} the {n} of the {e} {v}{x}?", "Go ahead and {b} the {n} of {e} {v}{x}."]


def make_request(source, tool):
    """-> request text, arguments."""
    properties = tool["declaration"]["parameters"]["properties"]
    arguments = {name: value_of(source, parameter) for name, parameter in properties.items()}
    first, *others = arguments.items()
    extra = "".join(f"{', ' if i else source.pick([', ', ' with ', ', using ']) if not isinstance(v, bool) else ', '}{spoken(k, v)}" for i, (k, v) in enumerate(others))
    text = source.template(READ_ASK if tool["reads"] else ACT_ASK, READ_UNSEEN if tool["reads"] else ACT_UNSEEN)
    verb = tool["verb"]
    if tool["reads"] and not source.is_eval and source.chance(0.5):
        verb = source.pick(READ_VERBS)
    verb = verb.replace("lookup", "look up")
    return text.format(n=tool["noun"], e=tool["entity"], v=first[1], x=extra, b=verb, B=verb.capitalize()), arguments


def plain(value):
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def make_result(source, tool, arguments):
    """-> tool result text, final answer, strings the answer must hold."""
    subject = str(next(iter(arguments.values())))
    if source.chance(0.08):
        problem = source.pick([f"{subject} not found", "permission denied", "timeout", "service unavailable"])
        return json.dumps({"error": problem}), f"The tool reported an error: {problem}.", [problem]
    if not tool["reads"]:
        code = f"{source.word(1)}{source.whole(10, 999)}"
        text = source.pick([json.dumps({"status": "ok", "id": code}), f"ok, id {code}", json.dumps({"id": code, "done": True})])
        return text, f"Done. The {tool['noun']} of {subject} was handled; the id is {code}.", [code]
    value = source.pick([str(source.whole(1, 9999)), source.word(), source.name(), f"{source.whole(1, 99)} {source.pick(['kg', 'km', 'EUR', 'degrees', 'percent', 'units'])}"])
    fields = {tool["noun"]: value}
    if source.chance(0.5):
        fields = {source.pick(["id", "checked", tool["entity"]]): source.word(), **fields} if source.chance(0.5) else {**fields, "source": source.word()}
    text = source.pick([json.dumps(fields), json.dumps(fields), f"{tool['noun']}: {value}", f"The {tool['noun']} is {value}."])
    return text, f"The {tool['noun']} of {subject} is {value}.", [value]


def think_call(name, arguments):
    return f"I need the tool {name}. " + ", ".join(f"{k} = {plain(v)}" for k, v in arguments.items()) + "."


def survey(declarations):
    """The thought before every decision: the tools by name, read off the declarations."""
    return f"My tools: {', '.join(d['name'] for d in declarations)}. "


def call_turn(calls, thinking, declarations):
    reasoning = survey(declarations) + " ".join(think_call(n, a) for n, a in calls)
    return {"role": "assistant", "content": "", "calls": calls, **({"reasoning": reasoning} if thinking else {})}


def refusal(tool):
    """Reading requests have many verbs, or none: the answer has one."""
    return f"None of my tools can {'get' if tool['reads'] else tool['verb']} the {tool['noun']}.", "No tool fits this."


def is_free(source, tool, found):
    """Whether a request for one of the tools can be told from a request for this one."""
    for entry in found:
        other = entry["tool"]
        if other is None:
            if everyday.words_of(entry["declaration"]["name"]) & {tool["noun"], tool["entity"]}:
                return False
        elif serves(other, tool["verb"], tool["noun"]):
            return False
    return True


def toolset(source, size=None):
    """1 to 4 different tools as (declaration, request maker, result maker)."""
    found, names, size = [], set(), size or source.pick([1, 1, 2, 2, 3, 4])
    while len(found) < size:
        if source.chance(0.2 if source.is_eval else 0.3):
            entry = everyday.make(source)
            about = everyday.words_of(entry["declaration"]["name"])
            if any(e["tool"] and about & {e["tool"]["noun"], e["tool"]["entity"]} for e in found):
                continue
        else:
            kin = source.pick(found)["tool"] if found and source.chance(0.2) else None  # one that differs only in part
            tool = make_tool(source, *(source.pick([(kin["verb"], None, kin["entity"]), (None, kin["noun"], kin["entity"]), (kin["verb"], None, None)]) if kin else ()))
            if not is_free(source, tool, found):
                continue
            entry = {"declaration": tool["declaration"], "tool": tool,
                     "request": lambda tool=tool: make_request(source, tool), "result": lambda a, tool=tool: make_result(source, tool, a)}
        if entry["declaration"]["name"] not in names:
            names.add(entry["declaration"]["name"])
            found.append(entry)
    return found


SYSTEMS = [None, None, None, "You are a helpful assistant.", "You are a careful assistant with tools.", "Use tools when they help."]


def other_request(source, entries):
    """What none of the tools can do: a stranger's work, or nearly that of a declared tool -> text, answer, reasoning."""
    declared = [e["declaration"] for e in entries]
    if source.chance(0.2) and (entry := everyday.make_other(source, declared)):
        text, _ = entry["request"]()
        what = entry["declaration"]["description"]
        return text, f"None of my tools can {what[0].lower()}{what[1:]}", "No tool fits this."
    made_up = [e["tool"] for e in entries if e["tool"]]
    while True:
        kin = source.pick(made_up) if made_up and source.chance(0.5) else None
        other = make_tool(source, *(source.pick([(kin["verb"], None, kin["entity"]), (None, kin["noun"], kin["entity"]), (kin["verb"], None, None)]) if kin else ()))
        if is_free(source, other, entries):
            text, _ = make_request(source, other)
            return text, *refusal(other)


def plain_sample(source, thinking):
    question, _, sentence = plain_question(source)
    return sample("plain", question, sentence, reasoning="This is a simple question.", thinking=thinking)


def no_call(source, entries, thinking):
    """A request that no declared tool serves: another tool's job, chat, sums, facts."""
    declarations = [e["declaration"] for e in entries]
    seen = survey(declarations)
    if source.chance(0.5):
        text, answer, why = other_request(source, entries)
        return sample("tool-none", text, answer, reasoning=seen + why, thinking=thinking, expect={"no_calls": True})
    unknown = 0 if any(d["name"] in everyday.BROAD for d in declarations) else 0.35  # one could search the web for it
    chats = [arithmetic, fact, lambda s, thinking: smalltalk(s, thinking, unknown)]
    # Plain questions have no held-out side of their own.
    made = source.pick(chats if source.is_eval else [*chats, plain_sample])(source, thinking=thinking)
    made["messages"] = [m for m in made["messages"] if m["role"] != "system"]
    last = made["messages"][-1]
    if thinking:
        last["reasoning"] = seen + "No tool is needed. " + last["reasoning"]
    return {**made, "kind": "tool-none", "expect": {"no_calls": True}}


def tool_call(source, thinking=None, stage=None, size=None):
    """stage: 'call' ends with the call, 'result' with the answer, 'none' needs no call; None draws one. size: how many tools."""
    thinking = source.chance(0.5) if thinking is None else thinking
    stage = stage or source.pick(["call", "call", "call", "result", "none", "none", "none"])
    entries = toolset(source, size)
    declarations = [e["declaration"] for e in entries]
    system = source.pick(SYSTEMS)
    head = [{"role": "system", "content": system}] if system else []
    if stage == "none":
        made = no_call(source, entries, thinking)
        made["messages"] = head + made["messages"]
        made["tools"] = declarations
        if not source.is_eval and source.chance(0.5):  # a second turn, on one side or the other
            made["messages"] += exchange(source, entries, thinking, "call")[0] if source.chance(0.5) else no_call(source, entries, thinking)["messages"]
        return made
    messages, expect = head, None
    # Only training has earlier turns: they are more to learn from one set of declarations.
    for _ in range(0 if source.is_eval else source.pick([0, 0, 1, 1, 2])):
        messages += no_call(source, entries, thinking)["messages"] if source.chance(0.4) else exchange(source, entries, thinking, "result")[0]
    turns, expect = exchange(source, entries, thinking, stage)
    kind = "tool-call" if stage == "call" else "tool-result"
    return {"kind": kind, "messages": messages + turns, "tools": declarations, "thinking": thinking, "expect": expect}


def exchange(source, entries, thinking, stage):
    """A request, its call or two and, for stage 'result', results and answer -> messages, what the suite expects."""
    asked = [source.pick(entries)] + ([source.pick(entries)] if source.chance(0.12) else [])
    requests = [entry["request"]() for entry in asked]
    calls = [(entry["declaration"]["name"], arguments) for entry, (_, arguments) in zip(asked, requests)]
    text = requests[0][0] + "".join(f" {source.pick(['Also: ', 'And then: ', 'After that: '])}{more}" for more, _ in requests[1:])
    messages = [{"role": "user", "content": text}, call_turn(calls, thinking, [e["declaration"] for e in entries])]
    if stage == "call":
        return messages, {"calls": [{"name": n, "arguments": a} for n, a in calls]}
    answers, wanted = [], []
    for entry, (_, arguments) in zip(asked, calls):
        result, answer, needles = entry["result"](arguments)
        messages.append({"role": "tool", "content": result})
        answers.append(answer)
        wanted += needles
    reasoning = {"reasoning": "The tool returned: " + "; ".join(wanted) + "."} if thinking else {}
    return [*messages, {"role": "assistant", "content": " ".join(answers), **reasoning}], {"contains": wanted}
