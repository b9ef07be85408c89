"""The shell functions that run on hosts: two files, sent with the calls of one host behind them."""

from importlib.resources import files

from provision.quoting import sh


def functions(name: str) -> str:
    """The text of observe.sh or apply.sh."""
    return files(__name__).joinpath(f"{name}.sh").read_text(encoding="utf-8")


def call(function: str, *words: str) -> str:
    """One line that calls a function with literal words."""
    return " ".join((function, *(sh(word).text for word in words)))
