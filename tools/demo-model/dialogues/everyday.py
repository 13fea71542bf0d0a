"""Tools that people really declare, with the ways they ask for them. Values are made up."""
import json

CITIES = ["Paris", "Rome", "Berlin", "Madrid", "Vienna", "Oslo", "Lisbon", "Prague", "London", "Tokyo", "Boston", "Cairo", "Lima", "Dublin", "Zurich", "Delhi"]


def text(description):
    return {"type": "string", "description": description}


def place(s):
    return s.pick(CITIES) if s.chance(0.5) and not s.is_eval else s.name()


def reply(fields, sentence, *needles):
    return json.dumps(fields), sentence, [str(n) for n in needles]


def weather(s, a):
    degrees, sky = s.whole(-9, 38), s.pick(["sunny", "cloudy", "rainy", "windy", "foggy", "snowy"])
    return reply({"temperature": degrees, "conditions": sky}, f"In {a['city']} it is {sky} with {degrees} degrees.", degrees, sky)


def clock(s, a):
    time = f"{s.whole(0, 23):02d}:{s.whole(0, 59):02d}"
    return reply({"time": time}, f"It is {time} in {a['city']}.", time)


def done(word):
    def make(s, a):
        code = f"{s.word(1)}{s.whole(10, 999)}"
        return reply({"status": "ok", "id": code}, f"{word} The id is {code}.", code)
    return make


def listing(s, a):
    names = [f"{s.word()}.{s.pick(['txt', 'md', 'py'])}" for _ in range(s.whole(1, 3))]
    return reply({"files": names}, f"{a['path']} contains {', '.join(names)}.", *names)


def content(s, a):
    words = " ".join(s.word() for _ in range(3))
    return words, f"{a['path']} says: {words}", [words]


def command(s, a):
    words = " ".join(s.word() for _ in range(2))
    return words, f"The command printed: {words}", [words]


def price(s, a):
    value = f"{s.whole(5, 900)}.{s.whole(10, 99)}"
    return reply({"symbol": a["symbol"], "price": float(value)}, f"The price of {a['symbol']} is {value}.", value)


def converted(s, a):
    value = s.whole(1, 2000)
    return reply({"result": value}, f"{a['amount']} {a['from']} is {value} {a['to']}.", value)


def found(s, a):
    title = f"{s.name()} {s.word()} {s.word()}"
    return reply({"results": [title]}, f"I found: {title}.", title)


MONEY = ["EUR", "USD", "GBP", "CHF", "JPY", "SEK"]
TOOLS = [
    ("get_weather", "Get the current weather for a city.", {"city": text("City name.")}, lambda s: {"city": place(s)},
     ["What is the weather in {city}?", "How is the weather in {city}?", "Weather in {city}, please.", "Is it raining in {city}?", "What's the weather like in {city} today?"], weather),
    ("get_time", "Get the current time in a city.", {"city": text("City name.")}, lambda s: {"city": place(s)},
     ["What time is it in {city}?", "Tell me the time in {city}.", "Current time in {city}?"], clock),
    ("set_timer", "Set a timer.", {"minutes": {"type": "integer", "description": "Length in minutes."}}, lambda s: {"minutes": s.whole(1, 90)},
     ["Set a timer for {minutes} minutes.", "Start a {minutes} minute timer.", "Remind me in {minutes} minutes."], done("The timer is set.")),
    ("send_email", "Send an email.", {"to": text("Recipient."), "subject": text("Subject line.")}, lambda s: {"to": f"{s.word()}@{s.word()}.org", "subject": f"{s.name()} {s.word()}"},
     ["Send an email to {to} with the subject {subject}.", "Email {to} about {subject}.", "Write to {to}, subject {subject}."], done("The email was sent.")),
    ("search_web", "Search the web.", {"query": text("Search terms.")}, lambda s: {"query": f"{s.word()} {s.word()}"},
     ["Search the web for {query}.", "Look up {query} on the web.", "Find pages about {query}."], found),
    ("read_file", "Read a file.", {"path": text("Path of the file.")}, lambda s: {"path": f"{s.word()}/{s.word()}.{s.pick(['md', 'txt', 'ts'])}"},
     ["Read {path}.", "What does {path} say?", "Show me the file {path}.", "Open {path}."], content),
    ("list_files", "List the files of a directory.", {"path": text("Directory.")}, lambda s: {"path": s.pick([s.word(), f"{s.word()}/{s.word()}"])},
     ["List the files in {path}.", "Which files are in {path}?", "What is in the directory {path}?"], listing),
    ("run_command", "Run a shell command.", {"command": text("Command line.")}, lambda s: {"command": s.pick([f"ls {s.word()}", f"cat {s.word()}.txt", f"echo {s.word()}", f"wc -l {s.word()}.md"])},
     ["Run {command}", "Execute {command}", "Please run the command {command}"], command),
    ("get_stock_price", "Get the price of a stock.", {"symbol": text("Ticker symbol.")}, lambda s: {"symbol": s.word(2).upper()[:4]},
     ["What is the stock price of {symbol}?", "How much is {symbol} stock?", "Price of {symbol}?"], price),
    ("convert_currency", "Convert an amount of money.", {"amount": {"type": "number"}, "from": text("Currency code."), "to": text("Currency code.")},
     lambda s: dict(zip(("amount", "from", "to"), (s.whole(1, 999), *s.few(MONEY, 2)))),
     ["Convert {amount} {from} to {to}.", "How much is {amount} {from} in {to}?", "{amount} {from} in {to}, please."], converted),
    ("add_todo", "Add an item to the todo list.", {"task": text("What to do.")}, lambda s: {"task": f"{s.pick(['buy', 'call', 'visit', 'clean', 'paint'])} {s.word()}"},
     ["Add {task} to my todo list.", "Put {task} on my list.", "Remember the todo: {task}."], done("It is on your list.")),
    ("play_music", "Play music by an artist.", {"artist": text("Artist.")}, lambda s: {"artist": f"{s.name()} {s.name()}" if s.chance(0.5) else s.name()},
     ["Play something by {artist}.", "Play music by {artist}.", "I want to hear {artist}."], done("Playing now.")),
    ("create_event", "Create a calendar event.", {"title": text("Title."), "day": text("Day of the week.")},
     lambda s: {"title": f"{s.name()} {s.pick(['meeting', 'lunch', 'review', 'party'])}", "day": s.pick(["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"])},
     ["Create an event {title} on {day}.", "Put {title} into my calendar for {day}.", "Schedule {title} for {day}."], done("The event was created.")),
]


def make(source):
    name, description, properties, values, asks, result = source.pick(TOOLS)
    declaration = {"name": name, "description": description, "parameters": {"type": "object", "properties": properties, "required": list(properties)}}

    def request():
        while True:
            arguments = values(source)
            request_text = source.pick(asks).format(**arguments)
            if source.on_side(request_text):
                return request_text, arguments

    return {"declaration": declaration, "tool": None, "request": request, "result": lambda arguments: result(source, arguments)}
