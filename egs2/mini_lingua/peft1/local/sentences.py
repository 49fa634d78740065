"""The sentence grammars in `lang/*.txt`: reading them and drawing sentences from them.

A grammar file is UTF-8 text in NFC:

    # a comment line
    <s> = <person> <eats> <food>
        | <person> sleeps
    <person> = the teacher | my <relative>

`<name> = alternative | alternative` defines a rule; a line that starts with `|` continues the
rule above it. An alternative is a sequence of words and `<names>`. The start rule is `<s>`, rules
do not refer to themselves, and agreement is done by splitting rules by gender, number or case.
Words are lower-case and without punctuation.
"""

import random
import re
import unicodedata
from pathlib import Path

Grammar = dict[str, list[list[str]]]

_RULE = re.compile(r"<([a-z_]+)>\s*=\s*(.*)")
_NAME = re.compile(r"<([a-z_]+)>")


def read_grammar(path: str | Path) -> Grammar:
    """Read a grammar file into `{rule: [[symbol, ...], ...]}`.

    Raises ValueError with all faults: undefined, unused and recursive rules, text not in NFC,
    symbols other than letters and their marks.
    """
    path = Path(path)
    text = path.read_text(encoding="utf-8")
    grammar: Grammar = {}
    faults = []
    rule = None
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        place = f"{path}:{number}"
        if not line or line.startswith("#"):
            continue
        match = _RULE.fullmatch(line)
        if match:
            rule, body = match.groups()
            if rule in grammar:
                faults.append(f"{place}: rule <{rule}> is defined twice")
            grammar[rule] = []
        elif line.startswith("|") and rule is not None:
            body = line[1:]
        else:
            faults.append(f"{place}: '{line}', expected '<name> = ...' or '| ...'")
            continue
        for alternative in body.split("|"):
            symbols = alternative.split()
            if not symbols:
                faults.append(f"{place}: an empty alternative")
            grammar[rule].append(symbols)
            faults += [f"{place}: {fault}" for s in symbols if (fault := _word_fault(s))]
    faults += _rule_faults(path, grammar)
    if faults:
        raise ValueError("\n".join(faults))
    return grammar


def _word_fault(symbol: str) -> str | None:
    if _NAME.fullmatch(symbol):
        return None
    if unicodedata.normalize("NFC", symbol) != symbol:
        return f"'{symbol}' is not in Unicode NFC"
    if symbol != symbol.lower():
        return f"'{symbol}' is not lower-case"
    if not all(unicodedata.category(c)[0] in "LM" for c in symbol):
        return f"'{symbol}' has characters other than letters"
    return None


def _rule_faults(path: Path, grammar: Grammar) -> list[str]:
    if "s" not in grammar:
        return [f"{path}: no start rule <s>"]
    uses = {
        rule: {m[1] for symbols in grammar[rule] for s in symbols if (m := _NAME.fullmatch(s))}
        for rule in grammar
    }
    faults = [
        f"{path}: <{rule}> uses <{used}>, which is not defined"
        for rule in grammar
        for used in sorted(uses[rule] - set(grammar))
    ]
    used = set().union({"s"}, *uses.values())
    faults += [f"{path}: rule <{rule}> is not used" for rule in grammar if rule not in used]
    # A rule is settled when all that it uses is settled; what never settles is recursive.
    settled: set[str] = set()
    while new := {r for r in grammar if r not in settled and uses[r] & set(grammar) <= settled}:
        settled |= new
    faults += [f"{path}: rule <{rule}> refers to itself" for rule in grammar if rule not in settled]
    return faults


def words(grammar: Grammar) -> list[str]:
    """All words of the grammar, sorted."""
    symbols = {s for rule in grammar.values() for symbols in rule for s in symbols}
    return sorted(s for s in symbols if not _NAME.fullmatch(s))


def expand(grammar: Grammar, rng: random.Random, rule: str = "s") -> list[str]:
    """Draw one sentence: at each rule, every alternative is equally likely."""
    result = []
    for symbol in rng.choice(grammar[rule]):
        match = _NAME.fullmatch(symbol)
        result += expand(grammar, rng, match[1]) if match else [symbol]
    return result


def draw_sentences(grammar: Grammar, n: int, seed: str) -> list[str]:
    """Draw `n` different sentences; the first k are the same for any n >= k.

    Raises ValueError when the grammar does not yield that many.
    """
    rng = random.Random(seed)
    sentences: dict[str, None] = {}
    fruitless = 0
    while len(sentences) < n:
        before = len(sentences)
        sentences[" ".join(expand(grammar, rng))] = None
        fruitless = 0 if len(sentences) > before else fruitless + 1
        if fruitless > 1000:
            raise ValueError(
                f"the grammar yielded only {len(sentences)} different sentences, expected {n}; "
                "add words or ask for fewer utterances"
            )
    return list(sentences)
