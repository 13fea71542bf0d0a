"""System instructions on language and form, over questions with short answers."""
import json

from .facts import fact_parts
from .words import sample

# country: name and capital in English, German, French, Spanish, Italian
PLACES = """France Paris|Frankreich Paris|la France Paris|Francia Par\u00eds|Francia Parigi
Italy Rome|Italien Rom|l'Italie Rome|Italia Roma|Italia Roma
Spain Madrid|Spanien Madrid|l'Espagne Madrid|Espa\u00f1a Madrid|Spagna Madrid
Germany Berlin|Deutschland Berlin|l'Allemagne Berlin|Alemania Berl\u00edn|Germania Berlino
Austria Vienna|\u00d6sterreich Wien|l'Autriche Vienne|Austria Viena|Austria Vienna
Portugal Lisbon|Portugal Lissabon|le Portugal Lisbonne|Portugal Lisboa|Portogallo Lisbona
Poland Warsaw|Polen Warschau|la Pologne Varsovie|Polonia Varsovia|Polonia Varsavia
Greece Athens|Griechenland Athen|la Gr\u00e8ce Ath\u00e8nes|Grecia Atenas|Grecia Atene
Norway Oslo|Norwegen Oslo|la Norv\u00e8ge Oslo|Noruega Oslo|Norvegia Oslo
Sweden Stockholm|Schweden Stockholm|la Su\u00e8de Stockholm|Suecia Estocolmo|Svezia Stoccolma
Finland Helsinki|Finnland Helsinki|la Finlande Helsinki|Finlandia Helsinki|Finlandia Helsinki
Denmark Copenhagen|D\u00e4nemark Kopenhagen|le Danemark Copenhague|Dinamarca Copenhague|Danimarca Copenaghen
Ireland Dublin|Irland Dublin|l'Irlande Dublin|Irlanda Dubl\u00edn|Irlanda Dublino
Hungary Budapest|Ungarn Budapest|la Hongrie Budapest|Hungr\u00eda Budapest|Ungheria Budapest
Egypt Cairo|\u00c4gypten Kairo|l'\u00c9gypte Le Caire|Egipto El Cairo|Egitto Il Cairo
Japan Tokyo|Japan Tokio|le Japon Tokyo|Jap\u00f3n Tokio|Giappone Tokyo
China Beijing|China Peking|la Chine P\u00e9kin|China Pek\u00edn|Cina Pechino
Russia Moscow|Russland Moskau|la Russie Moscou|Rusia Mosc\u00fa|Russia Mosca
Cuba Havana|Kuba Havanna|Cuba La Havane|Cuba La Habana|Cuba L'Avana
Belgium Brussels|Belgien Br\u00fcssel|la Belgique Bruxelles|B\u00e9lgica Bruselas|Belgio Bruxelles"""
LANGUAGES = ["English", "German", "French", "Spanish", "Italian"]
CAPITAL_SAYS = ["The capital of {c} is {k}.", "Die Hauptstadt von {c} ist {k}.", "La capitale de {c} est {k}.", "La capital de {c} es {k}.", "La capitale di {c} \u00e8 {k}."]
RESULT_SAYS = ["The result is {k}.", "Das Ergebnis ist {k}.", "Le r\u00e9sultat est {k}.", "El resultado es {k}.", "Il risultato \u00e8 {k}."]
HELLO_SAYS = ["Hello! How can I help?", "Hallo! Wie kann ich helfen?", "Bonjour ! Comment puis-je aider ?", "\u00a1Hola! \u00bfC\u00f3mo puedo ayudar?", "Ciao! Come posso aiutare?"]
THANKS_SAYS = ["You are welcome!", "Gern geschehen!", "Avec plaisir !", "\u00a1De nada!", "Prego!"]
COMMAND_SAYS = ["The command is {k}.", "Der Befehl ist {k}.", "La commande est {k}.", "El comando es {k}.", "Il comando \u00e8 {k}."]
COLOURS = [["red", "rot", "rouge", "rojo", "rosso"], ["blue", "blau", "bleu", "azul", "blu"], ["green", "gr\u00fcn", "vert", "verde", "verde"], ["yellow", "gelb", "jaune", "amarillo", "giallo"],
           ["white", "wei\u00df", "blanc", "blanco", "bianco"], ["black", "schwarz", "noir", "negro", "nero"]]
THINGS = [("the sky", 1), ("grass", 2), ("snow", 4), ("blood", 0), ("the sun", 3), ("coal", 5), ("a lemon", 3), ("milk", 4), ("a strawberry", 0), ("a leaf", 2)]
COLOUR_SAYS = ["The colour is {k}.", "Die Farbe ist {k}.", "La couleur est {k}.", "El color es {k}.", "Il colore \u00e8 {k}."]
OPPOSITES = [("hot", "cold"), ("big", "small"), ("fast", "slow"), ("old", "new"), ("up", "down"), ("day", "night"), ("open", "closed"), ("wet", "dry"), ("high", "low"), ("hard", "soft"), ("full", "empty"), ("early", "late"),
             ("left", "right"), ("good", "bad"), ("light", "dark"), ("long", "short")]
WEEK = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]
SAY_LANGUAGE = ["Answer in {l}.", "Always reply in {l}.", "Please answer in {l} only.", "Respond in {l}.", "You are a helpful assistant. Answer in {l}.", "Write every answer in {l}.", "Speak {l}.", "All answers must be in {l}.",
                "The user speaks {l}. Reply in {l}.", "You speak only {l}.", "Use the {l} language.", "Use {l}.", "Reply to the user in {l}.", "Whatever the language of the question, answer in {l}.", "Your language is {l}.",
                "Every reply is in {l}.", "The user understands only {l}.", "Give all your replies in {l}.", "For this user, write {l}."]
SAY_LANGUAGE_UNSEEN = ["Use {l} for all answers.", "The user reads only {l}. Answer in {l}."]


def capitals():
    return [[tuple(entry.rsplit(" ", 1)) if entry.count(" ") == 1 else split_place(entry) for entry in line.split("|")] for line in PLACES.splitlines()]


def split_place(entry):
    """Names with articles or two-word capitals: the capital starts at the last article or is the last word."""
    for article in (" Le ", " La ", " El ", " Il "):
        if article in entry:
            at = entry.index(article)
            return entry[:at], entry[at + 1:]
    return tuple(entry.rsplit(" ", 1))


CAPITALS = capitals()


def language_sample(source, thinking):
    n = source.whole(0, 4)
    kind = source.pick(["capital", "capital", "sum", "hello", "thanks", "colour", "command"])
    if kind == "capital":
        place = source.pick(CAPITALS)
        question = source.pick(["What is the capital of {c}?", "Which city is the capital of {c}?", "Name the capital of {c}."]).format(c=place[0][0])
        answer, key = CAPITAL_SAYS[n].format(c=place[n][0], k=place[n][1]), place[n][1]
        answer = answer.replace("de le ", "du ")
    elif kind == "sum":
        a, b = source.whole(1, 9), source.whole(1, 9)
        question, key = source.pick(["What is {a} + {b}?", "How much is {a} plus {b}?"]).format(a=a, b=b), str(a + b)
        answer = RESULT_SAYS[n].format(k=key)
    elif kind == "hello":
        question, answer = source.pick(["Hello!", "Hi!", "Good morning!", "Hello there!"]), HELLO_SAYS[n]
        key = answer
    elif kind == "thanks":
        question, answer = source.pick(["Thank you!", "Thanks!", "Thanks a lot!"]), THANKS_SAYS[n]
        key = answer
    elif kind == "colour":
        thing, colour = source.pick(THINGS)
        question, key = source.pick(["What colour is {t}?", "Which colour does {t} have?"]).format(t=thing), COLOURS[colour][n]
        answer = COLOUR_SAYS[n].format(k=key)
    else:
        from .facts import COMMANDS
        name = source.pick(list(COMMANDS))
        question, key = source.pick(["Which ds4 command do I use to {d}?", "How do I {d} with ds4?"]).format(d=source.pick(COMMANDS[name])), f"`ds4 {name}`"
        answer = COMMAND_SAYS[n].format(k=key)
    system = source.template(SAY_LANGUAGE, SAY_LANGUAGE_UNSEEN).format(l=LANGUAGES[n])
    if not source.on_side(f"{system}|{question}"):
        return language_sample(source, thinking)
    return sample("instruction", question, answer, system=system, reasoning=f"I must answer in {LANGUAGES[n]}.", thinking=thinking, expect={"equals": answer})


def plain_question(source):
    """-> question, one-word answer or None, sentence."""
    kind = source.pick(["capital", "opposite", "day", "month", "colour", "sum", "fact"])
    if kind == "capital":
        place = source.pick(CAPITALS)[0]
        return f"What is the capital of {place[0]}?", place[1], f"The capital of {place[0]} is {place[1]}."
    if kind == "opposite":
        pair = source.pick(OPPOSITES)
        a, b = pair if source.chance(0.5) else pair[::-1]
        return f"What is the opposite of {a}?", b, f"The opposite of {a} is {b}."
    if kind in ("day", "month"):
        names = WEEK if kind == "day" else MONTHS
        i, after = source.whole(0, len(names) - 1), source.chance(0.5)
        other = names[(i + (1 if after else -1)) % len(names)]
        word = "after" if after else "before"
        return f"Which {kind} comes {word} {names[i]}?", other, f"{other} comes {word} {names[i]}."
    if kind == "colour":
        thing, colour = source.pick(THINGS)
        return f"What colour is {thing}?", COLOURS[colour][0], f"The colour of {thing} is {COLOURS[colour][0]}."
    if kind == "sum":
        a, b = source.whole(1, 9), source.whole(1, 9)
        return f"What is {a} + {b}?", str(a + b), f"{a} + {b} = {a + b}."
    question, answer, _ = fact_parts(source)
    return question, None, answer


# form: wordings of training, wordings of the suite alone
FORMS = {
    "upper": (["Answer in capital letters only.", "Write everything in capital letters.", "Use only upper case letters.", "Always answer in upper case.", "Your answers are in upper case.", "Every letter must be a capital letter.",
               "Write in capitals.", "UPPER CASE ONLY.", "Answers must be all upper case.", "Make all letters upper case.", "Use capitals for all letters.", "Each answer is written in upper case letters."],
              ["All letters of your answers must be upper case."]),
    "lower": (["Answer in lower case only.", "Use only lower case letters.", "Write everything in lower case.", "Always answer in lower case.", "Your answers are in lower case.", "Never use a capital letter.",
               "Write in small letters.", "lower case only.", "Answers must be all lower case.", "Make all letters lower case.", "Use small letters for all words.", "Each answer is written in lower case letters."],
              ["All letters of your answers must be lower case."]),
    "word": (["Answer with one word only.", "Reply with a single word.", "Give one-word answers.", "One word is enough as an answer.", "Use just one word.", "Answer in one word.", "Keep every answer to a single word.",
              "Only one word per answer.", "Say one word and no more.", "Each answer is one word."], ["Your answer must be exactly one word."]),
    "end": (["End every answer with the word {x}.", "Finish each answer with {x}.", "The last word of every answer must be {x}.", "Close every answer with {x}.", "After each answer write {x}.", "Every answer ends with {x}.",
             "Add {x} after every answer.", "Write {x} at the end of your answers.", "Put {x} last in each answer.", "Let {x} be the last word.", "At the end of an answer comes the word {x}."], ["Put the word {x} at the end of every answer."]),
    "begin": (["Begin every answer with the word {x}.", "Start each answer with {x}.", "The first word of every answer must be {x}.", "Open every answer with {x}.", "Before each answer write {x}.", "Every answer starts with {x}.",
               "Add {x} before every answer.", "Write {x} at the start of your answers.", "Put {x} first in each answer.", "Let {x} be the first word.", "At the beginning of an answer comes the word {x}."], ["Put the word {x} at the start of every answer."]),
    "json": (["Reply with a JSON object with the key {x}.", "Answer as JSON with one key, {x}.", "Your answer is a JSON object whose only key is {x}.", "Use JSON with the key {x}.", "Write a JSON object; its key is {x}.",
              "Output JSON: the key is {x}, the value is the answer.", "Return the answer as JSON, key {x}.", "Give a JSON object with {x} as its key.", "The answer goes into a JSON object under {x}.", "Answers are JSON with the single key {x}."],
             ["Give the answer as a JSON object under the key {x}."]),
    "tag": (["Put your answer between <{x}> and </{x}>.", "Wrap the answer in <{x}></{x}>.", "Answer inside <{x}> and </{x}>.", "Every answer stands between <{x}> and </{x}>.", "Use the tags <{x}> and </{x}> around your answer.",
             "Write <{x}>, the answer, and </{x}>.", "Surround each answer with <{x}> and </{x}>.", "Begin with <{x}> and close with </{x}>.", "The answer belongs between the tags <{x}> and </{x}>."], ["Enclose every answer in <{x}> and </{x}>."]),
    "call": (["The user is called {X}. Address the user by name first.", "Start by addressing the user as {X}.", "The user's name is {X}. Begin with the name.", "Call the user {X} at the start of every answer.", "Say the name {X} before the answer.",
              "You talk to {X}. Start with the name.", "Address {X} by name in every answer.", "The name of the user is {X}; use it first.", "Speak to {X}: put the name in front.", "Always address the user as {X} first."], ["Address the user, {X}, by name at the start."]),
    "bullet": (["Answer as a bulleted list.", "Write the answer as a list item that starts with a dash.", "Use a bullet point.", "Answer with a bullet point.", "Every answer is a list with a dash.", "Start the answer with a dash, as in a list.",
                "Format answers as bullet points.", "Make a list with dashes.", "Write bullet points only.", "Put a dash before the answer."], ["Every answer is a bullet point with a dash."]),
    "say": (["Whatever the user says, reply with {x} and nothing else.", "Always answer only {x}.", "Your only answer is {x}.", "Say {x} to everything.", "Answer every question with {x} alone.", "Do not answer questions; just say {x}.",
             "No matter what is asked, write {x}.", "Every answer is just {x}.", "Reply only {x}.", "To everything the user writes, the answer is {x}.", "Write nothing but {x}.", "Respond to all messages with only {x}."], ["Reply to everything with just {x}."]),
}


def formed(form, x, word, sentence):
    return {"upper": sentence.upper(), "lower": sentence.lower(), "word": word, "end": f"{sentence} {x}", "begin": f"{x} {sentence}",
            "json": json.dumps({x: word if word is not None else sentence}, ensure_ascii=False), "tag": f"<{x}>{sentence}</{x}>",
            "call": f"{x.capitalize()}, {sentence}", "bullet": f"- {sentence}", "say": x}[form]


def form_sample(source, thinking):
    form = source.pick(list(FORMS))
    question, word, sentence = plain_question(source)
    if form == "word" and word is None:
        return form_sample(source, thinking)
    x = source.word()
    known, unseen = FORMS[form]
    system = source.template(known, unseen).format(x=x, X=x.capitalize())
    if not source.on_side(f"{system}|{question}"):
        return form_sample(source, thinking)
    answer = formed(form, x, word, sentence)
    return sample("instruction", question, answer, system=system, reasoning=f"The system says: {system}", thinking=thinking, expect={"equals": answer})


def instruction(source, thinking=None):
    thinking = source.chance(0.35) if thinking is None else thinking
    if source.chance(0.12) and not source.is_eval:  # without a system text: nothing that the suite measures
        question, _, sentence = plain_question(source)
        return sample("plain", question, sentence, reasoning="This is a simple question.", thinking=thinking)
    return (language_sample if source.chance(0.4) else form_sample)(source, thinking)
