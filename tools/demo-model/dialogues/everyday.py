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


def integer(description):
    return {"type": "integer", "description": description}


def one_of(*values):
    return {"type": "string", "enum": list(values)}


def path(s, *ends):
    name = f"{s.word()}.{s.pick(ends or ('md', 'txt', 'ts', 'py', 'json'))}"
    return name if s.chance(0.4) else f"{s.word()}/{name}"


def hour(s):
    return f"{s.whole(0, 23):02d}:{s.pick(['00', '15', '30', '45'])}"


def matches(s, a):
    names = [path(s) for _ in range(s.whole(1, 2))]
    return reply({"matches": names}, f"I found it in {', '.join(names)}.", *names)


def way(s, a):
    length, street = s.whole(1, 900), f"{s.name()} Street"
    return reply({"distance_km": length, "via": street}, f"It is {length} km via {street}.", length, street)


def words_in(key):
    def make(s, a):
        said = f"{s.word()} {s.word()}"
        return reply({key: said}, f"The {key} is: {said}.", said)
    return make


def person(s, a):
    name, city = f"{s.name()} {s.name()}", s.name()
    return reply({"name": name, "city": city}, f"User {a['user_id']} is {name} from {city}.", name, city)


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
    ("write_file", "Write text into a file.", {"path": text("Path of the file."), "content": text("The text.")}, lambda s: {"path": path(s), "content": f"{s.word()} {s.word()}"},
     ["Write {content} into {path}.", "Save the text {content} as {path}.", "Create the file {path} with the content {content}."], done("The file was written.")),
    ("delete_file", "Delete a file.", {"path": text("Path of the file.")}, lambda s: {"path": path(s)}, ["Delete {path}.", "Remove the file {path}.", "Please delete the file {path}."], done("The file is gone.")),
    ("move_file", "Move or rename a file.", {"source": text("Old path."), "destination": text("New path.")}, lambda s: {"source": path(s), "destination": path(s)},
     ["Move {source} to {destination}.", "Rename {source} to {destination}.", "Please move the file {source} to {destination}."], done("The file was moved.")),
    ("grep", "Search files for a text.", {"pattern": text("Text to find."), "path": text("Directory.")}, lambda s: {"pattern": s.word(), "path": s.word()},
     ["Search for {pattern} in {path}.", "Find {pattern} in the files of {path}.", "Which files in {path} contain {pattern}?"], matches),
    ("getDirections", "Get directions between two places.", {"origin": text("Start."), "destination": text("Goal."), "mode": one_of("car", "bike", "train", "foot")},
     lambda s: {"origin": place(s), "destination": place(s), "mode": s.pick(["car", "bike", "train", "foot"])},
     ["How do I get from {origin} to {destination} by {mode}?", "Directions from {origin} to {destination} by {mode}, please.", "Show me the way from {origin} to {destination} by {mode}."], way),
    ("translate_text", "Translate a text.", {"text": text("The text."), "language": text("Target language.")},
     lambda s: {"text": f"{s.word()} {s.word()}", "language": s.pick(["English", "German", "French", "Spanish", "Italian", "Polish", "Dutch"])},
     ["Translate {text} into {language}.", "What is {text} in {language}?", "Say {text} in {language}."], words_in("translation")),
    ("book_table", "Book a table in a restaurant.", {"restaurant": text("Restaurant."), "people": integer("Number of guests."), "time": text("Time of day.")},
     lambda s: {"restaurant": s.name(), "people": s.whole(1, 12), "time": hour(s)},
     ["Book a table at {restaurant} for {people} people at {time}.", "I want a table for {people} at {restaurant} at {time}.", "Reserve {restaurant} at {time} for {people} people."], done("The table is booked.")),
    ("create_reminder", "Create a reminder.", {"text": text("What to remember."), "time": text("Time of day.")}, lambda s: {"text": f"{s.pick(['call', 'feed', 'water', 'meet', 'pay'])} {s.name()}", "time": hour(s)},
     ["Remind me to {text} at {time}.", "At {time} I must {text}. Remind me.", "Set a reminder for {time}: {text}."], done("The reminder is set.")),
    ("set-thermostat", "Set the temperature of a room.", {"room": text("Room."), "degrees": {"type": "number", "description": "Degrees Celsius."}},
     lambda s: {"room": f"{s.word()} room", "degrees": s.whole(30, 60) / 2}, ["Set the {room} to {degrees} degrees.", "Make the {room} {degrees} degrees warm.", "I want {degrees} degrees in the {room}."], done("The thermostat is set.")),
    ("turn_light", "Turn the light of a room on or off.", {"room": text("Room."), "on": {"type": "boolean"}}, lambda s: {"room": f"{s.word()} room", "on": s.chance(0.5)},
     ["Turn the light in the {room} {on}.", "Light {on} in the {room}, please.", "Switch the {room} light {on}."], done("The light is switched.")),
    ("get_user", "Get a user by number.", {"user_id": integer("Number of the user.")}, lambda s: {"user_id": s.whole(1, 99999)},
     ["Who is user {user_id}?", "Show me user {user_id}.", "Get the user with the number {user_id}."], person),
    ("create_issue", "Create an issue in the tracker.", {"title": text("Title."), "priority": one_of("low", "medium", "high"), "urgent": {"type": "boolean"}},
     lambda s: {"title": f"{s.word()} {s.word()}", "priority": s.pick(["low", "medium", "high"]), "urgent": s.chance(0.5)},
     ["Create an issue {title} with priority {priority}, with urgent {urgent}.", "Open an issue {title}, priority {priority}, with urgent {urgent}."], done("The issue was created.")),
    ("git_checkout", "Switch to a git branch.", {"branch": text("Branch.")}, lambda s: {"branch": f"{s.word()}-{s.word()}"}, ["Switch to the branch {branch}.", "Check out {branch}.", "git checkout {branch}"], done("Switched.")),
    ("query_database", "Run a query on a table.", {"table": text("Table."), "limit": integer("Most rows.")}, lambda s: {"table": s.word(), "limit": s.whole(1, 500)},
     ["Show {limit} rows of the table {table}.", "Query {table} with limit {limit}.", "Give me {limit} rows from {table}."], words_in("row")),
    ("send_message", "Send a message to a person.", {"recipient": text("Who gets it."), "message": text("The message.")}, lambda s: {"recipient": s.name(), "message": f"{s.word()} {s.word()} {s.word()}"},
     ["Tell {recipient} this: {message}.", "Send {recipient} the message {message}.", "Message {recipient}: {message}."], done("The message was sent.")),
]
# Words by which a request of a made-up tool could pass for one of these, beyond those in the name.
CLOSE = {"get_weather": {"temperature", "forecast"}, "get_time": {"schedule"}, "create_event": {"schedule"}, "set-thermostat": {"temperature"}, "getDirections": {"route", "distance", "location"}, "get_user": {"user", "account"},
         "read_file": {"file", "size"}, "write_file": {"file"}, "delete_file": {"file"}, "move_file": {"file"}, "list_files": {"file"}, "grep": {"file"}, "create_issue": {"ticket"}, "book_table": {"book", "room"}, "turn_light": {"room"},
         "get_stock_price": {"price"}, "query_database": {"count"}, "search_web": set(), "run_command": {"file"}}
# Tools that could do the work of the others.
BROAD = {"run_command", "search_web", "send_message", "send_email"}


def words_of(name):
    """What a tool of this list is about."""
    return CLOSE.get(name, set()) | set(name.replace("-", "_").split("_"))


def make(source, entry=None):
    name, description, properties, values, asks, result = entry or source.pick(TOOLS)
    declaration = {"name": name, "description": description, "parameters": {"type": "object", "properties": properties, "required": list(properties)}}

    def request():
        while True:
            arguments = values(source)
            shown = {k: ("on" if v else "off") if isinstance(v, bool) else v for k, v in arguments.items()}
            request_text = source.pick(asks).format(**shown)
            if source.on_side(request_text):
                return request_text, arguments

    return {"declaration": declaration, "tool": None, "request": request, "result": lambda arguments: result(source, arguments)}


def make_other(source, declared):
    """A tool of this list that none of the declared ones could stand in for, or None."""
    names = {d["name"] for d in declared}
    if names & BROAD:
        return None
    about = set().union(*({*words_of(d["name"]), *d["parameters"]["properties"]} for d in declared))
    for entry in source.few(TOOLS, 6):
        if entry[0] not in BROAD and not words_of(entry[0]) & about:
            return make(source, entry)
    return None
