"""The standard library, with the examples and errors of its reference."""

import pytest

from local_cloud.workflows.errors import WorkflowError
from local_cloud.workflows.library import ARITIES, Library, Surroundings
from local_cloud.workflows.limits import MAX_STRING_BYTES
from local_cloud.workflows.values import Value, type_name
from tools.workflow_runs import NOON

ENVIRONMENT = {"GOOGLE_CLOUD_PROJECT_ID": "demo", "MINE": "own"}
LIBRARY = Library(Surroundings(now=lambda: NOON, new_uuid=lambda: "some-uuid", environment=ENVIRONMENT))
NESTED: Value = {"a": {"b": {"c": 1}}, "n": None}


@pytest.mark.parametrize(
    ("function", "arguments", "value"),
    [
        ("base64.decode", ["AQI="], b"\x01\x02"),
        ("base64.encode", [b"\x01\x02"], "AQI="),
        ("default", [None, 1], 1),
        ("default", [False, 1], False),
        ("double", ["2.7"], 2.7),
        ("double", ["-1e3"], -1000.0),
        ("double", [2], 2.0),
        ("get_type", [None], "null"),
        ("get_type", [True], "boolean"),
        ("get_type", [1], "integer"),
        ("get_type", [1.0], "double"),
        ("get_type", ["a"], "string"),
        ("get_type", [b"a"], "bytes"),
        ("get_type", [[]], "list"),
        ("get_type", [{}], "map"),
        ("if", [True, 1, 2], 1),
        ("if", [False, 1, 2], 2),
        ("if", [None, 1, 2], 2),
        ("int", [2.7], 2),
        ("int", [-2.7], -2),
        ("int", ["42"], 42),
        ("int", ["-42"], -42),
        ("int", [3], 3),
        ("json.decode", ['{"a": [1, 2.5, null]}'], {"a": [1, 2.5, None]}),
        ("json.decode", [b"true"], True),
        ("json.encode", [{"b": 1, "a": "é"}], '{"a":"é","b":1}'.encode()),
        ("json.encode_to_string", [[1, "x"]], '[1,"x"]'),
        ("keys", [{"b": 1, "a": 2}], ["a", "b"]),
        ("len", ["héllo"], 5),
        ("len", [[1, 2]], 2),
        ("len", [{"a": 1}], 1),
        ("list.concat", [[1], [2]], [1, [2]]),
        ("list.prepend", [[1], 0], [0, 1]),
        ("map.delete", [{"a": 1, "b": 2}, "a"], {"b": 2}),
        ("map.delete", [{"a": 1}, "b"], {"a": 1}),
        ("map.get", [NESTED, "n"], None),
        ("map.get", [NESTED, "nokey"], None),
        ("map.get", [NESTED, ["a", "b", "c"]], 1),
        ("map.get", [NESTED, ["a", "x", "c"]], None),
        ("map.get", [NESTED, ["a", "b", "c", "d"]], None),
        ("map.get", [NESTED, []], NESTED),
        ("map.get", ["no map", "key"], None),
        ("map.merge", [{"a": {"x": 1}}, {"a": {"y": 2}}], {"a": {"y": 2}}),
        (
            "map.merge_nested",
            [{"a": {"x": 1}, "b": 1}, {"a": {"y": 2}, "b": {}}],
            {"a": {"x": 1, "y": 2}, "b": {}},
        ),
        ("math.abs", [-3], 3),
        ("math.abs", [-3.5], 3.5),
        ("math.floor", [-3.5], -4),
        ("math.floor", [3], 3),
        ("math.max", [1, 2.5], 2.5),
        ("math.min", [1, 2.5], 1),
        ("string", [1.7], "1.7"),
        ("string", [12], "12"),
        ("string", [True], "true"),
        ("string", [False], "false"),
        ("string", ["x"], "x"),
        ("sys.get_env", ["GOOGLE_CLOUD_PROJECT_ID"], "demo"),
        ("sys.get_env", ["MINE", "other"], "own"),
        ("sys.get_env", ["NONE", "other"], "other"),
        ("sys.now", [], NOON.timestamp()),
        ("text.decode", ["é".encode()], "é"),
        ("text.encode", ["é"], "é".encode()),
        ("text.match_regex", ["Hello World", "W[a-z]+d$"], True),
        ("text.match_regex", ["Hello", "^ello"], False),
        ("text.match_regex", ["a\\b", r"\\b$"], True),
        ("text.replace_all", ["a.b.c", ".", "-"], "a-b-c"),
        ("text.split", ["a,b,,c", ","], ["a", "b", "", "c"]),
        ("text.substring", ["héllo", 1, 3], "él"),
        ("text.substring", ["hello", 2, 2], ""),
        ("text.to_lower", ["HÉ"], "hé"),
        ("text.to_upper", ["hé"], "HÉ"),
        ("text.url_encode", ["a/b c+é~"], "a%2Fb%20c%2B%C3%A9~"),
        ("text.url_encode_plus", ["a/b c+"], "a%2Fb+c%2B"),
        ("time.format", [1_715_174_578.120062], "2024-05-08T13:22:58.120062Z"),
        ("time.format", [1_715_174_578], "2024-05-08T13:22:58Z"),
        ("time.format", [1_715_174_578, "America/New_York"], "2024-05-08T09:22:58-04:00"),
        ("time.parse", ["2024-05-08T13:22:58.120062Z"], 1_715_174_578.120062),
        ("time.parse", ["2024-05-08T15:22:58+02:00"], 1_715_174_578.0),
        ("uuid.generate", [], "some-uuid"),
    ],
)
def test_function_returns(function: str, arguments: list[Value], value: Value) -> None:
    found = LIBRARY.call(function, arguments)
    assert found == value
    assert type_name(found) == type_name(value)


@pytest.mark.parametrize(
    ("function", "arguments", "tag"),
    [
        ("base64.decode", ["@"], "ValueError"),
        ("base64.decode", [b"AQI="], "TypeError"),
        ("base64.encode", ["text"], "TypeError"),
        ("double", ["abc"], "ValueError"),
        ("double", ["nan"], "ValueError"),
        ("double", [True], "TypeError"),
        ("if", [1, 2, 3], "TypeError"),
        ("int", ["2.7"], "ValueError"),
        ("int", ["99999999999999999999"], "ValueError"),
        ("int", [True], "TypeError"),
        ("int", [None], "TypeError"),
        ("json.decode", ["not json"], "ValueError"),
        ("json.decode", ["NaN"], "ValueError"),
        ("json.decode", ["[" * 100_000], "ValueError"),
        ("json.decode", ["9223372036854775808"], "ValueError"),
        ("json.decode", [1], "TypeError"),
        ("json.encode", [b"bytes"], "TypeError"),
        ("keys", [[1]], "TypeError"),
        ("len", [1], "TypeError"),
        ("list.concat", ["a", "b"], "TypeError"),
        ("map.delete", [{"a": 1}, 1], "TypeError"),
        ("map.get", [NESTED, 1], "TypeError"),
        ("map.get", [NESTED, ["a", 1]], "TypeError"),
        ("map.merge", [{}, []], "TypeError"),
        ("math.abs", ["1"], "TypeError"),
        ("math.abs", [-(2**63)], "ValueError"),
        ("math.floor", [1e300], "ValueError"),
        ("math.max", [True, 1], "TypeError"),
        ("string", [None], "TypeError"),
        ("string", [[1]], "TypeError"),
        ("sys.get_env", ["NONE"], "KeyError"),
        ("sys.get_env", [1], "TypeError"),
        ("sys.get_env", ["NONE", 1], "TypeError"),
        ("text.decode", [b"\xff"], "ValueError"),
        ("text.match_regex", ["a", "("], "ValueError"),
        ("text.match_regex", ["aa", r"(a)\1"], "ValueError"),
        ("text.match_regex", ["aa", "a(?=a)"], "ValueError"),
        ("text.match_regex", ["aa", "(?<!b)a"], "ValueError"),
        ("text.replace_all", ["x" * 9, "x", "y" * MAX_STRING_BYTES], "ResourceLimitError"),
        ("text.split", ["abc", ""], "ValueError"),
        ("text.substring", ["abc", 2, 1], "ValueError"),
        ("text.substring", ["abc", 0, 4], "ValueError"),
        ("text.substring", ["abc", -1, 2], "ValueError"),
        ("text.substring", ["abc", 0.0, 2], "TypeError"),
        ("text.to_upper", [1], "TypeError"),
        ("text.url_encode", ["é" * (MAX_STRING_BYTES // 2)], "ResourceLimitError"),
        ("time.format", [0, "Nowhere/Town"], "ValueError"),
        ("time.format", [1e300], "ValueError"),
        ("time.format", ["now"], "TypeError"),
        ("time.parse", ["yesterday"], "ValueError"),
        ("time.parse", ["2024-05-08T13:22:58"], "ValueError"),
    ],
)
def test_function_raises(function: str, arguments: list[Value], tag: str) -> None:
    with pytest.raises(WorkflowError) as raised:
        LIBRARY.call(function, arguments)
    assert isinstance(raised.value.value, dict)
    tags = raised.value.value["tags"]
    assert isinstance(tags, list)
    assert tags[0] == tag


@pytest.mark.parametrize("name", sorted(ARITIES))
def test_function_can_be_called_with_as_many_arguments_as_the_loader_allows(name: str) -> None:
    for count in range(ARITIES[name].least, ARITIES[name].most + 1):
        try:
            LIBRARY.call(name, [None] * count)
        except WorkflowError:
            continue


def test_a_list_that_grows_is_another_list() -> None:
    before: list[Value] = [1]
    LIBRARY.call("list.concat", [before, 2])
    assert before == [1]
