"""Key facts about ds4: commands, flags, endpoints, numbers. Every fact is trained; the suite asks in unseen wordings."""
from .words import sample

COMMANDS = {
    "chat": ["open an interactive chat", "talk to the model in the terminal", "start a chat session"],
    "run": ["get one answer to a prompt", "answer a single prompt", "ask one question from a script"],
    "serve": ["start the HTTP server", "serve the model over HTTP", "offer an OpenAI compatible API"],
    "bench": ["measure the speed", "benchmark prefill and decode", "measure tokens per second"],
    "eval": ["run question sets", "evaluate the model", "measure how good the answers are"],
    "inspect": ["look at the header of a model file", "show the tensors and metadata of a file", "see what is inside a GGUF file"],
    "tokenize": ["turn text into token ids", "count the tokens of a text", "see the token ids of a text"],
    "detokenize": ["turn token ids into text", "convert ids back to text"],
    "logits": ["print the top logits of each step", "see the logits of the model", "compare logits between numerics"],
    "quantize": ["make a GGUF file", "convert safetensors to GGUF", "write a quantized model file"],
    "doctor": ["check the machine", "find out what is wrong with my setup", "check driver, CPU features and memory"],
    "plan": ["see what would go where without loading", "plan the memory placement", "see which context fits"],
    "ppl": ["measure perplexity", "compute the perplexity of a file"],
    "verify": ["hash and check all tensors of a file", "check a model file for damage"],
    "render": ["see the prompt text of a request", "render a request body into a prompt"],
    "config": ["print the effective settings", "see where each setting comes from"],
    "version": ["print the version", "see which version is installed"],
}
FLAGS = {
    "--model": ("the model file or folder", None), "--ctx": ("the context size in tokens", None), "--temp": ("the sampling temperature", "1"),
    "--top-p": ("the nucleus probability", "1"), "--top-k": ("the number of likeliest tokens kept", "0"), "--min-p": ("the smallest share of the likeliest token", "0.05"),
    "--seed": ("the seed of the sampler", None), "--stop": ("a text that ends the answer", None), "--max-tokens": ("the most tokens of an answer", None),
    "--think": ("the level of reasoning", None), "--no-think": ("thinking off", None), "--reasoning-budget": ("the most reasoning tokens", None),
    "--system": ("the system text", None), "--json": ("machine-readable output", None), "--threads": ("the number of worker threads", "0"),
    "--numerics": ("the arithmetic mode", "fast"), "--backend": ("where the model runs", "auto"), "--template": ("the chat template profile", "reference"),
    "--port": ("the port of the server", "8000"), "--host": ("the address of the server", "127.0.0.1"), "--api-key": ("the key that clients must send", None),
    "--cors": ("access from any browser origin", "off"), "--max-queue": ("the longest request queue", "64"), "--url": ("a running server to talk to", None),
    "--config": ("the settings file", "ds4.toml"), "--isa": ("the CPU kernel set", "auto"),
}
ENDPOINTS = {
    "POST /v1/chat/completions": ["OpenAI chat", "chat completions"], "POST /v1/completions": ["raw text completion", "OpenAI text completion"],
    "POST /v1/responses": ["OpenAI Responses", "the Responses API"], "POST /v1/messages": ["Anthropic Messages", "the Anthropic API"],
    "POST /v1/messages/count_tokens": ["counting the tokens of Anthropic messages"], "GET /v1/models": ["listing the models", "the model list"],
    "GET /health": ["the health check", "liveness"], "GET /metrics": ["Prometheus metrics", "metrics"], "GET /v1/stats": ["counters as JSON", "server statistics"],
    "POST /tokenize": ["turning text into tokens"], "POST /detokenize": ["turning tokens into text"], "POST /apply-template": ["rendering a chat into a prompt"],
    "GET /v1/requests": ["the running requests", "the request queue"], "GET /swagger": ["the API description", "Swagger"], "GET /v1/kv": ["the list of KV checkpoints"],
}
EXIT_CODES = {"0": "done", "1": "failed", "2": "a usage error", "3": "model not found or not loadable", "4": "not enough memory", "5": "server unreachable", "130": "interrupted"}
SINGLE = [
    (["Which model family does ds4 run?", "What model is ds4 made for?", "Which model does ds4 serve?"], ["Which model was ds4 built for?"], "ds4 runs DeepSeek V4 Flash.", "DeepSeek V4 Flash"),
    (["Which port does the server use?", "What is the default port?", "On which port does ds4 listen?"], ["Which port is the server listening on by default?"], "The server listens on port 8000.", "8000"),
    (["Which address does the server bind?", "Is the server reachable from other machines by default?"], ["Which address does ds4 serve listen on?"], "By default the server listens on 127.0.0.1 only.", "127.0.0.1"),
    (["Which file formats does ds4 read?", "What weights can ds4 load?", "Which model formats are supported?"], ["What kinds of model files can I load?"], "ds4 reads GGUF files and safetensors folders.", "GGUF"),
    (["Which runtime does ds4 use?", "What is ds4 written in?", "Which languages is ds4 written in?"], ["What technology is ds4 built on?"], "ds4 is TypeScript on Bun over native C++.", "Bun"),
    (["What are routed experts stored as?", "Which format do the experts have?", "How are the expert weights stored?"], ["In which number format are experts kept?"], "The routed experts are stored as MXFP4.", "MXFP4"),
    (["What does the indexer do?", "Why is there an indexer?", "What is the indexer for?"], ["Explain the indexer."], "The indexer picks which compressed KV entries a query attends to.", "compressed"),
    (["What are hyper-connections?", "How many residual streams are there?", "How many streams do hyper-connections use?"], ["How many streams does the residual path have?"], "Hyper-connections carry 4 residual streams and mix them in every layer.", "4"),
    (["Which compression ratios exist?", "How is the KV cache compressed?", "What are the compression ratios?"], ["By which ratios are KV rows compressed?"], "Layers compress the KV cache by 4 or by 128, or not at all.", "128"),
    (["What is the largest context?", "How long can the context be?", "What is the maximum context of ds4?"], ["How many tokens of context are possible at most?"], "The context can be up to 1048576 tokens.", "1048576"),
    (["Does ds4 need a download?", "Can I try ds4 without a download?", "Is there a demo model?"], ["How can I try ds4 without the big weights?"], "No download is needed: the demo model is part of ds4.", "demo model"),
    (["How do I start ds4 without a subcommand?", "What happens if I type only ds4?", "What does plain ds4 do?"], ["What does ds4 without arguments open?"], "`ds4` alone opens `ds4 chat`.", "ds4 chat"),
    (["What is DSML?", "Which syntax do tool calls use?", "How are tool calls written?"], ["What is the tool call syntax called?"], "DSML is the syntax in which the model writes tool calls.", "DSML"),
    (["Which settings file does ds4 read?", "Where do settings come from?", "What is the configuration file called?"], ["What is the name of the config file?"], "Settings come from flags, then DS4_ variables, then ds4.toml.", "ds4.toml"),
    (["What wins, a flag or an environment variable?", "What is the precedence of settings?", "In which order are settings read?"], ["Does a flag override an environment variable?"], "A flag wins over the environment, and the environment over the file.", "flag"),
    (["What is the body limit of the server?", "How large may a request be?"], ["What is the maximum size of a request body?"], "A request body may have 64 MiB.", "64 MiB"),
    (["What does the server answer when the queue is full?", "Which status means the queue is full?"], ["Which HTTP status do I get if too many requests wait?"], "A full queue is answered with status 429.", "429"),
    (["What happens if the prompt is too long?", "Which error comes for a prompt that is too long?"], ["What error do I get when the prompt exceeds the context?"], "A prompt that does not fit gets status 400 with the code context_length_exceeded.", "context_length_exceeded"),
    (["How does an answer end?", "Which token ends an answer?"], ["What stops the generation?"], "An answer ends with the end-of-sentence token.", "end-of-sentence"),
    (["How do I turn off thinking?", "How can I disable reasoning?"], ["Which flag switches reasoning off?"], "Use `--no-think` to turn thinking off.", "--no-think"),
]
DO_ASK = ["How do I {d}?", "Which command do I use to {d}?", "What do I type to {d}?", "I want to {d}.", "Which ds4 command lets me {d}?", "How can I {d} with ds4?", "What is the command to {d}?"]
DO_UNSEEN = ["Tell me the command to {d}.", "What should I type if I want to {d}?", "Is there a command to {d}?"]
WHAT_ASK = ["What does {c} do?", "What is {c} for?", "Explain {c}.", "What is {c}?", "When do I use {c}?"]
WHAT_UNSEEN = ["Tell me what {c} does.", "Why would I use {c}?"]
FLAG_ASK = ["Which flag sets {p}?", "How do I set {p}?", "What is the flag for {p}?", "Which option controls {p}?"]
FLAG_UNSEEN = ["Tell me the flag for {p}.", "Which flag do I need for {p}?"]
DEFAULT_ASK = ["What is the default of {f}?", "Which default does {f} have?", "What is the default value of {f}?", "{f} default?"]
DEFAULT_UNSEEN = ["If I do not give {f}, which value is used?", "Tell me the default of {f}."]
PATH_ASK = ["Which endpoint is for {p}?", "What is the endpoint for {p}?", "Which path serves {p}?", "What is the URL path for {p}?"]
PATH_UNSEEN = ["Tell me the endpoint for {p}.", "Which HTTP path do I call for {p}?"]
CODE_ASK = ["What does exit code {c} mean?", "ds4 exited with {c}. What does that mean?", "What is exit code {c}?"]
CODE_UNSEEN = ["Tell me the meaning of exit code {c}.", "The exit status is {c}. Why?"]


def command_fact(source):
    name = source.pick(list(COMMANDS))
    does = source.pick(COMMANDS[name])
    if source.chance(0.65):
        return source.template(DO_ASK, DO_UNSEEN).format(d=does), f"Use `ds4 {name}` to {does}.", f"ds4 {name}"
    first = COMMANDS[name][0]
    shown = source.pick([f"ds4 {name}", f"`ds4 {name}`"])
    return source.template(WHAT_ASK, WHAT_UNSEEN).format(c=shown), f"`ds4 {name}` lets you {first}.", first


def flag_fact(source):
    name = source.pick(list(FLAGS))
    purpose, default = FLAGS[name]
    style = source.random.random()
    if default is not None and style < 0.4:
        return source.template(DEFAULT_ASK, DEFAULT_UNSEEN).format(f=name), f"The default of `{name}` is {default}.", default
    if style < 0.7:
        return source.template(FLAG_ASK, FLAG_UNSEEN).format(p=purpose), f"`{name}` sets {purpose}.", name
    return source.template(WHAT_ASK, WHAT_UNSEEN).format(c=source.pick([name, f"`{name}`", f"the flag {name}"])), f"`{name}` sets {purpose}.", purpose


def endpoint_fact(source):
    path = source.pick(list(ENDPOINTS))
    purpose = source.pick(ENDPOINTS[path])
    bare = path.split(" ")[1]
    if source.chance(0.65):
        return source.template(PATH_ASK, PATH_UNSEEN).format(p=purpose), f"The endpoint for {purpose} is `{path}`.", bare
    return source.template(WHAT_ASK, WHAT_UNSEEN).format(c=source.pick([bare, path, f"the endpoint {bare}"])), f"`{path}` is for {ENDPOINTS[path][0]}.", ENDPOINTS[path][0]


def code_fact(source):
    code = source.pick(list(EXIT_CODES))
    return source.template(CODE_ASK, CODE_UNSEEN).format(c=code), f"Exit code {code} means: {EXIT_CODES[code]}.", EXIT_CODES[code]


def single_fact(source):
    known, unseen, answer, key = source.pick(SINGLE)
    return source.template(known, unseen), answer, key


def fact_parts(source):
    """-> question, answer, the words that must appear. An eighth of the known wordings is held out too."""
    while True:
        made = source.pick([command_fact, command_fact, flag_fact, flag_fact, endpoint_fact, single_fact, single_fact, code_fact])(source)
        if source.on_side(made[0]):
            return made


SYSTEMS = [None, None, None, "You are a helpful assistant.", "You answer questions about ds4.", "You are the ds4 assistant."]


def fact(source, thinking=None):
    thinking = source.chance(0.25) if thinking is None else thinking
    question, answer, key = fact_parts(source)
    return sample("fact", question, answer, reasoning="This is about ds4.", thinking=thinking, system=source.pick(SYSTEMS), expect={"contains": [key]})


def conversation(source):
    """Two to four short turns on facts, sums and small talk, without thinking."""
    from .arithmetic import arithmetic
    from .smalltalk import smalltalk
    messages = []
    for _ in range(source.whole(2, 4)):
        made = source.pick([fact, fact, arithmetic, smalltalk])(source, thinking=False)
        messages += [m for m in made["messages"] if m["role"] != "system"]
    return {"kind": "conversation", "messages": messages, "tools": None, "thinking": False, "expect": {}}
