"""Sums, differences and products with the steps written out, in <think> or, without thinking, in the answer."""
from .words import sample

ASK = ["What is {q}?", "Calculate {q}.", "{q} = ?", "How much is {q}?", "Please compute {q}.", "Tell me {q}.", "Work out {q}.", "Can you calculate {q}?", "{q}",
       "I want to know {q}.", "Find {q}.", "I have to work out {q}.", "Give me {q}.", "Do you know the answer to {q}?", "What do I get for {q}?", "The result of {q}?",
       "Can you tell me {q}?", "Let me know {q}.", "I need {q}.", "Solve {q}.", "What is the answer to {q}?", "What does {q} make?", "Could you do {q} for me?",
       "I would like the answer to {q}.", "Do you know how much {q} is?", "I am looking for the value of {q}.", "Show me the result of {q}.", "Give me the sum, difference or product: {q}.",
       "Please give me the answer to {q}.", "Add up or work out {q}, please.", "Evaluate {q}.", "What would {q} be?", "Say what {q} is.", "{q}, please.", "Help me with {q}."]
ASK_UNSEEN = ["I need the value of {q}.", "Give me the result of {q}.", "Do you know what {q} is?"]
STORIES = {
    "+": ["{n} has {a} {t} and gets {b} more. How many {t} does {n} have now?", "There are {a} {t} in one box and {b} in another. How many {t} are there in all?",
          "A shop sold {a} {t} on Monday and {b} on Tuesday. How many {t} did it sell?"],
    "-": ["{n} has {a} {t} and gives away {b}. How many {t} are left?", "There were {a} {t} and {b} were eaten. How many {t} remain?",
          "A box holds {a} {t}. {n} takes out {b}. How many {t} are still in the box?"],
    "*": ["There are {a} boxes with {b} {t} each. How many {t} are there?", "{n} buys {b} {t} on each of {a} days. How many {t} does {n} have?",
          "Each of {a} children has {b} {t}. How many {t} do they have together?"],
}
THINGS = ["apples", "pears", "books", "coins", "stamps", "eggs", "marbles", "pencils", "cards", "shells"]
SPELLINGS = {"+": [" + ", "+", " plus "], "-": [" - ", "-", " minus "], "*": [" * ", "*", " times ", " x ", " \u00d7 "]}


def digits(n):
    return [int(d) for d in reversed(str(n))]


def add_steps(a, b):
    lines, carry, x, y = [], 0, digits(a), digits(b)
    for i in range(max(len(x), len(y))):
        p, q = (x[i] if i < len(x) else 0), (y[i] if i < len(y) else 0)
        total = p + q + carry
        lines.append(f"{p}+{q}{'+1' if carry else ''}={total}, write {total % 10}{' carry 1' if total > 9 else ''}")
        carry = total // 10
    if carry:
        lines.append("write 1")
    return lines


def subtract_steps(a, b):
    """a >= b."""
    lines, borrow, x, y = [], 0, digits(a), digits(b)
    for i in range(len(x)):
        q = y[i] if i < len(y) else 0
        top = x[i] - borrow
        text = f"{x[i]}-1={top}; " if borrow else ""
        borrow = int(top < q)
        full = top + 10 * borrow
        lines.append(f"{text}{full}-{q}={full - q}{', borrow 1' if borrow else ''}")
    return lines


def by_digit(a, b):
    if a < 10:
        return [f"{a}*{b}={a * b}"]
    tens, ones = a // 10 * 10, a % 10
    return [f"{tens}*{b}={tens * b}", f"{ones}*{b}={ones * b}", f"{tens * b}+{ones * b}={a * b}"]


def multiply_steps(a, b):
    if b <= 9:
        return by_digit(a, b)
    rest = b - 10
    lines = [f"{a}*10={a * 10}"]
    return lines + (by_digit(a, rest) + [f"{a * 10}+{a * rest}={a * b}"] if rest else [])


def steps_of(a, op, b):
    """-> lines, result."""
    if op == "+":
        return add_steps(a, b), a + b
    if op == "*":
        return multiply_steps(a, b), a * b
    if a >= b:
        return subtract_steps(a, b), a - b
    return [f"{a}<{b}, so minus {b}-{a}"] + subtract_steps(b, a), a - b


def operands(source):
    while True:
        op = source.pick("+-*")
        if op == "*":
            a, b = source.whole(2, 99), source.whole(2, 12)
        else:
            top = source.pick([20, 99, 99, 999, 999])
            a, b = source.whole(0, top), source.whole(0, top)
            if op == "-" and a < b and source.chance(0.75):
                a, b = b, a
        if source.is_eval and op == "+" and max(a, b) < 10:
            continue  # the instruction samples ask these sums of training too
        if source.on_side(f"{a}{op}{b}"):
            return a, op, b


def arithmetic(source, thinking=None):
    a, op, b = operands(source)
    lines, result = steps_of(a, op, b)
    if source.chance(0.2) and a >= b:
        question = source.pick(STORIES[op]).format(a=a, b=b, n=source.name(), t=source.pick(THINGS))
    else:
        question = source.template(ASK, ASK_UNSEEN).format(q=f"{a}{source.pick(SPELLINGS[op])}{b}")
    thinking = source.chance(0.65) if thinking is None else thinking
    shown = f"{a} {op} {b}"
    work = f"{shown}\n" + "\n".join(lines) + f"\n{shown} = {result}"
    final = f"{shown} = {result}"
    answer = final if thinking else (final if a < 13 and b < 13 else work)
    expect = {"number": result}
    return sample("arithmetic", question, answer, reasoning=work, thinking=thinking, expect=expect)
