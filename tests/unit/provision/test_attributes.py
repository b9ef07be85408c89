"""Layers of attributes, merged into one typed value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.attributes import Resolved, ladder, resolve
from provision.content import SecretRef
from provision.errors import InputError
from provision.layers import FAMILIES, Family, Given, Layer, LayerName, Layers, Level, read_layer
from provision.schema import Attributes, documented
from provision.source import Origin
from provision.values import Duration
from tests.unit.provision.projects import node

LEVELS: tuple[Level, ...] = ("file", "environment", "role", "node")


def layer(text: str, family: Family = "default", level: Level = "role", name: str = "x") -> Layer:
    """Read a layer that is right."""
    problems: list[InputError] = []
    found = read_layer(
        node(text, f"{name}.yml"), LayerName(family=family, level=level, name=name), problems.append
    )
    assert problems == []
    return found


def merged(*texts: str) -> Resolved:
    """Resolve layers, the lowest first."""
    return resolve([layer(text, name=f"l{number}") for number, text in enumerate(texts)])


def wrong(text: str) -> list[InputError]:
    """Return all that is wrong with a layer."""
    problems: list[InputError] = []
    name = LayerName(family="default", level="role", name="x")
    read_layer(node(text, "x.yml"), name, problems.append)
    return problems


class TestMerging:
    """How values of several layers meet is the schema's matter."""

    def test_without_layers_the_schema_speaks(self) -> None:
        """And says which attributes a host has to have."""
        found = resolve([])
        assert found.attributes == Attributes()
        assert found.missing == ("postgresql.version",)

    def test_the_higher_layer_wins(self) -> None:
        """What it does not mention stays."""
        found = merged(
            "pitr: {archive: {timeout: 60s, enabled: false}}", "pitr: {archive: {timeout: 2min}}"
        )
        assert found.attributes.pitr.archive.timeout == Duration(seconds=120)
        assert not found.attributes.pitr.archive.enabled

    def test_a_list_is_replaced_unless_the_schema_says_otherwise(self) -> None:
        """Flags are replaced; recipients are added, each once."""
        found = merged(
            "pitr: {base_backup: {flags: [a]}, encryption: {recipients: [a, b]}}",
            "pitr: {base_backup: {flags: [b]}, encryption: {recipients: [c, a]}}",
        ).attributes.pitr
        assert found.base_backup.flags == ("b",)
        assert found.encryption.recipients == ("a", "b", "c")

    def test_a_map_is_merged_by_its_keys(self) -> None:
        """And sorted, so that it does not matter which layer says what."""
        found = merged(
            "pitr: {environment: {B: b, A: a}}",
            'pitr: {environment: {B: {secret: "env:B"}, AA: x}}',
        ).attributes.pitr.environment
        assert list(found.items()) == [
            ("A", "a"),
            ("AA", "x"),
            ("B", SecretRef(scheme="env", name="B")),
        ]

    def test_the_names_of_settings_are_the_same_in_any_case(self) -> None:
        """As they are to the server."""
        found = merged(
            "postgresql: {version: 15, settings: {TimeZone: UTC}}",
            "postgresql: {settings: {timezone: Europe/Berlin}}",
        )
        assert found.attributes.postgresql.settings == {"timezone": "Europe/Berlin"}

    def test_records_are_merged_by_their_names(self) -> None:
        """Key by key, in the order of their first mention."""
        found = merged(
            """
            pitr:
              drill:
                checks:
                  - {name: rows, query: select 1, expect: "1"}
                  - {name: age, query: select true}
            """,
            "pitr: {drill: {checks: [{name: age, enabled: false}, {name: rows, timeout: 1min}]}}",
        ).attributes.pitr.drill.checks
        assert [(each.name, each.expect, each.enabled) for each in found] == [
            ("rows", "1", True),
            ("age", "t", False),
        ]
        assert found[0].timeout == Duration(seconds=60)

    def test_a_record_without_what_it_needs_is_refused(self) -> None:
        """At the line that names it."""
        with pytest.raises(
            InputError, match=r"l0\.yml:1: pitr\.drill\.checks\.a: query is missing"
        ):
            merged("pitr: {drill: {checks: [{name: a}]}}")


class TestNull:
    """`null` forgets what the layers below say."""

    @pytest.mark.parametrize(
        "null",
        [
            "pitr: {archive: {timeout: null}}",
            "pitr: {archive: null}",
            "pitr: null",
        ],
    )
    def test_the_schemas_default_is_back(self, null: str) -> None:
        """For an attribute, a section, or everything."""
        found = merged("pitr: {archive: {timeout: 2min}}", null)
        assert found.attributes == Attributes()

    def test_one_key_of_a_map_is_taken_out(self) -> None:
        """The others stay."""
        found = merged("pitr: {environment: {A: a, B: b}}", "pitr: {environment: {A: ~}}")
        assert found.attributes.pitr.environment == {"B": "b"}

    def test_a_list_that_grows_is_begun_anew(self) -> None:
        """By a layer in between."""
        found = merged(
            "pitr: {encryption: {recipients: [a]}}",
            "pitr: {encryption: {recipients: null}}",
            "pitr: {encryption: {recipients: [b]}}",
        )
        assert found.attributes.pitr.encryption.recipients == ("b",)

    def test_nothing_at_all_is_no_null(self) -> None:
        """Whoever comments out the last key of a map does not mean to empty it."""
        (error,) = wrong("pitr:\n  environment:\n    # A: a\n")
        assert error.message == "x.yml:2: pitr.environment: this has no value"
        assert "{}" in (error.hint or "")

    def test_a_higher_layer_goes_on(self) -> None:
        """What comes after a null holds."""
        found = merged("pitr: {profile: wal-e}", "pitr: null", "pitr: {profile: wal-g}")
        assert found.attributes.pitr.profile == "wal-g"


class TestWrongLayers:
    """Every error has a line and a path."""

    @pytest.mark.parametrize(
        ("text", "message", "hint"),
        [
            ("pitr: {archve: {}}", "pitr.archve does not exist", "Did you mean archive?"),
            ("prit: {}", "prit does not exist", "Did you mean pitr?"),
            ("pitr: {archive: {time_out: 1s}}", "pitr.archive.time_out does not exist", "timeout"),
            ("pitr: {archive: 5}", "pitr.archive: this is a number, not a map", ""),
            ("pitr: {environment: {a-b: x}}", "is not a name of a variable", ""),
            ("pitr: {environment: {FOO:bar}}", "is not a name of a variable", "blank"),
            ("postgresql: {settings: {A: 1, a: 2}}", "a is there already", ""),
            ("pitr: {drill: {checks: [{query: a}]}}", "this has no name", ""),
            ("pitr: {drill: {checks: [{name: a}, {name: a}]}}", "a is there already", ""),
            ("pitr: {drill: {checks: [{name: a, sql: b}]}}", "pitr.drill.checks.a.sql", ""),
            ("pitr: {drill: {checks: {a: b}}}", "this is a map, not a list", ""),
            ("pitr: {encryption: {identity: x}}", "only a reference to a secret", "bag:"),
            ("pitr: {repository: 's3://key:secret@bucket/'}", "pitr.repository", "credentials"),
            ("pitr: {recovery: {target: {time: latest}}}", "pitr.recovery.target.time", "newest"),
        ],
    )
    def test_a_wrong_layer_is_refused(self, text: str, message: str, hint: str) -> None:
        """With the words to write."""
        (error,) = wrong(text)
        assert error.message.startswith("x.yml:1: ")
        assert message in error.message
        assert hint in (error.hint or "")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (
                "postgresql: {version: 12, settings: {wal_keep_segments: 5, shared_bufers: 1}}",
                "PostgreSQL 12 has no setting shared_bufers",
            ),
            ("postgresql: {version: 15, settings: {max_wal_senders: many}}", "not a number"),
            (
                "pitr: {recovery: {target: {lsn: 0/1, immediate: true}}}",
                "lsn and immediate are given",
            ),
            ("pitr: {recovery: {mode: delayed}}", "pitr.recovery.mode: delayed without a delay"),
            ("pitr: {recovery: {delay: 8h}}", "pitr.recovery.delay: a delay in mode none"),
        ],
    )
    def test_values_that_do_not_fit_together_are_refused(self, text: str, message: str) -> None:
        """At the line of the value that wins."""
        with pytest.raises(InputError) as caught:
            merged(text)
        assert caught.value.message.startswith("l0.yml:1: ")
        assert message in caught.value.message

    def test_settings_wait_for_the_version(self) -> None:
        """Without one there is nothing to check them against."""
        assert merged("postgresql: {settings: {nonsense: 1}}").missing


class TestProvenance:
    """What each layer said is kept."""

    def test_the_deciding_line_is_known(self) -> None:
        """For the plan that names it."""
        found = merged("\npitr: {profile: wal-e}", "\n\npitr: {profile: wal-g}")
        assert found.origin("pitr.profile") == Origin(file="l1.yml", line=3)
        assert found.origin("pitr.prefix") is None

    def test_every_layer_is_kept_in_order(self) -> None:
        """The winner is the last."""
        found = merged("pitr: {profile: wal-e}", "pitr: {profile: wal-g}")
        values = found.provenance["pitr", "profile"]
        assert [each.given.value for each in values] == ["wal-e", "wal-g"]


# A number for each layer that sets an attribute, in the order of Chef's documentation.
CHEF: tuple[tuple[Family, Level], ...] = (
    ("default", "file"),
    ("default", "environment"),
    ("default", "role"),
    ("default", "node"),
    ("override", "file"),
    ("override", "role"),
    ("override", "environment"),
    ("override", "node"),
)
PATHS = {
    "port": ("postgresql", "port"),
    "keep": ("pitr", "retention", "keep_full"),
    "flags": ("pitr", "base_backup", "flags"),
    "recipients": ("pitr", "encryption", "recipients"),
}
ORIGIN = Origin(file="x.yml", line=1)
TEXTS = st.lists(st.sampled_from("abc"), max_size=3).map(tuple)
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "port": st.integers(1, 99),
        "keep": st.integers(1, 99),
        "flags": TEXTS,
        "recipients": TEXTS,
    },
)
Said = dict[str, object]


def layers(level: Level, name: str, said: Sequence[Said]) -> Layers:
    """Make both layers of a source."""
    default, override = (
        Layer(
            name=LayerName(family=family, level=level, name=name),
            given={
                PATHS[key]: Given(
                    value=value, origin=ORIGIN, attribute=PATHS[key], appends=key == "recipients"
                )
                for key, value in values.items()
            },
        )
        for family, values in zip(FAMILIES, said, strict=True)
    )
    return Layers(default=default, override=override)


class TestPrecedence:
    """Chef's ladder, whatever each layer says."""

    @given(
        st.fixed_dictionaries(
            {level: st.lists(st.tuples(VALUES, VALUES), max_size=2) for level in LEVELS}
        )
    )
    def test_values_win_as_on_the_ladder(self, said: dict[Level, list[tuple[Said, Said]]]) -> None:
        """Role over environment by default, environment over role in override."""
        said["environment"] = said["environment"][:1]
        said["node"] = said["node"][:1]
        sources = {
            level: [layers(level, f"{level}{i}", each) for i, each in enumerate(all_of)]
            for level, all_of in said.items()
        }
        found = resolve(
            ladder(
                files=sources["file"],
                environment=next(iter(sources["environment"]), None),
                roles=sources["role"],
                node=next(iter(sources["node"]), None),
            )
        ).attributes
        expected: Said = {"port": 5432, "keep": 7, "flags": (), "recipients": ()}
        recipients: list[str] = []
        for family, level in CHEF:
            for each in said[level]:
                values = each[FAMILIES.index(family)]
                expected.update(values)
                recipients += cast("tuple[str, ...]", values.get("recipients", ()))
        assert found.postgresql.port == expected["port"]
        assert found.pitr.retention.keep_full == expected["keep"]
        assert found.pitr.base_backup.flags == expected["flags"]
        assert found.pitr.encryption.recipients == tuple(dict.fromkeys(recipients))


class TestSchema:
    """The reference that is made of the schema."""

    def test_every_row_has_words(self) -> None:
        """Sentences, for people."""
        for row in documented():
            assert row.doc.endswith(".")
            assert row.is_section or row.kind

    def test_rows_say_what_the_schema_says(self) -> None:
        """Kind, default and merging."""
        rows = {row.path: row for row in documented()}
        assert rows["pitr.archive.timeout"].default == "1min"
        assert rows["postgresql.version"].default == "required"
        assert rows["postgresql.data_directory"].default == "from version and cluster"
        assert rows["pitr.encryption.recipients"].merge == "append_unique"
        assert rows["pitr.drill.checks"].merge == "by_name"
        assert rows["pitr.drill.checks[].query"].default == "required"
