"""Search in Chinese by pairs of letters: no dictionary, and a part of a word is found."""

import re
from typing import Any

from sphinx.search import SearchLanguage

_WORD = re.compile(r"[a-zA-Z0-9_]+|[\u4e00-\u9fff]+")
_SPLITTER = """
function splitQuery(query) {
  const found = [];
  for (const part of query.match(/[a-zA-Z0-9_]+|[\\u4e00-\\u9fff]+/g) || []) {
    if (/[a-zA-Z0-9_]/.test(part) || part.length < 3) found.push(part);
    else for (let i = 0; i + 1 < part.length; i++) found.push(part.slice(i, i + 2));
  }
  return found;
}
"""


class Pairs(SearchLanguage):
    """Latin words as they are, Chinese ones as their pairs of letters."""

    lang = "zh"
    language_name = "Chinese"
    js_stemmer_code = "var Stemmer = class { stemWord(word) { return word; } };"
    js_splitter_code = _SPLITTER
    stopwords: frozenset[str] = frozenset()

    def split(self, input: str) -> "list[str]":
        """Returns the words of a text."""
        found = []
        for part in _WORD.findall(input):
            if part[0] < "\u4e00" or len(part) < 3:
                found.append(part)
            else:
                found += [part[i : i + 2] for i in range(len(part) - 1)]
        return found

    def word_filter(self, stemmed_word: str) -> bool:
        """Whether a word is worth an entry."""
        return len(stemmed_word) > 1

    def stem(self, word: str) -> str:
        """Returns a word as it is looked for."""
        return word.lower()


def setup(app: Any) -> "dict[str, bool]":
    """Tells Sphinx of the language."""
    app.add_search_language(Pairs)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
