"""Two people with identities, the same in every process, and values that are hard to write down."""

from hypothesis import strategies as st

from provision.secrets.keys import Identity

ALICE = Identity(secret=bytes(range(1, 33)))
BOB = Identity(secret=bytes(range(2, 34)))

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True)

# What nothing may ever show: long enough never to occur by chance, and awkward to quote.
CANARIES = st.builds(
    "{}{}{}".format,
    st.from_regex(r"[A-Za-z]{8}[0-9]{8}", fullmatch=True),
    st.text("'\"\\%:/+=& $", max_size=4),
    st.from_regex(r"[a-z0-9]{8}", fullmatch=True),
)
