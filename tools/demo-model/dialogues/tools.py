"""Conversations with declared tools: which one to call, with which arguments, when not to, and what to do with results.

Most tools are made up on the spot (names, parameters and values from words that do not exist), so the only way to
be right is to copy from the declaration and from the request.
"""
import json

from . import everyday, smalltalk
from .arithmetic import arithmetic
from .facts import fact
from .words import sample

NOUNS = ["price", "status", "owner", "colour", "weight", "address", "balance", "schedule", "version", "temperature", "score", "level", "size", "speed",
         "capacity", "rating", "location", "code", "limit", "summary", "forecast", "route", "delay", "count"]
ENTITIES = ["city", "item", "user", "project", "device", "order", "room", "book", "server", "station", "team", "file", "ticket", "country", "product", "account"]
READ_VERBS = ["get", "find", "fetch", "read", "check", "show", "lookup", "query"]
ACT_VERBS = ["set", "create", "start", "stop", "send", "delete", "open", "close", "add", "remove", "book", "update", "move", "reset"]
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


def make_tool(source):
    """A declaration plus how people speak of it."""
    reads = source.chance(0.55)
    noun = source.pick(NOUNS) if source.chance(0.5) else source.word()
    entity = source.pick(ENTITIES) if source.chance(0.5) else source.word()
    verb = source.pick(READ_VERBS if reads else ACT_VERBS)
    words = [verb, noun] if source.chance(0.7) else [verb, entity, noun]
    first = {"type": "string"}
    if source.chance(0.7):
        first["description"] = source.pick(["The {e}.", "Name of the {e}.", "Which {e}."]).format(e=entity)
    properties = {entity: first}
    for _ in range(source.pick([0, 0, 1, 1, 2])):
        name, parameter = make_parameter(source, {*properties, noun})
        properties[name] = parameter
    description = source.pick([f"{verb.capitalize()} the {noun} of a {entity}.", f"{verb.capitalize()}s the {noun} of a {entity}.", f"Use this to {verb} the {noun} of a {entity}."])
    declaration = {"name": styled(source, words), "description": description,
                   "parameters": {"type": "object", "properties": properties, "required": list(properties)}}
    return {"declaration": declaration, "verb": verb, "noun": noun, "entity": entity, "reads": reads}


def spoken(name, value):
    if value is True:
        return f"with {name} on"
    if value is False:
        return f"with {name} off"
    return f"{name} {value}"


READ_ASK = ["What is the {n} of the {e} {v}{x}?", "Please {b} the {n} of the {e} {v}{x}.", "Tell me the {n} of {e} {v}{x}.", "{B} the {n} for the {e} {v}{x}.", "I need the {n} of the {e} {v}{x}.", "Can you {b} the {n} of {v}{x}?"]
READ_UNSEEN = ["Could you give me the {n} of the {e} {v}{x}?", "I would like to know the {n} of {e} {v}{x}."]
ACT_ASK = ["Please {b} the {n} of the {e} {v}{x}.", "{B} the {n} of {e} {v}{x}.", "{B} the {n} for the {e} {v}{x}, please.", "I want you to {b} the {n} of the {e} {v}{x}.", "Can you {b} the {n} of {v}{x}?"]
ACT_UNSEEN = ["Would you {b} the {n} of the {e} {v}{x}?", "Go ahead and {b} the {n} of {e} {v}{x}."]


def make_request(source, tool):
    """-> request text, arguments."""
    properties = tool["declaration"]["parameters"]["properties"]
    arguments = {name: value_of(source, parameter) for name, parameter in properties.items()}
    first, *others = arguments.items()
    extra = "".join(f"{', ' if i else source.pick([', ', ' with ', ', using ']) if not isinstance(v, bool) else ', '}{spoken(k, v)}" for i, (k, v) in enumerate(others))
    text = source.template(READ_ASK if tool["reads"] else ACT_ASK, READ_UNSEEN if tool["reads"] else ACT_UNSEEN)
    verb = tool["verb"].replace("lookup", "look up")
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


def call_turn(name, arguments, thinking, more=()):
    calls = [(name, arguments), *more]
    reasoning = " ".join(think_call(n, a) for n, a in calls)
    return {"role": "assistant", "content": "", "calls": calls, **({"reasoning": reasoning} if thinking else {})}


def refusal(source, tool):
    text = f"None of my tools can {tool['verb'].replace('lookup', 'look up')} the {tool['noun']}."
    return text, "No tool fits this."


def toolset(source):
    """1 to 4 different tools as (declaration, request maker, result maker)."""
    found, names, size = [], set(), source.pick([1, 1, 2, 2, 3, 4])
    while len(found) < size:
        if source.chance(0.2):
            entry = everyday.make(source)
        else:
            tool = make_tool(source)
            entry = {"declaration": tool["declaration"], "tool": tool,
                     "request": lambda tool=tool: make_request(source, tool), "result": lambda a, tool=tool: make_result(source, tool, a)}
        if entry["declaration"]["name"] not in names:
            names.add(entry["declaration"]["name"])
            found.append(entry)
    return found


SYSTEMS = [None, None, None, "You are a helpful assistant.", "You are a careful assistant with tools.", "Use tools when they help."]


def no_call(source, tools, thinking):
    """A request that no declared tool serves: chat, sums, facts, or another tool's job."""
    if source.chance(0.4):
        other = make_tool(source)
        text, _ = make_request(source, other)
        answer, why = refusal(source, other)
        return sample("tool-none", text, answer, reasoning=why, thinking=thinking, expect={"no_calls": True})
    made = source.pick([arithmetic, fact, smalltalk.smalltalk])(source, thinking=thinking)
    last = made["messages"][-1]
    made["messages"] = [m for m in made["messages"] if m["role"] != "system"]
    if thinking:
        last["reasoning"] = "No tool is needed. " + last["reasoning"]
    return {**made, "kind": "tool-none", "expect": {"no_calls": True}}


def tool_call(source, thinking=None, stage=None):
    """stage: 'call' ends with the call, 'result' with the answer, 'none' needs no call; None draws one."""
    thinking = source.chance(0.5) if thinking is None else thinking
    stage = stage or source.pick(["call", "result", "result", "result", "none"])
    entries = toolset(source)
    declarations = [e["declaration"] for e in entries]
    system = source.pick(SYSTEMS)
    head = [{"role": "system", "content": system}] if system else []
    if stage == "none":
        made = no_call(source, declarations, thinking)
        made["messages"] = head + made["messages"]
        made["tools"] = declarations
        return made
    messages, expect = head, None
    turns = source.pick([1, 1, 1, 2]) if not source.is_eval else 1
    for _ in range(turns):
        entry = source.pick(entries)
        name = entry["declaration"]["name"]
        if source.chance(0.1) and not source.is_eval:
            made = no_call(source, declarations, thinking)
            messages += made["messages"]
            continue
        text, arguments = entry["request"]()
        more = []
        if source.chance(0.12):
            second = source.pick(entries)
            text2, arguments2 = second["request"]()
            text, more = f"{text} {source.pick(['Also: ', 'And then: ', 'After that: '])}{text2}", [(second["declaration"]["name"], arguments2)]
        messages.append({"role": "user", "content": text})
        messages.append(call_turn(name, arguments, thinking, more))
        expect = {"calls": [{"name": n, "arguments": a} for n, a in [(name, arguments), *more]]}
        if stage == "call":
            break
        answers, wanted = [], []
        for (called, args), made_by in zip([(name, arguments), *more], [entry] + ([second] if more else [])):
            result, answer, needles = made_by["result"](args)
            messages.append({"role": "tool", "content": result})
            answers.append(answer)
            wanted += needles
        reasoning = "The result answers the question." if not thinking else "The tool returned: " + "; ".join(wanted) + "."
        messages.append({"role": "assistant", "content": " ".join(answers), **({"reasoning": reasoning} if thinking else {})})
        expect = {"contains": wanted}
    kind = "tool-call" if stage == "call" else "tool-result"
    return {"kind": kind, "messages": messages, "tools": declarations, "thinking": thinking, "expect": expect}
