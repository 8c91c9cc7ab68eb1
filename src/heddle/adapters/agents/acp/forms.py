"""A form that the agent wants filled in (elicitation), as questions that are answered one by one."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from heddle.adapters.agents.acp.wire import Table, table, tables, word
from heddle.core.session import Allow, AnswerAsked, Answered, Deny, Reply

YES, NO = "yes", "no"
DECLINED: Table = {"action": "decline"}
SIMPLE = ("string", "boolean", "number", "integer")


@dataclass(slots=True)
class Form:
    """One request. `number`: the agent's id of it. It is answered with the last of its questions, or declined with the
    first that is not answered, or not with what it is for.
    """

    number: object
    message: str
    properties: dict[str, Table]
    given: dict[str, object] = field(default_factory=dict)

    @classmethod
    def read(cls, number: object, params: Table) -> "Form | None":
        """The form of a request; None when it holds what no text can answer."""
        schema = table(params.get("requestedSchema"))
        named = {name: table(told) for name, told in table(schema.get("properties")).items()}
        fits = params.get("mode", "form") == "form" and all(told.get("type") in SIMPLE for told in named.values())
        return cls(number, word(params.get("message")), named) if fits else None

    def asked(self, request: str) -> Iterator[AnswerAsked]:
        """A question for each property; the first bears the request's id, a further one a number after it. Without any
        property the message is to be confirmed.
        """
        for place, (name, told) in enumerate(self.properties.items() or [("", table(None))], start=1):
            about = word(told.get("title")) or word(told.get("description")) or name
            text = " - ".join(part for part in (self.message, about) if part)
            id = request if place == 1 else f"{request}#{place}"
            yield AnswerAsked(id, text, self._options(told), _shown(told.get("default"), told))

    def _options(self, told: Table) -> tuple[str, ...]:
        if not self.properties or told.get("type") == "boolean":
            return (YES, NO)
        return tuple(label for label, _ in _choices(told))

    def reply(self, request: str, reply: Reply) -> Table | None:
        """Take an answer; the answer to the whole form when this settles it."""
        match reply:
            case Answered(text):
                return self._take(int(request.partition("#")[2] or 1) - 1, text)
            case Allow() | Deny():
                return DECLINED

    def _take(self, place: int, text: str) -> Table | None:
        if not self.properties:
            return {"action": "accept", "content": {}} if text == YES else DECLINED
        name, told = list(self.properties.items())[place]
        try:
            self.given[name] = _value(told, text.strip())
        except ValueError:
            return DECLINED
        return {"action": "accept", "content": self.given} if len(self.given) == len(self.properties) else None


def _choices(told: Table) -> list[tuple[str, object]]:
    """What may be chosen: what people see, and what the agent gets."""
    titled = [(word(one.get("title")) or word(one.get("const")), one.get("const")) for one in tables(told.get("oneOf"))]
    plain = told.get("enum")
    return [*titled, *((word(one), one) for one in (plain if isinstance(plain, list) else []))]


def _shown(value: object, told: Table) -> str:
    """A default as people see it."""
    if isinstance(value, bool):
        return YES if value else NO
    known = next((label for label, const in _choices(told) if const == value), "")
    return known or (str(value) if isinstance(value, str | int | float) else "")


def _value(told: Table, text: str) -> object:
    """An answer as the form wants it. Raises ValueError for one that it cannot be."""
    match told.get("type"):
        case "boolean":
            if text.lower() not in (YES, NO):
                raise ValueError(text)
            return text.lower() == YES
        case "integer":
            return int(text)
        case "number":
            return float(text)
        case _:
            return dict(_choices(told)).get(text, text)
