"""The shell functions that run on hosts, sent with the calls of one host behind them."""

from importlib.resources import files

from provision.quoting import sh


def functions(*names: str) -> str:
    """The text of observe.sh, apply.sh and others."""
    texts = (files(__name__).joinpath(f"{name}.sh").read_text(encoding="utf-8") for name in names)
    return "".join(texts)


def call(function: str, *words: str) -> str:
    """One line that calls a function with literal words."""
    return " ".join((function, *(sh(word).text for word in words)))
