// The text from which the tiny model's merges are counted. Changing a character changes
// models/tiny/tokenizer.json.
export const TINY_MODEL_TEXT = `
This is the small model that comes with the engine. It has six layers, a hidden width of two hundred and fifty-six,
eight experts in every layer and a vocabulary of five hundred and twelve entries. Its weights are random numbers, so
what it says has no meaning: it is there to show that the whole path works, from the weight files to the text on the
terminal. A person asks a question, the server renders the conversation, the tokenizer cuts the text into tokens, the
engine computes one step after another, the sampler draws the next token, and the stream of tokens becomes text again.

The network is a mixture of experts. For every token the router chooses two of the experts, and one shared expert is
always there. The first layers choose by a table of tokens, the others by a score. The attention looks at a window of
the last tokens and at compressed rows of everything before: one row for four tokens with an index that selects the
best of them, or one row for one hundred and twenty-eight tokens. Four streams run through all the layers, and small
matrices mix them before and after each part.

What can I do with it? You can chat with it, run it with a prompt, serve it over the network, count the tokens of a
text, look at the logits of each position and write it to another file. When you have the real weights, the same
commands work with them: the shape of the model is read from the file.

How does a test use it? It loads the model, computes the logits of a prompt and compares them with the recorded ones.
If there is a difference then something is wrong, and the message says which tensor, which layer and which position.

user: What is the answer to the question of the day?
assistant: The answer is that there is no answer, but thank you for asking. Is there anything else that I can do?
user: Please write a function that returns the sum of two numbers.
assistant: Here is the function, with a test for it.

function sum(left: number, right: number): number {
  return left + right
}

const result = sum(1, 2)
if (result !== 3) throw new Error("the sum is wrong")
for (let index = 0; index < 10; index++) {
  console.log(index, sum(index, index))
}

def sum(left, right):
    """Return the sum of two numbers."""
    return left + right

{"name": "sum", "arguments": {"left": 1, "right": 2}, "type": "function", "description": "the sum of two numbers"}
[{"role": "user", "content": "hello"}, {"role": "assistant", "content": "Hello! How can I help you today?"}]

It's a fine day, isn't it? I'm sure that they'll say so, and we've seen that you'd agree; don't worry.
2024, 2025, 1.5, 3.14, 100%, 12:30, 0x1f, 64-bit, 8 GB, 128 tokens, 256 MB.
`
