"""Whether a real agent loads the rules that Heddle says it loads."""

import re
from collections.abc import Mapping
from typing import Any

from heddle.core.rules.files import RuleFile
from heddle.core.rules.loading import Place, loaded_by
from heddle.core.session import TurnEnded
from modelserver import Turn


async def require_loads(place: Any, agent: str, texts: Mapping[str, str]) -> None:
    """Each file says RULE- and a letter; the model must have been told of those alone that `heddle rules show` names."""
    for path, text in texts.items():
        (place.tree / path).parent.mkdir(parents=True, exist_ok=True)
        (place.tree / path).write_text(text)
    files = [RuleFile(path, text) for path, text in texts.items()]
    loads = {one.path for one in loaded_by(agent, files, Place.SESSION) or ()}
    place.server.play("rules", Turn("Yes."))
    async with place.play(place.brief("[[scn:rules]]")) as play:
        await play.until(TurnEnded)
        await play.close()
    wanted = {rule for file in files if file.path in loads for rule in re.findall("RULE-.", file.text)}
    assert set(re.findall("RULE-.", place.server.calls()[0].context)) == wanted
