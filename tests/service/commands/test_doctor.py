"""`softkv doctor`: sound machines are sound, and each thing that is broken is named."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

import softkv.tables
from softkv_attention.kernels import kernels
from softkv_service.api.keyring import line_of
from softkv_service.commands.doctor import examination
from softkv_service.settings import Settings
from tests.checkpoints import FEW_TOKENS, link_default_model, write_cross_encoder
from tests.service.commands.conftest import COMMAND, Softkv, serving


def checks(bare: Softkv, data_dir: Path, *options: str, **environment: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code, and each check by its name."""
    ended = bare("doctor", "--data-dir", str(data_dir), "--json", *options, **environment)
    output = json.loads(ended.stdout)
    assert output["sound"] == (ended.exit_code == 0)
    return ended.exit_code, {check["name"]: check for check in output["checks"]}


@pytest.mark.parametrize(
    ("options", "prefix", "state"),
    [
        ("'--enable-shared' '--enable-optimizations' '--with-lto'", "/opt/python", "ok"),
        ("'--enable-shared' '--prefix=/usr'", "/usr", "ok"),  # Debian 12
        (None, "C:\\Python", "ok"),
        ("'--prefix=/home/me/.pyenv/versions/3.11.7' '--enable-shared'", "/home/me/.pyenv/versions/3.11.7", "note"),
    ],
)
def test_a_python_without_optimisation(options: str | None, prefix: str, state: str, monkeypatch: Any) -> None:
    monkeypatch.setattr("sysconfig.get_config_var", lambda name: {"CONFIG_ARGS": options}.get(name))
    monkeypatch.setattr("sys.base_prefix", prefix)
    machine = next(step for step in examination(Settings()) if step.name == "machine")
    (check,) = machine.run()
    assert (check.state, "use the system's Python" in check.detail) == (state, state == "note")


def test_a_sound_machine_and_a_verified_model(bare: Softkv, tmp_path: Path) -> None:
    code, report = checks(bare, tmp_path / "none")
    assert code == 0
    assert "Python 3." in report["machine"]["detail"]
    assert "softkv-core" in report["packages"]["detail"]
    assert [report[name]["state"] for name in ("torch", "sentence-transformers")] == ["ok"] * 2
    assert report["kernels"]["state"] == "ok"
    assert report["kernels"]["detail"].startswith(f"{kernels().NAME}; products are exact; ")
    assert "all-MiniLM-L6-v2: verified" in report["model"]["detail"]
    assert "384 wide" in report["model"]["detail"]
    assert "runs on attention/transformer, with" in report["model"]["detail"]
    assert "compared by cosine at temperature 0.05 (measured)" in report["model"]["detail"]
    assert (report["model"]["state"], report["data directory"]["state"]) == ("ok", "note")
    assert not (tmp_path / "none").exists()


def test_a_system_whose_reader_of_tables_is_not_confined_is_noted(
    bare: Softkv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = [
        (0, True, "note", "this system lacks Landlock, and gets no socket (seccomp)"),
        (7, False, "note", "can open no other (Landlock 7), and gets sockets, because this system lacks seccomp"),
        (7, True, "ok", "can open no other (Landlock 7), and gets no socket (seccomp)"),
    ]
    for version, filters, state, detail in cases:
        monkeypatch.setattr(softkv.tables, "landlock_version", lambda version=version: version)
        monkeypatch.setattr(softkv.tables, "filters_calls", lambda filters=filters: filters)
        code, report = checks(bare, tmp_path, "--encoder", "none")
        assert (code, report["tables"]["state"]) == (0, state)
        assert detail in report["tables"]["detail"]


def test_a_sound_data_directory_is_counted_and_left_alone(bare: Softkv, tmp_path: Path) -> None:
    with serving(tmp_path) as running:
        httpx.put(f"{running.url}/v1/collections/one", json={}, timeout=60)
        httpx.post(
            f"{running.url}/v1/collections/one/documents",
            json={"documents": [{"id": "a", "key_vector": [1]}]},
            timeout=60,
        )
        code, report = checks(bare, tmp_path, "--encoder", "none")
        assert code == 0
        assert f"in use by process {running.process.pid}" in report["data directory"]["detail"]
        assert httpx.get(f"{running.url}/v1/collections/one", timeout=60).json()["documents"] == 1
    code, report = checks(bare, tmp_path, "--encoder", "none")
    assert code == 0
    assert "is sound: 1 collection, 1 document" in report["data directory"]["detail"]


def test_a_damaged_database_is_broken(bare: Softkv, tmp_path: Path) -> None:
    (tmp_path / "softkv.sqlite3").write_bytes(b"SQLite format 3\0" + b"nonsense" * 1000)
    code, report = checks(bare, tmp_path, "--encoder", "none")
    assert code == 1
    assert report["data directory"]["state"] == "broken"


def test_a_database_that_cannot_be_reached_is_broken_and_no_directory_is_looked_at(
    bare: Softkv, tmp_path: Path
) -> None:
    pytest.importorskip("softkv_postgres", reason="install softkv[postgres]")
    with socket.socket() as free:  # bound, but not listening
        free.bind(("127.0.0.1", 0))
        address = f"postgresql://softkv:secret@127.0.0.1:{free.getsockname()[1]}/softkv"
        code, report = checks(bare, tmp_path / "none", "--encoder", "none", "--store", address)
    assert (code, report["store"]["state"]) == (1, "broken")
    assert "cannot be reached now" in report["store"]["detail"]
    assert "see that the server runs" in report["store"]["detail"]
    assert "secret" not in str(report)
    assert "data directory" not in report


def test_each_check_is_shown_before_the_next_one_ends(tmp_path: Path) -> None:
    """Check that a user sees which check hangs: here the last one, at a database that accepts and says nothing."""
    pytest.importorskip("softkv_postgres", reason="install softkv[postgres]")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"postgresql://softkv@127.0.0.1:{silent.getsockname()[1]}/softkv"
        command = [*COMMAND, "doctor", "--encoder", "none", "--store", address]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            connection, _ = silent.accept()
            with connection:
                names: list[str] = []
                while "model" not in names:
                    line = process.stdout.readline()
                    assert line, names
                    if not line.startswith(" "):  # as the rest of a long detail does
                        names.append(line.split()[0])
                assert process.poll() is None
            silent.close()
            rest, errors = process.communicate(timeout=60)
    assert names[:2] == ["machine", "packages"]
    assert re.match(r"store +broken", rest)
    assert (process.returncode, errors) == (1, "softkv: broken: store\n")


def test_a_model_that_is_not_there_is_broken(bare: Softkv, tmp_path: Path) -> None:
    ended = bare("doctor", "--data-dir", str(tmp_path), "--encoder", str(tmp_path / "no-model"))
    assert ended.exit_code == 1
    assert re.search(r"^model +broken", ended.stdout, re.MULTILINE)
    assert ended.stderr.endswith("softkv: broken: model\n")


def test_a_remark_about_a_model_is_a_note(bare: Softkv, tmp_path: Path) -> None:
    settings = json.dumps({"similarity_fn_name": "manhattan"})
    model = link_default_model(tmp_path / "model", FEW_TOKENS | {"config_sentence_transformers.json": settings})
    code, report = checks(bare, tmp_path / "none", "--encoder", str(model))
    assert (code, report["model"]["state"]) == (0, "note")
    assert "its maker compares vectors by 'manhattan'" in report["model"]["detail"]


def test_the_file_of_keys_is_read(bare: Softkv, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    options = ("--encoder", "none")
    old = line_of("old", "read", "", "1", expires="2020-01-31T18:00:00Z")
    file.write_text(f"{line_of('app', 'read', '', '2')}\n{old}\n")
    code, report = checks(bare, tmp_path / "none", *options, SOFTKV_KEYS_FILE=str(file))
    assert (code, report["keys"]["state"]) == (0, "note")
    assert report["keys"]["detail"] == f"{file}: 2 keys, expired: old"
    file.write_text('{"name": "app"}\n')
    code, report = checks(bare, tmp_path / "none", *options, SOFTKV_KEYS_FILE=str(file))
    assert (code, report["keys"]["state"]) == (1, "broken")
    assert "line 1 wants the fields" in report["keys"]["detail"]


def test_a_misspelt_setting_is_a_note(bare: Softkv, tmp_path: Path) -> None:
    code, report = checks(bare, tmp_path / "none", "--encoder", "none", SOFTKV_PORTT="9")
    assert (code, report["settings"]["state"]) == (0, "note")
    assert report["settings"]["detail"] == "SOFTKV_PORTT is not a setting and has no effect: did you mean SOFTKV_PORT?"


def test_an_invalid_setting_is_reported_before_any_check(bare: Softkv, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFTKV_THREADS", "none")
    ended = bare("doctor")
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert ended.stderr.startswith("softkv: SOFTKV_THREADS: ")


def test_each_encoder_of_a_file_is_checked(bare: Softkv, tmp_path: Path) -> None:
    (tmp_path / "encoders.toml").write_text(
        'default = "here"\n[encoders.here]\nmodel = "all-MiniLM-L6-v2"\n'
        '[encoders.gone]\nmodel = "/no/model"\n'
        '[encoders.far]\nurl = "http://127.0.0.1:9/v1"\nmodel = "m"\ntimeout_seconds = 2\n'
        f'[rerankers.pairs]\nmodel = "{write_cross_encoder(tmp_path / "pairs")}"\n'
        '[rerankers.lost]\nmodel = "/no/reranker"\n'
    )
    code, report = checks(bare, tmp_path / "none", SOFTKV_ENCODERS=str(tmp_path / "encoders.toml"))
    assert code == 1
    assert [report[f"encoder {name}"]["state"] for name in ("here", "gone", "far")] == ["ok", "broken", "broken"]
