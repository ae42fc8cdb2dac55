"""Patterns of texts with the words that are shown in their place.

msgspec names the regular expression where a text does not match it. `pattern` keeps words for each one, and `in_words`
puts them into the message.

    Url = Annotated[str, pattern(r"^https://[^\\s]+\\Z", "an address that begins with https://")]
    in_words(error, {"url": "http://x"})  # `url` must be an address that begins with https://, not "http://x"
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from msgspec import Meta

_MISMATCH: Final = re.compile(
    r"Expected `str` matching regex '(?P<regex>.*)'( - at (?P<place>.*))?", re.DOTALL
)
_WORDS: Final[dict[str, str]] = {}
"""Words by regular expression."""
MAX_VALUE: Final = 60
"""Characters that are shown of a text that was refused."""


def pattern(regex: str, words: str, *, min_length: int | None = None, max_length: int | None = None) -> Meta:
    r"""Return the constraint of a text, for `Annotated`.

    `regex`: from `^` to `\Z`, or to `$` for Pydantic, which takes the `pattern` of what is returned; `words`: completes
    the sentence "... must be".
    """
    _WORDS[regex] = words
    return Meta(pattern=regex, min_length=min_length, max_length=max_length, extra={"words": words})


def words_for(regex: str) -> str:
    """Return the words that `pattern` was given for a regular expression; empty for an unknown one."""
    return _WORDS.get(regex, "")


def words_of(meta: Meta) -> str:
    """Return the words of a constraint that `pattern` has made; empty for any other one."""
    return str((meta.extra or {}).get("words", ""))


def in_words(error: Exception, tree: object = None) -> str:
    """Return the text of an error, with words where msgspec has a regular expression.

    `tree`: what was converted, of which the refused text is shown; leave it out where it comes from others.
    """
    found = _MISMATCH.fullmatch(str(error))
    if found is None:
        return str(error)
    # The message has the expression in the quotes of a Python literal.
    regex = re.sub(r"\\(.)", r"\1", found["regex"], flags=re.DOTALL)
    place = found["place"] or "`$`"
    steps = [name or index for name, index in re.findall(r"\.(\w+)|\[(\d+|\.\.\.)\]", place)]
    name = ".".join(itertools.takewhile(str.isidentifier, steps))
    each = len(steps) > name.count(".") + bool(name)
    subject = f"`{name}`" if name else "the value"
    of_key = place.startswith("`key`")
    subject = f"a key of {subject}" if of_key else f"each of {subject}" if each else subject
    refused = next((text for text in _texts(tree, steps, keys=of_key) if not re.search(regex, text)), None)
    text = f"{subject} must be {_WORDS.get(regex, 'something else')}"
    return text if refused is None else f"{text}, not {_quoted(refused)}"


def _texts(tree: Any, steps: list[str], *, keys: bool) -> Iterator[str]:
    """Texts at a place of a tree; `...` stands for any key."""
    if steps:
        first, *rest = steps
        for key, value in tree.items() if isinstance(tree, dict) else _numbered(tree):
            if first in ("...", str(key)):
                yield from _texts(value, rest, keys=keys)
    elif keys and isinstance(tree, dict):
        yield from (key for key in tree if isinstance(key, str))
    elif isinstance(tree, str):
        yield tree


def _numbered(tree: Any) -> Iterable[tuple[int, Any]]:
    return enumerate(tree) if isinstance(tree, list | tuple) else ()


def _quoted(text: str) -> str:
    import json  # for an error only

    short = text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 3] + "..."
    return json.dumps(short, ensure_ascii=False)
