"""Words to rows: normalise, find terms, refuse what cuts across words or is forbidden or reported, keep the rest.

The stages are separate modules, cheapest first: `normalise`, `lexicon` (the automaton), `segment` (jieba), `context`;
`signals` puts them together.
"""

from analyzer.text.lexicon import Lexicons, lexicon_ids, load_lexicons
from analyzer.text.reading import TextReader
from analyzer.text.signals import Signal, contact_texts, find, scan_contacts, store_signals

__all__ = ["Lexicons", "Signal", "TextReader", "contact_texts", "find", "lexicon_ids", "load_lexicons", "scan_contacts", "store_signals"]
