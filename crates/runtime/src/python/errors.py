"""How an uncaught exception is shown: as python does, without frames of ours.

Runs with a private copy of the builtins, taken before any user code.
"""
import builtins
import linecache
import sys

MAX_FRAMES = 2000
MAX_CHAIN = 100

_live = vars(builtins)
_pristine = dict(_live)

try:
    raise KeyError
except KeyError as _error:
    _TracebackType = type(_error.__traceback__)
    del _error


TracebackException = None


def load():
    """Loads the standard library's traceback, which imports many others."""
    global TracebackException
    from traceback import TracebackException


def _hidden(filename, ours):
    return filename in ours or filename.startswith("<frozen importlib")


def _shorten(exc):
    """Leaves the outer and the inner thousand frames of a very long traceback."""
    frames = []
    tb = exc.__traceback__
    while tb is not None:
        frames.append(tb)
        tb = tb.tb_next
    dropped = len(frames) - MAX_FRAMES
    if dropped <= 0:
        return 0
    half = MAX_FRAMES // 2
    kept = None
    for tb in reversed(frames[:half] + frames[-half:]):
        kept = _TracebackType(kept, tb.tb_frame, tb.tb_lasti, tb.tb_lineno)
    BaseException.with_traceback(exc, kept)
    return dropped


def _bound(exc):
    """Cuts chains and tracebacks that are too long to format."""
    dropped = 0
    seen = {id(exc)}
    level = [exc]
    for depth in range(MAX_CHAIN):
        following = []
        for one in level:
            dropped += _shorten(one)
            for other in (one.__cause__, one.__context__, *getattr(one, "exceptions", ())):
                if isinstance(other, BaseException) and id(other) not in seen:
                    seen.add(id(other))
                    following.append(other)
        level = following
        if not level:
            break
    for one in level:
        BaseException.__setattr__(one, "__cause__", None)
        BaseException.__setattr__(one, "__context__", None)
    return dropped


def _line(exc, user_file):
    line = 0
    tb = exc.__traceback__
    while tb is not None:
        if tb.tb_frame.f_code.co_filename == user_file:
            line = tb.tb_lineno or line
        tb = tb.tb_next
    if not line and isinstance(exc, SyntaxError) and exc.filename == user_file:
        line = exc.lineno or 0
    return line


def _describe(exc, user_file, ours):
    line = _line(exc, user_file)
    if isinstance(exc, MemoryError):
        tb = exc.__traceback__
        while tb is not None:
            try:
                tb.tb_frame.clear()
            except RuntimeError:
                pass
            tb = tb.tb_next
    dropped = _bound(exc)
    if TracebackException is None:
        load()
    shown = TracebackException(type(exc), exc, exc.__traceback__)
    todo = [shown]
    seen = set()
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.stack[:] = [frame for frame in one.stack if not _hidden(frame.filename, ours)]
        todo += [one.__cause__, one.__context__, *(getattr(one, "exceptions", None) or ())]
    text = "".join(shown.format())
    if dropped:
        text = f"[{dropped} frames in the middle are left out]\n" + text
    return text.encode("utf-8", "backslashreplace"), line


def describe(exc, user_file, ours):
    """The traceback as UTF-8, and the innermost line of `user_file` or 0."""
    theirs = dict(_live)
    _live.update(_pristine)
    try:
        return _describe(exc, user_file, ours)
    finally:
        _live.update(theirs)
        for name in _pristine:
            if name not in theirs:
                _live.pop(name, None)


def register(filename, lines):
    """Lets tracebacks, inspect and warnings show the lines of a pseudo-file."""
    # without a modification time, linecache never drops the entry
    linecache.cache[filename] = (0, None, lines, filename)
