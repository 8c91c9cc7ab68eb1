"""A report is believed as far as it can be looked up: it cites what it speaks of."""

import re

from heddle.ports import Repository

_CITED = re.compile(r"([\w@+./-]{1,400}):[1-9][0-9]{0,6}\b")


async def uncited(repository: Repository, base: str, text: str) -> str:
    """What is wrong with a report that cites no line of any file of the commit; "" when it does, or there is none to cite."""
    files = set(await repository.list_files(base))
    if not files or any(match[1].removeprefix("./") in files for match in _CITED.finditer(text)):
        return ""
    return "it cites no line of any file that is there; a claim is shown as path:line"
