"""A Markdown checklist, such as ROADMAP.md: one task for each item with a box.

A task's name is made of its own words alone, so that it survives whatever changes around it; of several that have the
same words, the second and further ones are counted.
"""

import hashlib
import re
from collections import Counter

from heddle.adapters.trackers.checklist import Item, items
from heddle.adapters.trackers.telling import Found, line_of, settled, told
from heddle.core.links import Link, LinkKind
from heddle.ports.trackers import Listed

_MARKUP = re.compile(r"[*_`~]|\]\([^)]*\)|[\[\]]")
_SLUG_LIMIT = 40
_WORDS_LIMIT = 5_000


def markdown_tasks(text: str, place: str) -> tuple[Listed, ...]:
    """The tasks of a file that is called `place`. Raises UserError."""
    named: dict[int, str] = {}
    seen: Counter[str] = Counter()
    found = []
    for item in items(text):
        words = line_of(item.title)
        if not words and not item.text.strip():
            continue
        slug = slug_of(words or item.text)
        seen[slug] += 1
        source = f"markdown:{place}#{slug}" + (f"-{seen[slug]}" if seen[slug] > 1 else "")
        named[item.line] = source
        parent = item.under.line if item.under is not None else 0
        links = (Link(LinkKind.PARENT, named[parent]),) if parent in named else ()
        body = told(words, item.text, _context(item, place), instead=slug)
        found.append(Found(Listed(source, body, closed=item.checked, links=links), item.line))
    return settled(found, place)


def slug_of(title: str) -> str:
    """A name for these words: readable, and made unique among others by a digest of all of them."""
    words = " ".join(_MARKUP.sub("", line_of(title)[:_WORDS_LIMIT]).casefold().split())
    readable = "-".join(re.findall(r"\w+", words))[:_SLUG_LIMIT].strip("-")
    digest = hashlib.sha256(words.encode()).hexdigest()[:8]
    return f"{readable}-{digest}" if readable else digest


def _context(item: Item, place: str) -> str:
    under = " > ".join(line_of(title) for title in item.headings)
    return f'From {place}, under "{under}".' if under else f"From {place}."
