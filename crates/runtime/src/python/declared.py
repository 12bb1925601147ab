# What a module declares with @watch, @schedule and @handler, read from its
# syntax tree: nothing of the module runs.
#
# declared(tree) is a list like the one the decorators leave behind, or None
# when only running the module can tell.
#
# Invariant: never guesses. Any use of a decorator's name, or of the module
# qntx, that is not `@name(literals)` above a function of the module's own body
# makes the answer None.

import _ast

NAMES = ("watch", "schedule", "handler")
# Reaches names without naming them.
HIDDEN = ("exec", "eval", "globals", "locals", "vars", "__import__", "__builtins__",
          "importlib", "builtins")
FUNCTIONS = (_ast.FunctionDef, _ast.AsyncFunctionDef)


class Unknown(Exception):
    """Only running the module can tell."""


def literal(node):
    if isinstance(node, _ast.Constant):
        return node.value
    if isinstance(node, _ast.UnaryOp) and isinstance(node.op, _ast.USub):
        return -number(node.operand)
    if isinstance(node, _ast.BinOp):
        left, right = number(node.left), number(node.right)
        if isinstance(node.op, _ast.Mult):
            return left * right
        if isinstance(node.op, _ast.Add):
            return left + right
        if isinstance(node.op, _ast.Sub):
            return left - right
    raise Unknown


def number(node):
    value = literal(node)
    if type(value) not in (int, float) or not -2**63 <= value < 2**63:
        raise Unknown
    return value


def bound(call, names):
    """The arguments by name, as the decorator would take them."""
    given = {}
    for index, argument in enumerate(call.args):
        if index >= len(names):
            raise Unknown
        given[names[index]] = literal(argument)
    for keyword in call.keywords:
        if keyword.arg not in names or keyword.arg in given:
            raise Unknown
        given[keyword.arg] = literal(keyword.value)
    return given


def text_or_none(value):
    if value is not None and type(value) is not str:
        raise Unknown
    return value


def docstring(function):
    first = function.body[0]
    if isinstance(first, _ast.Expr) and isinstance(first.value, _ast.Constant):
        if type(first.value.value) is str:
            return first.value.value
    return ""


def details(kind, call, function):
    """What the decorator would note; arguments it would refuse are Unknown."""
    if kind == "watch":
        given = bound(call, ("predicate", "context")) if call else {}
        if type(given.get("predicate")) is not str:
            raise Unknown
        return {"predicate": given["predicate"], "context": text_or_none(given.get("context"))}
    if kind == "schedule":
        given = bound(call, ("every", "description")) if call else {}
        every = given.get("every")
        if type(every) not in (int, float) or not every > 0:
            raise Unknown
        description = text_or_none(given.get("description"))
        description = docstring(function) if description is None else description
        return {"every": float(every), "description": description}
    description = text_or_none(bound(call, ("description",)).get("description")) if call else None
    return {"description": docstring(function) if description is None else description}


class Reader:
    def __init__(self):
        self.names = {name: name for name in NAMES}
        self.modules = set()
        self.found = []

    def kind(self, node):
        """Which decorator an expression names, or None."""
        if isinstance(node, _ast.Name):
            return self.names.get(node.id)
        if isinstance(node, _ast.Attribute) and isinstance(node.value, _ast.Name):
            if node.value.id in self.modules and node.attr in NAMES:
                return node.attr
        return None

    def module(self, tree):
        for node in tree.body:
            if isinstance(node, FUNCTIONS):
                self.function(node)
            else:
                self.plain(node, frozenset())
        return self.found

    def function(self, node):
        if node.name in self.names or node.name in self.modules:
            raise Unknown
        marks = []
        for decorator in node.decorator_list:
            call = decorator if isinstance(decorator, _ast.Call) else None
            kind = self.kind(call.func if call else decorator)
            if kind is None:
                self.plain(decorator, frozenset())
                continue
            marks.append((kind, details(kind, call, node)))
        # Applied from the function upwards.
        for kind, noted in reversed(marks):
            self.found.append({
                "kind": kind, "function": node.name,
                "line": node.decorator_list[0].lineno, **noted,
            })
        self.inner(node, frozenset())

    def inner(self, node, own):
        """A function's signature and body. What it binds is its own."""
        arguments = node.args
        for argument in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs,
                         arguments.vararg, arguments.kwarg]:
            if argument is not None and argument.annotation is not None:
                self.plain(argument.annotation, own)
        for default in [*arguments.defaults, *arguments.kw_defaults]:
            if default is not None:
                self.plain(default, own)
        if getattr(node, "returns", None) is not None:
            self.plain(node.returns, own)
        # The empty name marks the inside of a function.
        own = own | local_names(node) | {""}
        body = node.body if isinstance(node.body, list) else [node.body]
        for statement in body:
            self.plain(statement, own)

    def plain(self, node, own):
        """Code that must not touch the decorators; `own` names are not ours."""
        for name in (getattr(node, "name", None), getattr(node, "rest", None)):
            if type(name) is str and name not in own \
                    and (name in self.names or name in self.modules):
                raise Unknown
        if isinstance(node, _ast.Import):
            for alias in node.names:
                self.imported(alias, own)
            return
        if isinstance(node, _ast.ImportFrom):
            self.imported_from(node, own)
            return
        if isinstance(node, (*FUNCTIONS, _ast.Lambda)):
            for decorator in getattr(node, "decorator_list", ()):
                self.plain(decorator, own)
            self.inner(node, own)
            return
        if isinstance(node, _ast.Name) and node.id not in own:
            if node.id in self.names or node.id in self.modules or node.id in HIDDEN:
                raise Unknown
        if isinstance(node, _ast.Attribute) and isinstance(node.value, _ast.Name):
            base = node.value.id
            if base in self.modules and base not in own:
                # qntx.log and the like; a stored attribute replaces something.
                if node.attr in NAMES or node.attr.startswith("_") \
                        or not isinstance(node.ctx, _ast.Load):
                    raise Unknown
                return
        if isinstance(node, (_ast.Global, _ast.Nonlocal)):
            if any(name in self.names for name in node.names):
                raise Unknown
        for field in node._fields:
            value = getattr(node, field, None)
            if isinstance(value, list):
                for item in value:
                    if isinstance(item, _ast.AST):
                        self.plain(item, own)
            elif isinstance(value, _ast.AST):
                self.plain(value, own)

    def imported(self, alias, own):
        top = alias.name.partition(".")[0]
        name = alias.asname or top
        if top in HIDDEN or (name in self.names and name not in own):
            raise Unknown
        if top == "qntx":
            if own:
                raise Unknown
            self.modules.add(name)
        elif name in self.modules:
            raise Unknown

    def imported_from(self, node, own):
        top = (node.module or "").partition(".")[0]
        for alias in node.names:
            name = alias.asname or alias.name
            if top in HIDDEN:
                raise Unknown
            if top == "qntx" and alias.name in NAMES:
                if own or self.names.get(name, alias.name) != alias.name:
                    raise Unknown
                self.names[name] = alias.name
            elif alias.name == "*":
                if top != "qntx":
                    raise Unknown
            elif name in self.names and name not in own or name in self.modules:
                raise Unknown


def local_names(function):
    """What a function binds: its parameters, and the names it stores to."""
    arguments = function.args
    names = {argument.arg for argument in [
        *arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs,
        arguments.vararg, arguments.kwarg] if argument is not None}
    outside = set()
    pending = list(function.body) if isinstance(function.body, list) else [function.body]
    while pending:
        node = pending.pop()
        if isinstance(node, (*FUNCTIONS, _ast.ClassDef)):
            names.add(node.name)
            continue
        if isinstance(node, (_ast.Lambda, _ast.ListComp, _ast.SetComp, _ast.DictComp,
                             _ast.GeneratorExp)):
            continue
        if isinstance(node, (_ast.Global, _ast.Nonlocal)):
            outside.update(node.names)
        if isinstance(node, _ast.Name) and not isinstance(node.ctx, _ast.Load):
            names.add(node.id)
        for field in node._fields:
            value = getattr(node, field, None)
            if isinstance(value, list):
                pending.extend(item for item in value if isinstance(item, _ast.AST))
            elif isinstance(value, _ast.AST):
                pending.append(value)
    return names - outside


def declared(tree):
    try:
        return Reader().module(tree)
    except (Unknown, RecursionError):
        return None
