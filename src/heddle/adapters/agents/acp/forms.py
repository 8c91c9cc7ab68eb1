"""A form that the agent wants filled in (elicitation), as questions that are answered one by one."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from heddle.adapters.agents.acp.wire import Table, table, tables, word
from heddle.core.session import Allow, AnswerAsked, Answered, Deny, Reply

YES, NO = "yes", "no"
DECLINED: Table = {"action": "decline"}
CONFIRMATION = ""
"""Stands for the property of a form that has none: its message is to be confirmed."""

SIMPLE = ("string", "boolean", "number", "integer")


@dataclass(slots=True)
class Form:
    """One request. `number`: the agent's id of it; `requests`: what each question's id asks for. It is answered with the
    last of its questions: declined, when one was not answered, or not with what it is for.
    """

    number: object
    message: str
    requests: dict[str, str]
    properties: dict[str, Table]
    texts: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, number: object, params: Table) -> "Form | None":
        """The form of a request; None when it holds what no text can answer. What may be left out is not asked for."""
        schema = table(params.get("requestedSchema"))
        named = {name: table(told) for name, told in table(schema.get("properties")).items()}
        required = schema.get("required")
        if isinstance(required, list) and any(name in required for name in named):
            named = {name: told for name, told in named.items() if name in required}
        if params.get("mode", "form") != "form" or any(told.get("type") not in SIMPLE for told in named.values()):
            return None
        asked = list(named) or [CONFIRMATION]
        requests = {str(number) if at == 1 else f"{number}#{at}": name for at, name in enumerate(asked, start=1)}
        return cls(number, word(params.get("message")), requests, named)

    def asked(self) -> Iterator[AnswerAsked]:
        """A question for each property; the first bears the request's id, a further one a number after it."""
        for request, name in self.requests.items():
            told = self.properties.get(name, {"type": "boolean"})
            about = word(told.get("title")) or word(told.get("description")) or name
            text = " - ".join(part for part in (self.message, about) if part)
            options = (YES, NO) if told.get("type") == "boolean" else tuple(label for label, _ in _choices(told))
            yield AnswerAsked(request, text, options, _shown(told.get("default"), told))

    def reply(self, request: str, reply: Reply) -> Table | None:
        """Take an answer; the answer to the whole form when this was the last one."""
        match reply:
            case Answered(text):
                self.texts[request] = text.strip()
            case Allow() | Deny():
                return DECLINED
        return self._filled() if len(self.texts) == len(self.requests) else None

    def _filled(self) -> Table:
        if not self.properties:
            return {"action": "accept", "content": {}} if YES in self.texts.values() else DECLINED
        try:
            given = {
                name: _value(self.properties[name], self.texts[request]) for request, name in self.requests.items()
            }
        except ValueError:
            return DECLINED
        return {"action": "accept", "content": given}


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
