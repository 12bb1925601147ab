"""Arguments of the calls, checked before they are sent.

An error names the call, the argument, and what was found there.
"""


def type_name(value):
    return type(value).__name__


def texts(call, name, value, needed=False):
    if isinstance(value, str):
        return [value]
    if value is None and not needed:
        return []
    if isinstance(value, (set, frozenset)):
        value = sorted(value, key=str)
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"{call}: {name} must be a string or a list of strings, "
                        f"not {type_name(value)}")
    for index, item in enumerate(value):
        if not isinstance(item, str):
            raise TypeError(f"{call}: {name}[{index}] must be a string, "
                            f"not {type_name(item)}")
    return list(value)


def text(call, name, value):
    if not isinstance(value, str):
        raise TypeError(f"{call}: {name} must be a string, not {type_name(value)}")
    return value


def mapping(call, name, value):
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TypeError(f"{call}: {name} must be a dict, not {type_name(value)}")
    return value


def count(call, name, value):
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{call}: {name} must be an int, not {type_name(value)}")
    if value < 0:
        raise ValueError(f"{call}: {name} must not be negative, got {value}")
    return value


def number(call, name, value):
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise TypeError(f"{call}: {name} must be a number, not {type_name(value)}")
    return float(value)


def seconds(call, name, value):
    if hasattr(value, "total_seconds"):
        value = value.total_seconds()
    value = number(call, name, value)
    if not value > 0:
        raise ValueError(f"{call}: {name} must be more than 0 seconds, got {value:g}")
    return value


def time(call, name, value):
    if value is None:
        return None
    if hasattr(value, "timestamp"):
        return int(value.timestamp() * 1000)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{call}: {name} must be a datetime or milliseconds since 1970, "
                        f"not {type_name(value)}")
    return int(value)


def claim(call, subjects, predicates, contexts, actors, attributes):
    return {
        "subjects": texts(call, "subjects", subjects, needed=True),
        "predicates": texts(call, "predicates", predicates, needed=True),
        "contexts": texts(call, "contexts", contexts),
        "actors": texts(call, "actors", actors),
        "attributes": mapping(call, "attributes", attributes),
    }


def matching(call, subjects, predicates, contexts, actors):
    return {
        "subjects": texts(call, "subjects", subjects),
        "predicates": texts(call, "predicates", predicates),
        "contexts": texts(call, "contexts", contexts),
        "actors": texts(call, "actors", actors),
    }
