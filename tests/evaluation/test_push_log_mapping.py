"""A mapping says what each column means: from TOML, from a small YAML, from flags, and never by guessing."""

import pytest

from tactful_lab.evaluation import small_yaml
from tactful_lab.evaluation.mapping import LogMap, read_map
from tactful_privacy.errors import InvalidInput

YAML = """\
# which column is what
columns:
  user: user_id        # the person
  time: "decided at"
  action: act
  propensity: p
  outcomes:
    opened: opened_24h
    bought: value_minor
  context: [age, 'is new']
  controls:
    - dosage_12h
    - dosage_3d
codes:
  sent_codes: [1, push]
  not_sent_codes: ["0", hold]
options:
  propensity_of: send
  time_zone: Asia/Shanghai
  delimiter: ";"
"""
TOML = """\
[columns]
user = "user_id"
time = "decided at"
action = "act"
propensity = "p"
outcomes = {opened = "opened_24h", bought = "value_minor"}
context = ["age", "is new"]
controls = ["dosage_12h", "dosage_3d"]
[codes]
sent_codes = [1, "push"]
not_sent_codes = ["0", "hold"]
[options]
propensity_of = "send"
time_zone = "Asia/Shanghai"
delimiter = ";"
"""
MEANT = LogMap(
    user="user_id",
    time="decided at",
    action="act",
    propensity="p",
    outcomes=(("opened", "opened_24h"), ("bought", "value_minor")),
    context=("age", "is new"),
    controls=("dosage_12h", "dosage_3d"),
    sent_codes=("1", "push"),
    not_sent_codes=("0", "hold"),
    propensity_of="send",
    time_zone="Asia/Shanghai",
    delimiter=";",
)


def written(folder, name, text):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(("name", "text"), [("map.yaml", YAML), ("map.yml", YAML), ("map.toml", TOML)])
def test_yaml_and_toml_mean_the_same(tmp_path, name, text):
    """Grouped keys, quoted names, lists in both spellings, comments, codes as numbers."""
    assert read_map(written(tmp_path, name, text)) == MEANT


def test_a_flat_file_is_read_too_and_flags_stand_over_it(tmp_path):
    """Keys without groups; a flag that is None changes nothing."""
    path = written(tmp_path, "map.yaml", "user: u\ntime: t\naction: a\noutcomes: y\nfixed_propensity: 0.5\n")
    assert read_map(path) == LogMap("u", "t", "a", (("y", "y"),), fixed_propensity=0.5)
    assert read_map(path, {"user": "person", "slot": None}).user == "person"
    only = {"user": "u", "time": "t", "action": "a", "outcomes": ["y", "z"], "propensity": "p"}
    assert read_map(None, only).outcomes == (("y", "y"), ("z", "z"))


def test_every_column_is_named_once():
    """In the order of the fields."""
    plan = LogMap("u", "t", "a", (("y", "y"), ("again", "y")), propensity="p", context=("c", "u"))
    assert plan.columns == ("u", "t", "a", "p", "y", "c")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ("outcomes:", "outcomes"),
        ("user:", "user"),
        ("propensity: p\nfixed_propensity: 0", "fixed_propensity"),
        ("fixed_propensity: much", "fixed_propensity"),
        ("propensity:", "propensity"),
        ("missing_outcomes: guess", "missing_outcomes"),
        ("propensity_of: both", "propensity_of"),
        ("sent_codes: [1, NO]", "sent_codes"),
        ("encoding: utf-5", "encoding"),
        ("time_zone: Mars/Base", "time_zone"),
        ("delimiter: ab", "delimiter"),
        ("colour: red", "mapping"),
        ("columns: {user: x}", "user"),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_refused(tmp_path, change, field):
    """The error names the key."""
    lines = {"user": "u", "time": "t", "action": "a", "outcomes": "y", "propensity": "p"}
    for line in change.splitlines():
        key, _, value = line.partition(": ")
        lines[key.rstrip(":")] = value
    text = "".join(f"{key}: {value}\n" for key, value in lines.items())
    with pytest.raises(InvalidInput) as error:
        read_map(written(tmp_path, "map.yaml", text))
    assert error.value.field == field
    assert error.value.remedy


@pytest.mark.parametrize(("name", "text"), [("map.toml", "user = "), ("map.json", "{}"), ("none.yaml", None)])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, name, text):
    """Broken TOML, another format, no file."""
    path = tmp_path / name if text is None else written(tmp_path, name, text)
    with pytest.raises(InvalidInput, match=name):
        read_map(path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", {}),
        ("---\na: 1\n", {"a": 1}),
        ("\ufeffa: b", {"a": "b"}),
        (
            "a: yes\nb: true\nc: null\nd: ~\ne: 1.5\nf: '1.5'",
            {"a": "yes", "b": True, "c": None, "d": None, "e": 1.5, "f": "1.5"},
        ),
        ("a:\n- 1\n- x y\nb: 2", {"a": [1, "x y"], "b": 2}),
        ("a: []\nb: {c: 1, d: 'e, f'}", {"a": [], "b": {"c": 1, "d": "e, f"}}),
        ("a: ['x, y', z]", {"a": ["x, y", "z"]}),
        ("a: 'it # is' # not\nb: c#d", {"a": "it # is", "b": "c#d"}),
        ("时间: 决定时间", {"时间": "决定时间"}),
        ("a:\n  b:\n    c: 1\n  d: 2", {"a": {"b": {"c": 1}, "d": 2}}),
    ],
)
def test_the_yaml_that_is_read(text, value):
    """Words, numbers, quotes, lists, nested keys; yes is a word."""
    assert small_yaml.parse(text) == value


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\na: 2", 2),
        ("a: &x 1", 1),
        ("a: |\n  text", 1),
        ("a: *x", 1),
        ("just words", 1),
        ("a: 1\n  b: 2", 2),
        ("a:\n  b: 1\n c: 2", 3),
        ("\ta: 1", 1),
        ("a: [[1], 2]", 1),
        ("a: [1", 1),
        ("- a\n- b", 1),
        ("a: 'open", 1),
    ],
)
def test_the_yaml_that_is_refused_with_its_line(text, line):
    """Nothing is guessed."""
    with pytest.raises(InvalidInput, match=f"line {line}"):
        small_yaml.parse(text)
