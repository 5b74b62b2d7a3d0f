"""Words to rows: normalise, find terms, refuse what cuts across words or is forbidden or reported, keep the rest.

The stages are separate modules, cheapest first: `normalise`, `lexicon` and `terms`, `segment` (jieba), `context`;
`signals` puts them together.
"""

from analyzer.text.finder import TAKEN_BACK, Signal, find
from analyzer.text.lexicon import Lexicons, labels_of, lexicon_ids, load_lexicons
from analyzer.text.reading import TextReader, kept_words, read_here, scan_contacts, words_digest
from analyzer.text.second_reader import Words, load_words
from analyzer.text.signals import Read, contact_texts, store_signals

__all__ = [
    "TAKEN_BACK", "Lexicons", "Read", "Signal", "TextReader", "Words", "contact_texts", "find", "kept_words", "labels_of", "lexicon_ids", "load_lexicons", "load_words",
    "read_here", "scan_contacts", "store_signals", "words_digest",
]  # fmt: skip
