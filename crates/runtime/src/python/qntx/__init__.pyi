from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar, TypedDict, overload

_F = TypeVar("_F", bound=Callable[..., Any])
_Texts = str | Sequence[str] | set[str] | frozenset[str]
_Json = None | bool | int | float | str | Sequence[Any] | dict[str, Any]

class Attestation(TypedDict, total=False):
    id: str
    subjects: list[str]
    predicates: list[str]
    contexts: list[str]
    actors: list[str]
    timestamp: int
    source: str
    attributes: dict[str, Any]

class Fetched(TypedDict):
    body: str
    status_code: int
    attestation_id: str

class Error(RuntimeError):
    call: str
    reason: str
    retryable: bool
    created: int

class StoreUnavailable(Error): ...
class Refused(Error): ...
class LimitExceeded(Error): ...
class Timeout(Error): ...
class InvalidArgument(Error, ValueError): ...
class NotAvailable(Error): ...
class ResultError(Error): ...

upstream: dict[str, Any] | None
handler_name: str
glyph_id: str

def attest(
    subjects: _Texts,
    predicates: _Texts,
    contexts: _Texts | None = None,
    actors: _Texts | None = None,
    attributes: dict[str, Any] | None = None,
) -> Attestation: ...
def attest_many(items: Iterable[dict[str, Any]]) -> int: ...
def last(
    subjects: _Texts | None = None,
    predicates: _Texts | None = None,
    contexts: _Texts | None = None,
    actors: _Texts | None = None,
) -> Attestation | None: ...
def query(
    subjects: _Texts | None = None,
    predicates: _Texts | None = None,
    contexts: _Texts | None = None,
    actors: _Texts | None = None,
    since: datetime | float | None = None,
    until: datetime | float | None = None,
    limit: int | None = None,
) -> Iterator[Attestation]: ...
def exists(id: str) -> bool: ...
def fetch(
    url: str,
    subjects: _Texts | None = None,
    predicate: str = "http:get",
    context: str = "",
    fresh: bool = False,
    actor: str = "",
    source: str = "",
) -> Fetched: ...
def create_schedule(
    handler: str,
    every: float | timedelta,
    payload: _Json = None,
    metadata: dict[str, Any] | None = None,
) -> str: ...
def pause_schedule(id: str) -> None: ...
def resume_schedule(id: str) -> None: ...
def delete_schedule(id: str) -> None: ...
def list_schedules() -> list[dict[str, Any]]: ...
def get_schedule(id: str) -> dict[str, Any]: ...
def enqueue(handler: str, payload: _Json = None) -> str: ...

class llm:
    @staticmethod
    def chat(
        messages: str | Sequence[dict[str, str]],
        model: str = "",
        provider: str = "",
        temperature: float | None = None,
        max_tokens: int | None = None,
        system: str | None = None,
        attachments: Sequence[dict[str, str]] | None = None,
        priority: int | None = None,
    ) -> dict[str, Any]: ...

@overload
def embed(text: str, model: str = "") -> list[float]: ...
@overload
def embed(text: Sequence[str], model: str = "") -> list[list[float]]: ...
def search(
    query: str,
    index: str = "",
    top_k: int = 10,
    filters: dict[str, Any] | None = None,
    facets: _Texts | None = None,
) -> dict[str, Any]: ...
def vector_search(
    vector: Iterable[float],
    index: str,
    top_k: int = 10,
) -> list[dict[str, Any]]: ...
def read_file(id: str) -> bytes: ...

class ground:
    @staticmethod
    def write(
        subjects: _Texts,
        predicates: _Texts,
        contexts: _Texts | None = None,
        actors: _Texts | None = None,
        attributes: dict[str, Any] | None = None,
    ) -> None: ...
    @staticmethod
    def read(predicate: str, context: str = "") -> str | None: ...

def progress(current: float, total: float | None = None, message: str | None = None) -> None: ...
def log(message: object, level: str = "info", stage: str | None = None, **fields: object) -> None: ...
def watch(predicate: str, context: str | None = None) -> Callable[[_F], _F]: ...
def schedule(every: float | timedelta, description: str | None = None) -> Callable[[_F], _F]: ...
@overload
def handler(description: _F) -> _F: ...
@overload
def handler(description: str | None = None) -> Callable[[_F], _F]: ...
