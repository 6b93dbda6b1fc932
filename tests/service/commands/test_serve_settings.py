"""The settings of `softkv serve`: its options, and messages about invalid ones and about the environment."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from softkv.commands.command_line import CommandError, read_key
from softkv_service.commands.serve import read_settings
from softkv_service.commands.stores import _parse_address
from softkv_service.settings import Settings, unknown_variables
from tests.service.commands.conftest import Softkv


def invalid(**options: str) -> str:
    """Read settings that a `serve` with these options, or with the environment, does not take → its message."""
    with pytest.raises(CommandError) as caught:
        read_settings(options)
    return str(caught.value)


def test_every_setting_but_a_secret_has_an_option(bare: Softkv) -> None:
    lines = bare("serve", "--help", COLUMNS="200").output
    options = set(re.findall(r"^│ --([a-z-]+) ", lines, re.MULTILINE)) - {"help"}
    secrets = {"api-keys", "read-keys"}
    assert options | secrets == {name.replace("_", "-") for name in Settings.model_fields}
    assert not options & secrets
    assert "[default: (8000)]" in lines
    assert "needs softkv[postgres]. If unset, collections are in --data-dir." in " ".join(
        lines.replace("│", "").split()
    )


@pytest.mark.parametrize("value", ["0", "many"])
def test_an_option_beyond_its_range_is_misuse(bare: Softkv, value: str) -> None:
    ended = bare("serve", "--max-queue", value)
    assert ended.exit_code == 2
    assert "--max-queue" in ended.stderr


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("API_KEY", "API_KEYS"),
        ("APIKEYS", "API_KEYS"),
        ("KEYS", "API_KEYS"),
        ("READ_KEY", "READ_KEYS"),
        ("KEYFILE", "KEYS_FILE"),
        ("KEY_FILE", "KEYS_FILE"),
    ],
)
def test_a_variable_that_was_meant_to_close_the_service_is_refused(
    variable: str, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"SOFTKV_{variable}", "abc")
    message = f"SOFTKV_{variable} is not a setting and has no effect: did you mean SOFTKV_{meant}?"
    assert invalid() == message


def test_other_unknown_variables_are_named_with_the_nearest_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"PORTT": "PORT", "OPENAI_KEY": None, "ZEBRA": None, "KEY": None, "URL": None, "SERVICE_HOST": None}
    for name in names:
        monkeypatch.setenv(f"SOFTKV_{name}", "x")
    unknown = list(unknown_variables("api_key_env = 'SOFTKV_OPENAI_KEY'"))
    assert [
        (variable.name, variable.nearest, variable.opens) for variable in unknown if variable.name[7:] in names
    ] == [("SOFTKV_PORTT", "SOFTKV_PORT", False), ("SOFTKV_ZEBRA", None, False)]


def test_a_store_that_is_not_postgresql_is_refused() -> None:
    assert invalid(store="mysql://a").startswith(
        "--store: expected the address of a PostgreSQL database such as postgres"
    )


def test_an_open_address_needs_a_decision() -> None:
    assert "SOFTKV_API_KEYS" in invalid(host="0.0.0.0")


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        ("allowed_hosts", "http://softkv.example:8000", "expected host names without scheme and port"),
        ("allowed_hosts", "*.example", "expected host names"),
        (
            "cors_origins",
            "https://ok.example,app.example",
            "expected origins (scheme, name, optional port) or * for any",
        ),
        ("cors_origins", "https://a.example/", "expected origins"),
        ("frame_ancestors", "'self'; script-src *", "expected 'none', or sources separated by a space"),
        ("log_level", "loud", "Input should be 'debug', 'info',"),
    ],
)
def test_a_setting_that_is_refused(setting: str, value: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert invalid(**{setting: value}).startswith(f"--{setting.replace('_', '-')}: {expected}")
    monkeypatch.setenv(f"SOFTKV_{setting.upper()}", value)
    assert invalid().startswith(f"SOFTKV_{setting.upper()}: {expected}")


@pytest.mark.parametrize("value", ["proxy.example", "*", "10.0.0.1/8", "10.0.0.1:80", "127.0.0.1,::1]"])
def test_an_invalid_proxy_address_is_refused(value: str) -> None:
    message = invalid(trusted_proxies=value, allow_anonymous="read")
    assert message.startswith("--trusted-proxies: expected addresses and networks separated by commas")
    assert repr(value.split(",")[-1]) in message


def test_behind_a_proxy_callers_need_a_decision() -> None:
    message = invalid(trusted_proxies="127.0.0.1")
    assert message.startswith("through a proxy other machines reach the service, and it has no keys")


@pytest.mark.parametrize("value", ["softkv", "/a//b", "/..", "/a b", "https://softkv.example/a", "/a?b"])
def test_an_invalid_root_path_is_refused(value: str) -> None:
    assert invalid(root_path=value).startswith("--root-path: expected a path of letters, digits and -._~")


def test_a_root_path_of_the_service_itself() -> None:
    assert "begins like a path of the service itself" in invalid(root_path="/v1/search")


PATHS = [name for name, field in Settings.model_fields.items() if field.annotation in (Path, Path | None)]


@pytest.mark.parametrize("name", PATHS)
def test_a_tilde_is_the_home_directory_where_no_shell_expands_it(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv(f"SOFTKV_{name.upper()}", "~/of softkv")
    if name == "encoders":  # which is read at once
        assert "the file of encoders /home/ada/of softkv cannot be read" in invalid()
    else:
        assert getattr(Settings(), name) == Path("/home/ada/of softkv")
    monkeypatch.setenv(f"SOFTKV_{name.upper()}", "~nobody-of-this-name/x")
    with pytest.raises(ValueError, match="cannot tell the home directory in '~nobody-of-this-name/x'"):
        Settings()


@pytest.mark.parametrize("name", sorted(set(PATHS) - {"encoders"}))
def test_a_path_is_that_of_the_moment_when_the_settings_are_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(f"SOFTKV_{name.upper()}", "data/of softkv")
    settings, default = Settings(), Settings(data_dir=Settings.model_fields["data_dir"].default)
    monkeypatch.chdir("/")
    assert getattr(settings, name) == tmp_path / "data/of softkv"
    assert default.data_dir == tmp_path / "data"


def test_a_file_of_encoders_is_that_of_the_moment_when_the_settings_are_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "encoders.toml").write_text('default = "a"\n[encoders.a]\nmodel = "all-MiniLM-L6-v2"\n')
    monkeypatch.chdir(tmp_path)
    assert Settings(encoders="encoders.toml").encoders == tmp_path / "encoders.toml"


TEXTS = {"api_keys": "{}", "read_keys": "a,{}", "data_dir": "{}", "host": "{}", "encoder": "{}", "port": "{}"}
TEXTS |= {"keys_file": "{}", "store": "{}", "log_level": "{}", "unix_socket": "{}", "cors_origins": "{}"}


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('"value"', "expected a value without quotes"),
        ("value'", "expected a value without quotes"),
        ("${VALUE}", "the name of a variable in ${ }, which nothing has replaced"),
        ("$(VALUE)", "the name of a variable in $( ), which Kubernetes leaves where it knows none"),
        ("value # VALUE", "expected a value without a comment, which would be part of it"),
        ("value\r", "got one with a carriage return, the line end of Windows"),
    ],
)
def test_quotes_and_names_left_by_a_file_of_variables_are_refused(
    name: str, value: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"SOFTKV_{name.upper()}", TEXTS[name].format(value))
    message = invalid()
    assert message.startswith(f"SOFTKV_{name.upper()}: ")
    assert expected in message
    assert "value'" not in message
    assert "VALUE" not in message.removeprefix(f"SOFTKV_{name.upper()}")


def test_a_quote_within_a_list_of_keys_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFTKV_API_KEYS", 'first,"second",third')
    assert invalid() == "SOFTKV_API_KEYS: expected keys without quotes, got one with: remove the quotes"
    monkeypatch.setenv("SOFTKV_API_KEYS", "first,second")
    assert read_settings({}).api_keys == ("first", "second")


@pytest.mark.parametrize("value", ["", " "])
def test_an_empty_directory_is_not_the_working_directory(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SOFTKV_DATA_DIR", value)
    assert invalid().startswith("SOFTKV_DATA_DIR: expected a directory, got an empty text: name one")


def test_the_port_of_a_kubernetes_service_named_softkv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFTKV_PORT", "tcp://10.96.0.10:8000")
    message = invalid()
    assert message.startswith("SOFTKV_PORT: expected the number of a port, got tcp://10.96.0.10:8000")
    assert message.endswith("`enableServiceLinks: false` to the pod's spec")


def test_a_key_file_and_a_store_to_copy_may_be_in_the_home_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "key").write_text("open sesame\n", encoding="utf-8")
    assert read_key("@~/key") == "open sesame"
    assert _parse_address("sqlite:~/data") == _parse_address("~/data") == tmp_path.resolve() / "data"
