"""QNTX from Python: attest, query, fetch, schedule, log.

Every function here is also a global of a script that QNTX runs, so that

    attest("user-1", "is", "active")

works without an import. Importing them (``from qntx import attest``) does the
same and lets editors complete and type checkers check.

A call goes to the QNTX core, or to the plugin's own store when there is none.
When it can't be done a subclass of ``qntx.Error`` is raised that says which
call, why, and whether trying again makes sense.
"""

from qntx._checks import (
    claim as _claim, count as _count, mapping as _mapping, matching as _matching,
    number as _number, seconds as _seconds, text as _text, texts as _texts,
    time as _time, type_name as _type_name,
)

try:
    import _qntx
except ImportError:  # imported by a plain python, not run by QNTX
    _qntx = None

__all__ = (
    "attest", "attest_many", "last", "query", "exists", "fetch",
    "create_schedule", "pause_schedule", "resume_schedule", "delete_schedule",
    "list_schedules", "get_schedule", "enqueue", "progress", "log",
    "watch", "schedule", "handler",
    "llm", "embed", "search", "vector_search", "read_file", "ground",
    "upstream", "handler_name", "glyph_id",
    "Error", "StoreUnavailable", "Refused", "LimitExceeded", "Timeout",
    "InvalidArgument", "NotAvailable", "ResultError",
)

# What a script has without an import; `upstream` is added for each run.
_GLOBALS = __all__[:__all__.index("llm")]

upstream = None
handler_name = ""
glyph_id = ""

# What the decorators saw, in order: (kind, function, details)
_declared = []


class Error(RuntimeError):
    """A call to QNTX that could not be done.

    call       the function's name, such as "attest"
    reason     why, in words
    retryable  whether the same call may succeed later
    created    attest_many: how many were written before the failure

    >>> try:
    ...     attest("user-1", "is", "active")
    ... except qntx.Error as error:
    ...     print(error.call, error.reason, error.retryable)
    """

    def __init__(self, call="", reason="", retryable=False, created=0):
        super().__init__(f"{call}: {reason}" if call else reason)
        self.call = call
        self.reason = reason
        self.retryable = retryable
        self.created = created

    def __reduce__(self):
        return type(self), (self.call, self.reason, self.retryable, self.created)


class StoreUnavailable(Error):
    """The attestation store can't be reached, or answers what makes no sense."""


class Refused(Error):
    """The service was reached and said no."""


class LimitExceeded(Error):
    """More calls, or a bigger call, than one execution may make."""


class Timeout(Error):
    """No answer before the run's own deadline."""


class InvalidArgument(Error, ValueError):
    """A value that can't be sent as it is; the reason names its place."""


class NotAvailable(Error):
    """Nothing does this here: outside QNTX, or a service the core lacks."""


class ResultError(Error):
    """The run's result is nothing JSON can hold, or beyond a limit."""


_KINDS = {
    kind.__name__: kind
    for kind in (Error, StoreUnavailable, Refused, LimitExceeded, Timeout,
                 InvalidArgument, NotAvailable, ResultError)
}


def _make_error(kind, call, reason, retryable, created):
    return _KINDS.get(kind, Error)(call, reason, bool(retryable), created)


def _encode(call, arguments):
    data = _qntx.encode(arguments, "")
    if type(data) is bytes:
        return data
    limit, reason = data
    raise (LimitExceeded if limit else InvalidArgument)(call, reason) from None


def _call(call, arguments):
    if _qntx is None:
        raise NotAvailable(
            call, "only code that QNTX runs can do this; here the module serves "
                  "for completion and type checks, so put a stand-in of your own "
                  f"in its place, such as unittest.mock.patch('qntx.{call}')")
    return _qntx.decode(_qntx._host_call(call, _encode(call, arguments)))


def _note(kind, arguments):
    if _qntx is None:
        raise NotAvailable(kind, "only code that QNTX runs can do this")
    _qntx._host_note(_encode(kind, {"kind": kind, **arguments}))


def attest(subjects, predicates, contexts=None, actors=None, attributes=None):
    """Writes one attestation and returns it as stored.

    subjects    whom or what it is about, a string or a list of strings
    predicates  what is said of them, likewise
    contexts    where that holds, likewise; "_" when there is none, and what a
                handler writes has the handler's name as a further one
    actors      who says so, likewise; the store replaces it by the
                attestation's own id
    attributes  a dict of None, bool, int, float, str, list and dict

    Returns a dict with id, subjects, predicates, contexts, actors, timestamp
    (milliseconds since 1970) and source, but without attributes.

    Numbers are stored as doubles: 42 is read back as 42, and an int beyond
    2**53, NaN or anything that is not in the list above raises InvalidArgument
    with its place (``attributes.items[3].id``) instead of being changed. More
    than 4 MiB raises LimitExceeded.

    >>> attest("user-1", "is", "active", attributes={"score": 3})["id"]
    'AS-USER1-IS-ACTIVE-7K2M9QWD'
    """
    return _call("attest", _claim("attest", subjects, predicates, contexts, actors, attributes))


def attest_many(items):
    """Writes many attestations in one round trip and returns how many.

    items  dicts with the arguments of attest() as keys: subjects and
           predicates, and if wanted contexts, actors and attributes

    They are written in order, and there are no ids in the answer: the core
    gives none. Beyond 4 MiB they go over in as few requests as possible. When
    writing stops half-way, the error's ``created`` says how many are written.

    >>> attest_many([{"subjects": f"row-{n}", "predicates": "seen"} for n in range(1000)])
    1000
    """
    if isinstance(items, (str, bytes, dict)) or not hasattr(items, "__iter__"):
        raise TypeError(f"attest_many: items must be a list of dicts, not {_type_name(items)}")
    claims = []
    for index, item in enumerate(items):
        call = f"attest_many: items[{index}]"
        if not isinstance(item, dict):
            raise TypeError(f"{call} must be a dict, not {_type_name(item)}")
        for key in item:
            if key not in ("subjects", "predicates", "contexts", "actors", "attributes"):
                raise TypeError(f"{call} has an unknown key {key!r}")
        for key in ("subjects", "predicates"):
            if key not in item:
                raise TypeError(f"{call} has no {key}")
        claims.append(_claim(call, item["subjects"], item["predicates"], item.get("contexts"),
                             item.get("actors"), item.get("attributes")))
    if not claims:
        return 0
    return _call("attest_many", {"items": claims})["created"]


def last(subjects=None, predicates=None, contexts=None, actors=None):
    """The newest attestation that matches, or None.

    subjects, predicates, contexts, actors  a string or a list of strings each

    Within one argument any of the strings may match, whatever its case; all
    arguments given must. Returns a dict as attest() does, with ``attributes``.

    >>> previous = last("user-1", "is")
    """
    return _call("last", _matching("last", subjects, predicates, contexts, actors))


def query(subjects=None, predicates=None, contexts=None, actors=None,
          since=None, until=None, limit=None):
    """Iterates over the attestations that match, newest first.

    subjects, predicates, contexts, actors  as in last()
    since, until  datetimes, or milliseconds since 1970, both included
    limit         the most to give, None for all

    They are fetched in pages while you iterate, so that an answer of any size
    fits. Of more than 32 queries under way the one unused for longest is closed.

    >>> for attestation in query(predicates="error", limit=100):
    ...     print(attestation["subjects"], attestation["attributes"])
    """
    arguments = _matching("query", subjects, predicates, contexts, actors)
    arguments["since"] = _time("query", "since", since)
    arguments["until"] = _time("query", "until", until)
    if limit is not None:
        limit = _count("query", "limit", limit)
    return _pages(arguments, limit)


def _pages(arguments, left):
    arguments["limit"] = left
    while left is None or left > 0:
        page = _call("query", arguments)
        found = page["attestations"]
        if left is not None:
            found = found[:left]
            left -= len(found)
        yield from found
        if page["cursor"] is None:
            return
        arguments = {"cursor": page["cursor"]}


def exists(id):
    """Whether the attestation with this id is in the store."""
    return _call("exists", {"id": _text("exists", "id", id)})


def fetch(url, subjects=None, predicate="http:get", context="", fresh=False, actor="", source=""):
    """Gets a URL through the core, and waits when its rate limits say so.

    url        what to get; the body has to be text
    subjects   of an attestation of the answer; without any there is none
    predicate  of it, beside "http:get"
    context    of it; the URL when empty
    fresh      False: an earlier attested answer will do
    actor      of it, replaced by the core as in attest()
    source     taken for the sake of old scripts; it is the plugin's name

    Returns a dict with body, status_code and attestation_id ("" when nothing
    was attested). A status such as 404 is an answer, not an error.

    >>> fetch("https://example.org/feed.xml")["status_code"]
    200
    """
    return _call("fetch", {
        "url": _text("fetch", "url", url),
        "subjects": _texts("fetch", "subjects", subjects),
        "predicate": _text("fetch", "predicate", predicate),
        "context": _text("fetch", "context", context),
        "fresh": bool(fresh),
        "actor": _text("fetch", "actor", actor),
        "source": _text("fetch", "source", source),
    })


def create_schedule(handler, every, payload=None, metadata=None):
    """Runs a handler every so many seconds, and returns the schedule's id.

    handler   a handler's name, or "plugin/handler" for another plugin's
    every     whole seconds, at least 1, or a timedelta
    payload   a JSON value, given to each run
    metadata  a dict of strings, kept with the schedule

    The first run comes after ``every``. An active schedule of the same handler
    is kept as it is and its id returned. A handler of this plugin that the core
    was not told of raises Refused: its jobs would wait for ever.
    """
    return _call("create_schedule", {
        "handler": _text("create_schedule", "handler", handler),
        "every": _seconds("create_schedule", "every", every),
        "payload": payload,
        "metadata": _mapping("create_schedule", "metadata", metadata),
    })["id"]


def pause_schedule(id):
    """Stops the schedule with this id from firing until resume_schedule()."""
    _call("pause_schedule", {"id": _text("pause_schedule", "id", id)})


def resume_schedule(id):
    """Lets the paused schedule with this id fire again."""
    _call("resume_schedule", {"id": _text("resume_schedule", "id", id)})


def delete_schedule(id):
    """Ends the schedule with this id for good."""
    _call("delete_schedule", {"id": _text("delete_schedule", "id", id)})


def list_schedules():
    """The schedules that code of this plugin made, as dicts like get_schedule()'s."""
    return _call("list_schedules", {})


def get_schedule(id):
    """The schedule with this id, as a dict.

    It has id, handler ("plugin/handler"), every (seconds), state ("active",
    "paused", "stopping", "inactive" or "deleted"), payload, metadata, and
    next_run_at, last_run_at, created_at, updated_at as RFC 3339 or None.
    """
    return _call("get_schedule", {"id": _text("get_schedule", "id", id)})


def enqueue(handler, payload=None):
    """Queues one run of a handler and returns the job's id.

    handler  a handler's name, or "plugin/handler" for another plugin's
    payload  a JSON value, given to the run

    A handler of this plugin that the core was not told of raises Refused.

    >>> enqueue("orders", {"since": "2026-01-01"})
    """
    return _call("enqueue", {
        "handler": _text("enqueue", "handler", handler),
        "payload": payload,
    })["id"]


class llm:
    """Language models, through the core's providers."""

    @staticmethod
    def chat(messages, model="", provider="", temperature=None, max_tokens=None,
             system=None, attachments=None, priority=None):
        """Asks a language model.

        messages     the user's text, or a list of dicts with role ("system",
                     "user" or "assistant") and content
        model        its name; the provider's default when empty
        provider     its name; the core's default when empty
        temperature  a float; the provider's default when None
        max_tokens   the longest answer, in tokens; likewise
        system       a system message put in front
        attachments  dicts with mime_type, data (base64) and, if wanted, filename
        priority     0 when someone waits, 10 in the background; when None a
                     handler is in the background and everything else is not

        Returns a dict with content, model, prompt_tokens, completion_tokens and
        total_tokens. A full queue raises LimitExceeded.

        >>> llm.chat("Summarise: ...")["content"]
        """
        call = "llm.chat"
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
        if not isinstance(messages, (list, tuple)):
            raise TypeError(f"{call}: messages must be a string or a list of dicts, "
                            f"not {_type_name(messages)}")
        plain = []
        if system is not None:
            plain.append({"role": "system", "content": _text(call, "system", system)})
        for index, message in enumerate(messages):
            if not isinstance(message, dict) or set(message) != {"role", "content"}:
                raise TypeError(f"{call}: messages[{index}] must be a dict with role and content")
            plain.append({
                "role": _text(call, f"messages[{index}].role", message["role"]),
                "content": _text(call, f"messages[{index}].content", message["content"]),
            })
        return _call(call, {
            "messages": plain,
            "model": _text(call, "model", model),
            "provider": _text(call, "provider", provider),
            "temperature":
                None if temperature is None else _number(call, "temperature", temperature),
            "max_tokens": None if max_tokens is None else _count(call, "max_tokens", max_tokens),
            "attachments": attachments,
            "priority":
                (10 if handler_name else 0) if priority is None
                else _count(call, "priority", priority),
        })


def embed(text, model=""):
    """The embedding of a text as a list of floats; of a list of texts, a list of those.

    text   a string, or a list of strings for one call over all of them
    model  its name; the core's default when empty
    """
    if not isinstance(text, str):
        text = _texts("embed", "text", text, needed=True)
    answer = _call("embed", {"text": text, "model": _text("embed", "model", model)})
    return answer["vector"] if isinstance(text, str) else answer["vectors"]


def search(query, index="", top_k=10, filters=None, facets=None):
    """Searches a text index.

    query    the words
    index    its name; the core's default when empty
    top_k    the most hits to give
    filters  a dict, as the search provider wants it
    facets   attributes to count values of, a string or a list of strings

    Returns a dict with hits (each with id, score, document, highlighted), total
    and facet_distribution.
    """
    return _call("search", {
        "query": _text("search", "query", query),
        "index": _text("search", "index", index),
        "top_k": _count("search", "top_k", top_k),
        "filters": None if filters is None else _mapping("search", "filters", filters),
        "facets": _texts("search", "facets", facets),
    })


def vector_search(vector, index, top_k=10):
    """The nearest entries of a vector index, as dicts with id and distance.

    vector  a list of numbers, or a numpy array
    index   its name
    top_k   the most entries to give
    """
    if isinstance(vector, (str, bytes, dict)) or not hasattr(vector, "__iter__"):
        raise TypeError("vector_search: vector must be a list of numbers, "
                        f"not {_type_name(vector)}")
    return _call("vector_search", {
        "vector": [_number("vector_search", f"vector[{index_}]", number)
                   for index_, number in enumerate(vector)],
        "index": _text("vector_search", "index", index),
        "top_k": _count("vector_search", "top_k", top_k),
    })


def read_file(id):
    """The bytes of the file that was given to QNTX and has this id."""
    answer = _call("read_file", {"id": _text("read_file", "id", id)})
    from binascii import a2b_base64
    return a2b_base64(answer["base64"])


class ground:
    """The ground store, where the core has one."""

    @staticmethod
    def write(subjects, predicates, contexts=None, actors=None, attributes=None):
        """Writes an attestation to the ground store.

        subjects, predicates, contexts, attributes  as in attest()
        actors  a string or a list of strings, and kept as they are
        """
        _call("ground.write",
              _claim("ground.write", subjects, predicates, contexts, actors, attributes))

    @staticmethod
    def read(predicate, context=""):
        """The newest text deferred under this name and not yet delivered, or None.

        predicate  the name, with or without "deferred:"
        context    a project, such as "project:NAME"
        """
        return _call("ground.read", {
            "predicate": _text("ground.read", "predicate", predicate),
            "context": _text("ground.read", "context", context),
        })


def progress(current, total=None, message=None):
    """Says how far this run is. Costs no round trip.

    current  what is done, a number
    total    what there is to do, a number, or None when nobody knows
    message  what is being done
    """
    _note("progress", {
        "current": _number("progress", "current", current),
        "total": None if total is None else _number("progress", "total", total),
        "message": "" if message is None else _text("progress", "message", message),
    })


_LEVELS = {"debug": "debug", "info": "info", "warn": "warn", "warning": "warn",
           "error": "error", "critical": "error"}


def log(message, level="info", stage=None, **fields):
    """Adds a line to the run's log. Costs no round trip.

    message  the line; anything but a string is shown as str() does
    level    "debug", "info", "warn" or "error"
    stage    a word that groups lines
    fields   further keywords, kept beside the message, as their repr() when
             JSON can't hold them

    >>> log("row skipped", "warn", stage="parse", row=17)
    """
    if level not in _LEVELS:
        raise ValueError(f"log: level must be one of debug, info, warn, error, not {level!r}")
    arguments = {
        "level": _LEVELS[level],
        "message": message if isinstance(message, str) else str(message),
        "stage": "" if stage is None else _text("log", "stage", stage),
    }
    for name, value in fields.items():
        if _qntx is not None and type(_qntx.encode(value, name)) is not bytes:
            fields[name] = repr(value)
    _note("log", {**arguments, "fields": fields})


def _mark(kind, function, details):
    if not callable(function):
        raise TypeError(f"{kind}: only a function can be decorated, "
                        f"not {_type_name(function)}")
    try:
        function.__qntx__ = [*getattr(function, "__qntx__", ()), (kind, details)]
    except AttributeError:
        pass  # some callables take no attributes; the registry has it
    _declared.append((kind, function, details))
    return function


def _described(kind, description, details):
    if description is not None:
        _text(kind, "description", description)

    def decorate(function):
        doc = getattr(function, "__doc__", None) if description is None else description
        return _mark(kind, function, {**details, "description": doc or ""})
    return decorate


def watch(predicate, context=None):
    """Runs the function whenever an attestation with this predicate appears.

    predicate  exactly that, but for its case
    context    one of the attestation's; None for any

    The attestation is its argument when it takes one, and `upstream` anyway.
    It runs at most once a second; what comes faster is delayed by the core. A
    run that fails is tried again, five times, so it has to bear that.

    >>> @watch("order:placed", context="shop")
    ... def on_order(order):
    ...     attest(order["subjects"], "order:seen", "shop")
    """
    if callable(predicate):
        raise TypeError("watch: needs the predicate to watch, as in @watch('order:placed')")
    details = {
        "predicate": _text("watch", "predicate", predicate),
        "context": None if context is None else _text("watch", "context", context),
    }
    return lambda function: _mark("watch", function, details)


def schedule(every, description=None):
    """Runs the function every so many seconds.

    every        whole seconds, at least 1, or a timedelta
    description  shown beside the schedule; the docstring when None

    The first run comes as soon as the core knows of it.

    >>> @schedule(every=300)
    ... def poll():
    ...     "Looks for new mail."
    """
    if callable(every):
        raise TypeError("schedule: needs the seconds between runs, as in @schedule(every=300)")
    every = _seconds("schedule", "every", every)
    return _described("schedule", description, {"every": every})


def handler(description=None):
    """Marks the function that runs when the handler is called by name.

    description  shown beside the handler; the docstring when None

    What enqueue() or create_schedule() gave along is its argument when it takes
    one, and `upstream` anyway.

    >>> @handler
    ... def run():
    ...     "Rebuilds the index."
    """
    if callable(description):
        return _described("handler", None, {})(description)
    return _described("handler", description, {})
