"""What ds4 is and does, as tables: commands, flags, endpoints, exit codes, and facts that stand alone."""

# command: how people say what it does; the first is how it is described
COMMANDS = {
    "chat": ["open an interactive chat", "talk to the model in the terminal", "start a chat session", "have a conversation with the model", "chat with the model"],
    "run": ["get one answer to a prompt", "answer a single prompt", "ask one question from a script", "run one prompt", "get a single answer and exit"],
    "serve": ["start the HTTP server", "serve the model over HTTP", "offer an OpenAI compatible API", "start the API server", "make the model reachable over HTTP"],
    "bench": ["measure the speed", "benchmark prefill and decode", "measure tokens per second", "see how fast the model runs", "time prefill and decode"],
    "eval": ["run question sets", "evaluate the model", "measure how good the answers are", "count the right answers", "run the evaluation suite"],
    "inspect": ["look at the header of a model file", "show the tensors and metadata of a file", "see what is inside a GGUF file", "see what a model file holds", "list the tensors of a model"],
    "tokenize": ["turn text into token ids", "count the tokens of a text", "see the token ids of a text", "split a text into tokens", "show the tokens of a text"],
    "detokenize": ["turn token ids into text", "convert ids back to text", "show the text of token ids", "decode token ids", "read token ids as text"],
    "logits": ["print the logits of every position", "see the logits of the model", "compare logits between numerics", "look at raw logits", "dump the logits"],
    "quantize": ["make a GGUF file", "convert safetensors to GGUF", "write a quantized model file", "turn a safetensors folder into a GGUF file", "make a model file smaller"],
    "doctor": ["check the machine", "find out what is wrong with my setup", "check this machine and the installation", "diagnose my installation", "see whether my computer is ready"],
    "verify": ["hash and check all tensors of a file", "check a model file for damage", "read every weight of a file", "make sure a download is not damaged", "look for NaN values in the weights"],
    "render": ["see the prompt text of a request", "render a request body into a prompt", "see which prompt a chat request becomes", "apply the chat template to a request", "show the rendered prompt"],
    "config": ["print the effective settings", "see where each setting comes from", "list my settings", "check which settings are in force", "show the configuration"],
    "version": ["print the version", "see which version is installed", "find out my version", "show versions", "check the installed version"],
    "completion": ["print a completion script for a shell", "get tab completion in my shell", "set up shell completion", "complete commands in bash", "make zsh complete ds4 commands"],
}
# flag: purposes (the first is how it is described), default or None
FLAGS = {
    "--model": (["the model file or folder", "the path of the model", "which model is loaded"], None),
    "--ctx": (["the context size in tokens", "the context length", "how many tokens of context there are"], None),
    "--temp": (["the sampling temperature", "the temperature", "how random the sampling is"], "1"),
    "--top-p": (["the nucleus probability", "nucleus sampling", "the total probability that is kept"], "1"),
    "--top-k": (["the number of likeliest tokens kept", "top-k sampling", "how many of the likeliest tokens are kept"], "0"),
    "--min-p": (["the smallest share of the likeliest token", "min-p sampling", "the share below which tokens are dropped"], "0.05"),
    "--seed": (["the seed of the sampler", "the random seed", "the seed for repeatable sampling"], None),
    "--stop": (["a text that ends the answer", "a stop text", "the stop sequence"], None),
    "--max-tokens": (["the most tokens of an answer", "the longest answer in tokens", "the limit of an answer's length"], None),
    "--think": (["the level of reasoning", "the thinking level", "how much the model thinks"], None),
    "--no-think": (["thinking off", "answers without reasoning", "no reasoning"], None),
    "--reasoning-budget": (["the most reasoning tokens", "the budget of the reasoning", "how long the reasoning may be"], None),
    "--system": (["the system text", "the system prompt", "the system message"], None),
    "--json": (["machine-readable output", "JSON output", "output for programs"], None),
    "--threads": (["the number of worker threads", "the thread count", "how many threads are used"], "0"),
    "--numerics": (["the arithmetic mode", "the numerics mode", "which arithmetic is used"], "fast"),
    "--backend": (["where the model runs", "the backend", "whether the CPU or the GPU is used"], "auto"),
    "--template": (["the chat template profile", "the template profile", "which chat template is used"], "reference"),
    "--port": (["the port of the server", "the server's port", "the port to listen on"], "8000"),
    "--host": (["the address of the server", "the server's address", "the address to listen on"], "127.0.0.1"),
    "--api-key": (["the key that clients must send", "the API key", "the key of the server"], None),
    "--cors": (["access from any browser origin", "cross-origin access", "access for web pages"], "off"),
    "--parallel": (["how many requests run at once", "the number of parallel requests", "the requests served at the same time"], "4"),
    "--max-queue": (["the longest request queue", "how many requests may wait", "the queue length"], "64"),
    "--url": (["a running server to talk to", "the server that chat talks to", "the URL of a running server"], None),
    "--config": (["the settings file", "another configuration file", "the file that settings are read from"], "ds4.toml"),
    "--isa": (["the CPU kernel set", "the instruction set of the kernels", "which CPU kernels are used"], "auto"),
}
# endpoint: purposes, the first is how it is described
ENDPOINTS = {
    "POST /v1/chat/completions": ["OpenAI chat", "chat completions", "OpenAI chat requests", "the OpenAI chat API"],
    "POST /v1/completions": ["raw text completion", "OpenAI text completion", "text completions without a template", "plain completions"],
    "POST /v1/responses": ["OpenAI Responses", "the Responses API", "OpenAI's Responses interface", "response objects"],
    "POST /v1/messages": ["Anthropic Messages", "the Anthropic API", "Anthropic clients", "Anthropic chat"],
    "POST /v1/messages/count_tokens": ["counting the tokens of Anthropic messages", "Anthropic token counts", "counting message tokens", "the token count of messages"],
    "GET /v1/models": ["listing the models", "the model list", "finding out which model is served", "the list of served models"],
    "GET /health": ["the health check", "liveness", "checking that the server is up", "health probes"],
    "GET /metrics": ["Prometheus metrics", "metrics", "Prometheus scraping", "counters as Prometheus text"],
    "GET /v1/stats": ["counters as JSON", "server statistics", "statistics as JSON", "JSON statistics"],
    "POST /tokenize": ["turning text into tokens", "tokenizing a text over HTTP", "token ids of a text", "tokenization"],
    "POST /detokenize": ["turning tokens into text", "detokenizing over HTTP", "the text of token ids", "detokenization"],
    "POST /apply-template": ["rendering a chat into a prompt", "applying the chat template", "the prompt of a chat request", "rendering a prompt over HTTP"],
    "GET /v1/requests": ["the running requests", "the request queue", "listing the requests in progress", "the queue of requests"],
    "GET /swagger": ["the API description", "Swagger", "the API page", "the interactive API documentation"],
}
# code: meaning, what happened
EXIT_CODES = {
    "0": ("done", "everything went well"), "1": ("failed", "the command failed"), "2": ("a usage error", "the arguments were wrong"),
    "3": ("model not found or not loadable", "the model could not be loaded"), "4": ("not enough memory", "the memory was too small"),
    "5": ("server unreachable", "there was no server at the URL"), "130": ("interrupted", "I pressed Ctrl+C"),
}
# wordings of training, wordings of the suite alone, answer, what an answer must hold
SINGLE = [
    (["Which model family does ds4 run?", "What model is ds4 made for?", "Which model does ds4 serve?", "What models can ds4 run?", "Which models does ds4 support?", "What does ds4 run?", "ds4 is for which model?",
      "Which language model does ds4 run?", "What is the model that ds4 runs called?", "For which model is ds4?"], ["Which model was ds4 built for?"], "ds4 runs DeepSeek V4 Flash.", "DeepSeek V4 Flash"),
    (["Which port does the server use?", "What is the default port?", "On which port does ds4 listen?", "What port is the server on?", "Which port does ds4 serve use?", "The server runs on which port?", "At which port do I reach the server?",
      "What is the port of ds4 serve?", "Which port do I connect to?", "Default port of the server?"], ["Which port is the server listening on by default?"], "The server listens on port 8000.", "8000"),
    (["Which address does the server bind?", "Is the server reachable from other machines by default?", "What address does the server listen on?", "Which address is the server bound to?", "On which address does ds4 serve run?",
      "Can other computers reach the server by default?", "What is the default address of the server?", "Is ds4 serve open to the network?", "Which IP address does the server use?", "Where does the server listen?"],
     ["Which address does ds4 serve listen on?"], "By default the server listens on 127.0.0.1 only.", "127.0.0.1"),
    (["Which file formats does ds4 read?", "What weights can ds4 load?", "Which model formats are supported?", "Which model files can ds4 read?", "What formats of weights does ds4 support?", "Can ds4 load GGUF?", "Does ds4 read safetensors?",
      "Which files can I use as a model?", "What kinds of weights does ds4 accept?", "In which formats can a model be?"], ["What kinds of model files can I load?"], "ds4 reads GGUF files and safetensors folders.", "GGUF"),
    (["Which runtime does ds4 use?", "What is ds4 written in?", "Which languages is ds4 written in?", "What runs the TypeScript of ds4?", "Is ds4 written in C++?", "Does ds4 use Bun?", "On which runtime does ds4 run?", "Which programming languages does ds4 use?",
      "What is ds4 made of?", "What technology does ds4 use?", "Does ds4 need Bun or Node?", "What is under the hood of ds4?"], ["What technology is ds4 built on?"], "ds4 is TypeScript on Bun over native C++.", "Bun"),
    (["What are routed experts stored as?", "Which format do the experts have?", "How are the expert weights stored?", "What is the number format of the experts?", "Which type do the routed experts have?", "In what format are routed experts stored?",
      "What type are expert weights?", "How are experts kept in memory?", "Which number format do experts use?", "Experts are stored in which format?"], ["In which number format are experts kept?"], "The routed experts are stored as MXFP4.", "MXFP4"),
    (["What does the indexer do?", "Why is there an indexer?", "What is the indexer for?", "What is the job of the indexer?", "What does the indexer pick?", "Why does the model have an indexer?", "Tell me about the indexer.", "Describe the indexer.",
      "How does the indexer help?", "What is an indexer?"], ["Explain the indexer."], "The indexer picks which compressed KV entries a query attends to.", "compressed"),
    (["What are hyper-connections?", "How many residual streams are there?", "How many streams do hyper-connections use?", "What do hyper-connections do?", "How many residual streams does the model have?", "Tell me about hyper-connections.",
      "How many streams are there in hyper-connections?", "What is a hyper-connection?", "How many streams does a hyper-connection mix?", "Describe hyper-connections."], ["How many streams does the residual path have?"],
     "Hyper-connections carry 4 residual streams and mix them in every layer.", "4"),
    (["Which compression ratios exist?", "How is the KV cache compressed?", "What are the compression ratios?", "How much is the KV cache compressed?", "By how much do layers compress the KV cache?", "What compression does the KV cache have?",
      "Which ratios are used to compress the KV cache?", "How strongly are KV rows compressed?", "Tell me the compression ratios.", "How do layers compress the cache?"], ["By which ratios are KV rows compressed?"],
     "Layers compress the KV cache by 4 or by 128, or not at all.", "128"),
    (["What is the largest context?", "How long can the context be?", "What is the maximum context of ds4?", "What is the longest context?", "How many tokens can the context have?", "How big can the context be?", "What is the limit of the context?",
      "Up to how many tokens can a context be?", "What is the context limit of ds4?", "Maximum context size?"], ["How many tokens of context are possible at most?"], "The context can be up to 1048576 tokens.", "1048576"),
    (["Does ds4 need a download?", "Can I try ds4 without a download?", "Is there a demo model?", "Do I have to download weights to try ds4?", "Which model can I try without a download?", "How do I try ds4 quickly?", "What can I use when I have no weights?",
      "Is there a small model to try?", "Do I need the big model to try ds4?", "What comes with ds4 to try it?"], ["How can I try ds4 without the big weights?"], "No download is needed: the demo model is part of ds4.", "demo model"),
    (["How do I start ds4 without a subcommand?", "What happens if I type only ds4?", "What does plain ds4 do?", "What does ds4 do without a command?", "What happens when I run ds4 alone?", "What is the default command?", "What does ds4 alone open?",
      "If I just type ds4, what opens?", "Which command runs when I give none?", "What does ds4 start by itself?"], ["What does ds4 without arguments open?"], "`ds4` alone opens `ds4 chat`.", "ds4 chat"),
    (["What is DSML?", "Which syntax do tool calls use?", "How are tool calls written?", "What does DSML stand for in tool calls?", "In which syntax does the model call tools?", "How does the model write a tool call?", "What format do tool calls have?",
      "Which markup do tool calls use?", "What is the syntax of tool calls?", "Tell me about DSML."], ["What is the tool call syntax called?"], "DSML is the syntax in which the model writes tool calls.", "DSML"),
    (["Which settings file does ds4 read?", "Where do settings come from?", "What is the configuration file called?", "What is the settings file called?", "Where are settings stored?", "Which file holds my settings?", "What file configures ds4?",
      "Where do I put my settings?", "How is the settings file named?", "From which file does ds4 read settings?"], ["What is the name of the config file?"], "Settings come from flags, then DS4_ variables, then ds4.toml.", "ds4.toml"),
    (["What wins, a flag or an environment variable?", "What is the precedence of settings?", "In which order are settings read?", "Which setting wins?", "Is a flag stronger than a variable?", "Do flags beat environment variables?",
      "What happens if a flag and a variable differ?", "Which has priority, the flag or the file?", "Does the environment override the file?", "Flag or variable: which one counts?"], ["Does a flag override an environment variable?"],
     "A flag wins over the environment, and the environment over the file.", "flag wins"),
    (["What is the body limit of the server?", "How large may a request be?", "What is the largest request body?", "How big can a request be?", "How many MiB may a request body have?", "What is the request size limit?", "Is there a limit on the request size?",
      "What body size does the server accept?", "How large can the body of a request be?", "What is the limit for request bodies?"], ["What is the maximum size of a request body?"], "A request body may have 64 MiB.", "64 MiB"),
    (["What does the server answer when the queue is full?", "Which status means the queue is full?", "What happens when the queue is full?", "Which HTTP status comes when the queue is full?", "What status does a full queue give?",
      "What if too many requests are waiting?", "What does status 429 mean?", "Which status do I get from a full queue?", "How does the server refuse a request when it is too busy?", "When do I get a 429?"],
     ["Which HTTP status do I get if too many requests wait?"], "A full queue is answered with status 429.", "429"),
    (["What happens if the prompt is too long?", "Which error comes for a prompt that is too long?", "What is the error for a too long prompt?", "Which code does a prompt that does not fit get?", "What does the server say when my prompt is too long?",
      "My prompt does not fit. Which error is that?", "How are too long prompts refused?", "What status does a too long prompt get?", "What if my prompt is longer than the context?", "When do I get context_length_exceeded?"],
     ["What error do I get when the prompt exceeds the context?"], "A prompt that does not fit gets status 400 with the code context_length_exceeded.", "context_length_exceeded"),
    (["How does an answer end?", "Which token ends an answer?", "When does an answer end?", "What is the last token of an answer?", "What token closes an answer?", "How does the model stop?", "When does the model stop writing?",
      "What ends an answer?", "How do I know that an answer is complete?", "Which token makes the model stop?"], ["What stops the generation?"], "An answer ends with the end-of-sentence token.", "end-of-sentence"),
    (["How do I turn off thinking?", "How can I disable reasoning?", "How do I switch thinking off?", "How do I stop the model from thinking?", "Which flag turns thinking off?", "What flag disables thinking?", "Can I turn off the reasoning?",
      "I do not want any thinking. What do I do?", "How do I get answers without thinking?", "How can I switch off thinking?", "Which option turns off reasoning?", "How do I disable thinking?"],
     ["Which flag switches reasoning off?"], "Use `--no-think` to turn thinking off.", "--no-think"),
    (["How do I stop the server?", "Which signal drains the server?", "How is the server shut down?", "What does SIGTERM do to the server?", "How can I shut down ds4 serve?", "Which signal do I send to stop the server?", "How do I end the server cleanly?",
      "What happens on SIGTERM?", "How do I shut the server down gracefully?", "With which signal does the server stop?"], ["What signal ends the server gently?"], "SIGTERM drains the server and then stops it.", "SIGTERM"),
    (["How do I see the flags of a command?", "Where do I find help on a command?", "How do I get help?", "Which flag shows help?", "How do I list the flags of a command?", "How can I see what a command accepts?", "Where is the help text?",
      "What shows the help of a command?", "How do I find out which flags exist?", "How do I read the help?"], ["How do I show the usage of a command?"], "`ds4 COMMAND --help` shows the flags of a command.", "--help"),
]

DO_ASK = ["How do I {d}?", "Which command do I use to {d}?", "What do I type to {d}?", "I want to {d}.", "Which ds4 command lets me {d}?", "How can I {d} with ds4?", "What is the command to {d}?", "How would I {d}?", "What command can {d}?",
          "Can ds4 {d}?", "Please tell me how to {d}.", "I need to {d}. What do I run?", "What do I run to {d}?", "Show me how to {d}.", "I would like to {d}.", "Which command should I run to {d}?", "What should I use to {d}?", "Help me {d}."]
DO_UNSEEN = ["Tell me the command to {d}.", "What should I type if I want to {d}?", "Is there a command to {d}?"]
WHAT_ASK = ["What does {c} do?", "What is {c} for?", "Explain {c}.", "What is {c}?", "When do I use {c}?", "What can I do with {c}?", "Describe {c}.", "What happens with {c}?", "Tell me about {c}.", "What is the purpose of {c}?", "What is the use of {c}?",
            "How does {c} help me?", "I do not know {c}. What is it?"]
WHAT_UNSEEN = ["Tell me what {c} does.", "Why would I use {c}?"]
FLAG_ASK = ["Which flag sets {p}?", "How do I set {p}?", "What is the flag for {p}?", "Which option controls {p}?", "What flag do I use for {p}?", "How can I choose {p}?", "Which flag changes {p}?", "How do I change {p}?", "Name the flag for {p}.",
            "What option sets {p}?", "I want to set {p}. Which flag?", "Which flag is for {p}?", "What do I pass for {p}?"]
FLAG_UNSEEN = ["Tell me the flag for {p}.", "Which flag do I need for {p}?"]
DEFAULT_ASK = ["What is the default of {f}?", "Which default does {f} have?", "What is the default value of {f}?", "{f} default?", "Which value does {f} have by default?", "What is {f} by default?", "What does {f} default to?", "If I leave out {f}, what is its value?",
               "Without {f}, which value applies?", "What value does {f} have when I do not set it?", "Which value is used without {f}?", "When {f} is not given, what is used?", "I did not set {f}. Which value does it have?", "What is the standard value of {f}?"]
DEFAULT_UNSEEN = ["If I do not give {f}, which value is used?", "Tell me the default of {f}."]
PATH_ASK = ["Which endpoint is for {p}?", "What is the endpoint for {p}?", "Which path serves {p}?", "What is the URL path for {p}?", "Where do I send requests for {p}?", "Which endpoint gives me {p}?", "What path do I use for {p}?", "Which URL is for {p}?",
            "What is the path for {p}?", "Name the endpoint for {p}.", "Which route handles {p}?", "I need {p}. Which endpoint is that?", "At which path is {p}?"]
PATH_UNSEEN = ["Tell me the endpoint for {p}.", "Which HTTP path do I call for {p}?"]
CODE_ASK = ["What does exit code {c} mean?", "ds4 exited with {c}. What does that mean?", "What is exit code {c}?", "Why did ds4 exit with {c}?", "Exit code {c}?", "What does it mean when ds4 ends with {c}?", "I got exit code {c}. Why?",
            "The exit code was {c}. What happened?", "Explain exit code {c}.", "ds4 returned {c}. What is wrong?", "When is the exit code {c}?", "What is the meaning of exit status {c}?", "Exit status {c}: what does it mean?", "My script saw status {c} from ds4. What is that?"]
CODE_UNSEEN = ["Tell me the meaning of exit code {c}.", "The exit status is {c}. Why?"]
WHICH_CODE_ASK = ["Which exit code does ds4 give when {w}?", "What is the exit code if {w}?", "Which exit code means that {w}?", "What exit code do I get when {w}?", "With which code does ds4 exit if {w}?", "How does ds4 exit when {w}?"]
WHICH_CODE_UNSEEN = ["If {w}, which exit code comes back?"]
