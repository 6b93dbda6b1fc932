"""The documentation: its examples answer what they show, its paths and links lead somewhere."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from itertools import chain, pairwise
from pathlib import Path

import pytest

from softkv_service.api.keyring import line_of
from softkv_service.settings import Settings
from tests.examples import ROOT, Page, run_commands, run_python
from tests.running import RunningService
from tools import reference_tables, settings_tables
from tools.documentation.pages import sources

DOCS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))
PAGES = [Page(name) for name in ("README.md", "CONTRIBUTING.md", *DOCS)]
# Whose examples run in the suites of their walls.
OF_WALLS = [
    Page(str(path.relative_to(ROOT)))
    for path in sources()
    if path.suffix == ".md" and not path.is_relative_to(ROOT / "docs")
]
OTHERS = ("ARCHITECTURE.md", "CHANGELOG.md", "docker/README.md", ".github/RELEASING.md")
LINKING = [*PAGES, *OF_WALLS, *map(Page, OTHERS)]
# Whose paths are whole, from the root of the repository.
MAPS = [page for page in (*PAGES, *OF_WALLS, Page("ARCHITECTURE.md")) if page.name != "README.md"]
PATH = re.compile(r"[\w.*-]{3,}(/[\w.*-]+)+/?|[\w.*-]+\.(py|md|toml|txt|yml|yaml|sql|jsonl)|Makefile")
NO_PATHS = ("application/", "text/", "data/", "obsm/", "dist/", ".venv/", "~/.cache", ".cursor/", ".vscode/")
HOUSE = [ROOT / name for name in ("attention", "service", "clients", "extensions", "tests", "tools", "benchmarks")]
PACKAGES = sorted(
    str(path.relative_to(ROOT)) for folder in HOUSE for path in folder.rglob("__init__.py") if path.stat().st_size
)

TENANTS = Page("docs/guide/recipes/tenants.md")  # wants a service with keys
DEPLOYING = Page("docs/operate/deploying.md")  # goes on with its collection on a server
CHINESE = Page("docs/zh/tutorial.md")  # wants another model: test_readme.py
DEMO = "library"  # examples ask it, and the runs compare what it holds
WRITES = re.compile(r"/documents(/(?!query).*)?|/re-encode|/calibrat\w+|/feedback|/projection")

each = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    with RunningService(data_dir=tmp_path_factory.mktemp("docs"), demo=("library",), precision="int16") as running:
        running.wait_until_ready()
        yield running


def collections(running):
    with running.client() as client:
        return [collection["name"] for collection in client.get("/v1/collections").json()["collections"]]


@pytest.fixture
def unchanged(library):
    """Compare the documents and settings of the demo collection before and after a test."""

    def stored():
        with library.client() as client:
            query = {"include": ["key", "value", "metadata"], "limit": 1000}
            settings = client.get(f"/v1/collections/{DEMO}").json()
            documents = client.post(f"/v1/collections/{DEMO}/documents/query", json=query).json()
        return {name: value for name, value in settings.items() if name != "costs"}, documents

    before = stored()
    yield
    assert stored() == before


@pytest.mark.parametrize("page", [*PAGES, *OF_WALLS], ids=lambda page: page.name)
def test_a_program_can_be_pasted_into_the_interpreter(page):
    for program in (text for language, text in page.blocks if language == "python"):
        lines = ["", *program.splitlines()]
        for statement, following in pairwise(ast.parse(program).body):
            if isinstance(getattr(statement, "body", None), list):  # there, an empty line ends it
                assert "" in lines[statement.end_lineno : following.lineno], lines[following.lineno]


@each
@pytest.mark.usefixtures("unchanged")
def test_commands_are_answered_as_the_page_shows_and_leave_no_collection(page, library):
    compared = run_commands(page, library.url)
    if page == DEPLOYING:
        with library.client() as client:
            assert client.delete("/v1/collections/shop-hours").status_code == 204
    assert collections(library) == ["library"]
    assert compared == [language for language, _ in page.blocks].count("json")
    assert compared > 0 or not any("curl" in text for language, text in page.blocks if language == "sh")


@pytest.mark.parametrize("page", [page for page in PAGES if page not in (TENANTS, CHINESE)], ids=lambda page: page.name)
@pytest.mark.usefixtures("unchanged")
def test_examples_in_python_print_their_comments_and_leave_no_collection(page, library):
    run_python(page, library.url)
    assert collections(library) == ["library"]


@pytest.mark.parametrize("page", [*PAGES, *OF_WALLS], ids=lambda page: page.name)
def test_an_example_changes_no_collection_that_its_reader_may_have(page):
    created = created_collections(page)
    dropped, written = dropped_collections(page), written_collections(page) - {DEMO}
    changed = {*created, *dropped, *written}
    assert [name for name in changed if "-" not in name] == [], "a reader may have this name: call it example-…"
    assert written - set(created) == set(), "the page writes to what it did not create"
    assert [name for name, count in Counter(created).items() if count > 1] == [], "a section above has this name"
    assert changed & loaded_collections(page) == set(), "`softkv load` of the reader's file writes to this name"
    others = [other for other in (*PAGES, *OF_WALLS) if Path(other.name).name != Path(page.name).name]
    assert [(name, other.name) for name in changed for other in others if names_collection(other, name)] == []


@pytest.mark.parametrize(
    ("text", "created", "written", "dropped"),
    [
        ("curl -s -X DELETE http://127.0.0.1:8000/v1/collections/notes\n", set(), set(), {"notes"}),
        ("curl -X PUT $url/v1/collections/a \\\n  -d '{}'\n", {"a"}, set(), set()),
        ("curl $url/v1/collections/a/documents -H 'X: y' -d '{}'\n", set(), {"a"}, set()),
        ("curl -X DELETE $url/v1/collections/a/documents/b\n", set(), {"a"}, set()),
        ("curl $url/v1/collections/a/attend -d '{}'\ncurl $url/v1/collections/a\n", set(), set(), set()),
        ("for name in a b-c; do\n  curl -X DELETE $url/v1/collections/$name\ndone\n", set(), set(), {"a", "b-c"}),
        ('x = client.collection("notes")\nx.create()\nx.drop()\n', {"notes"}, set(), {"notes"}),
        ('x = client.collection("notes")\nprint(x.upsert(rows))\n', set(), {"notes"}, set()),
        ('x = Client.local().collection("notes")\nx.create()\nx.put("a")\n', set(), set(), set()),
        (
            'const x = client.collection<Paper>("notes");\nawait x.write();\nawait x.drop();\n',
            set(),
            {"notes"},
            {"notes"},
        ),
        ('store = SoftkvVectorStore("notes", url="…")\nstore.collection.drop()\n', set(), set(), {"notes"}),
        ('client.collection("notes").drop()\n', set(), set(), {"notes"}),
    ],
)
def test_changes_by_an_example_are_read_in_each_language(tmp_path, text, created, written, dropped):
    (tmp_path / "page.md").write_text(f"```sh\n{text}softkv load products.csv --id a\n```\n", encoding="utf-8")
    page = Page(str(tmp_path / "page.md"))
    assert set(created_collections(page)) == created
    assert written_collections(page) == written
    assert dropped_collections(page) == dropped
    assert loaded_collections(page) == {"products"}


def created_collections(page):
    """Return the names of the collections that the examples of a page create, each as often as it is created."""
    calls = [name for method, name, path in http_calls(page) if method == "PUT" and not path]
    return [*calls, *method_calls(page, "create")]


def written_collections(page):
    """Return the names of the collections whose documents or settings the examples of a page change."""
    calls = [
        name
        for method, name, path in http_calls(page)
        if (method == "PATCH" or (method != "GET" and WRITES.fullmatch(path))) and "$" not in name
    ]
    methods = ("change", "put", "write", "upsert", "update", "delete", "calibrate", "train", "feedback", "re_encode")
    return {*calls, *(name for method in methods for name in method_calls(page, method))}


def http_calls(page):
    """Return the method, the name of the collection and the rest of the path of each call by curl."""
    text = re.sub(r"\\\n\s*", " ", "\n".join(block for _, block in page.blocks))
    calls = []
    for line in text.splitlines():
        if "curl " in line and (url := re.search(r"/v1/collections/([\w$-]+)([^\s'?\"]*)", line)):
            named = re.search(r"-X (\w+)", line)
            calls.append(
                (named[1] if named else "POST" if re.search(r" (-d|-T|--data\S*) ", line) else "GET", *url.groups())
            )
    return calls


def method_calls(page, method):
    """Return the name of the collection of each call of this method, except of a service in the program itself."""
    text = "\n".join(block for _, block in page.blocks)
    names = re.findall(rf"\.collection\(\"([^\"]+)\"\)\.{method}\(", text)
    for found in re.finditer(rf"^\s*(?:\w+ = |print\()?(?:await )?(\w+)\.{method}\(", text, re.MULTILINE):
        made = re.findall(
            rf"^\s*(?:const )?{found[1]} = ([^\n]*?)\.collection(?:<\w+>)?\(\"([\w-]+)\"",
            text[: found.start()],
            re.MULTILINE,
        )
        names += [made[-1][1]] if made and "local" not in made[-1][0] else []
    return names


def dropped_collections(page):
    """Return the names of the collections that the examples of a page delete."""
    text = "\n".join(block for _, block in page.blocks)
    loops = re.findall(r"for name in ([^;]+); do\s+curl [^\n]*DELETE [^\n]*/collections/\$name", text)
    names = {name for listed in loops for name in listed.split()}
    names |= set(re.findall(r"DELETE \S+/collections/([\w-]+)(?=\s)", text))
    names |= set(re.findall(r"\.collection\(\"([^\"]+)\"\)\.drop\(\)", text))
    for found in re.finditer(r"^\s*(?:await )?(\w+)(?:\.collection)?\.drop\(\)", text, re.MULTILINE):
        made = re.findall(rf"^\s*(?:const )?{found[1]} = [^\n]*?\(\"([\w-]+)\"", text[: found.start()], re.MULTILINE)
        assert made, f"{page.name}: no line above says what {found[0]} drops"
        names.add(made[-1])
    return names


def loaded_collections(page):
    """Return the names of the collections into which the page's commands load the reader's files."""
    commands = [line for _, block in page.blocks for line in block.splitlines() if "softkv load " in line]
    named = [re.search(r"--collection (\S+)", command) for command in commands]
    stems = [re.search(r"softkv load (?:\S*/)?([\w-]+)\.", command) for command in commands]
    return {(name or stem)[1] for name, stem in zip(named, stems, strict=True) if name or stem}


def names_collection(page, name):
    """Return whether an example of the page uses a collection of this name."""
    text = "\n".join(block for _, block in page.blocks)
    return re.search(rf"/collections/{name}(?![\w-])|\"{name}\"|softkv \w+ {name}(?![\w-])", text) is not None


@pytest.mark.parametrize("page", OF_WALLS, ids=lambda page: page.name)
def test_the_examples_of_a_wall_run_in_its_own_suite(page):
    tests = (ROOT / page.name.partition("/docs/")[0] / "tests").rglob("test_*.py")
    suite = "\n".join(path.read_text(encoding="utf-8") for path in tests)
    ran = {"python": "run_python", "json": "run_commands"}
    calls = {f'{ran[language]}(Page("{page.name}")' for language, _ in page.blocks if language in ran}
    assert [call for call in calls if call not in suite] == []


def test_tenants_are_kept_apart_as_the_page_shows(tmp_path, monkeypatch):
    commands = re.findall(
        r"^softkv key (\w+) --scope (\w+)(?: --collections (\S+))?(?: --filter '(.+)')? >> keys$",
        TENANTS.text,
        re.MULTILINE,
    )
    lines = []
    for name, scope, prefix, condition in commands:
        monkeypatch.setenv(f"{name.upper()}_KEY", f"the key of {name}")
        limits = {"filter": json.loads(condition)} if condition else {}
        lines.append(line_of(name, scope, prefix, f"the key of {name}", **limits) + "\n")
    (tmp_path / "keys").write_text("".join(lines), encoding="utf-8")
    with RunningService(data_dir=tmp_path / "data", encoder="none", keys_file=tmp_path / "keys") as running:
        running.wait_until_ready()
        assert run_python(TENANTS, running.url) == 2


@pytest.mark.parametrize("page", MAPS, ids=lambda page: page.name)
def test_every_path_exists(page):
    words = chain.from_iterable(quoted.split() for quoted in re.findall(r"`([^`\n]+)`", page.prose))
    paths = [word for word in (word.removeprefix("T=") for word in words) if PATH.fullmatch(word)]
    paths = [path for path in paths if not path.startswith(NO_PATHS)]
    assert [path for path in paths if not exists(path)] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_path_in_the_docstring_of_a_package_exists(package):
    docstring = ast.get_docstring(ast.parse((ROOT / package).read_text(encoding="utf-8"))) or ""
    words = [word for quoted in re.findall(r"`([^`\n]+)`", docstring) for word in quoted.split()]
    paths = [word for word in words if PATH.fullmatch(word)]
    folder = (ROOT / package).parent
    assert [path for path in paths if not exists(path) and not (folder / path).exists()] == []


def exists(path):
    """Return whether the file or folder exists; a name without a folder may be anywhere in the repository."""
    anywhere = [] if "/" in path else [folder.rglob(path) for folder in HOUSE]
    below = [
        ROOT / folder
        for folder in (".", "attention", "attention/softkv_attention", "service", "service/softkv_service")
    ]
    return any(any(candidates) for candidates in (*(folder.glob(path) for folder in below), *anywhere))


@pytest.mark.parametrize("page", LINKING, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    folder = (ROOT / page.name).parent
    targets = [target for target in re.findall(r"\]\(([^)\s]+)\)", page.prose) if "://" not in target]
    assert [target for target in targets if not (folder / target.partition("#")[0]).exists()] == []
    headed = [target.partition("#") for target in targets if "#" in target]
    pages = {
        path: Page(str((folder / path if path else ROOT / page.name).resolve().relative_to(ROOT)))
        for path, *_ in headed
    }
    assert [f"{path}#{heading}" for path, _, heading in headed if heading not in pages[path].sections] == []


def test_every_page_is_found_from_the_readme():
    linked = {
        name for page in map(Page, ("README.md", "docs/README.md")) for name in re.findall(r"\]\(([^)#]+)", page.text)
    }
    names = [*DOCS, *(page.name for page in OF_WALLS)]
    assert [name for name in names if not linked & {name, name.removeprefix("docs/"), f"../{name}"}] == []


def test_every_invariant_names_checks_that_exist():
    invariants = Page("CONTRIBUTING.md").text.partition("\n## Invariants\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| .+ \| (`.+`) \|$", invariants, re.MULTILINE)
    assert len(rows) > 40
    targets = {f"make {name}" for name in re.findall(r"^([\w-]+):", Page("Makefile").text, re.MULTILINE)}
    checks = [check for cell in rows for check in re.findall(r"`([^`]+)`", cell)]
    assert [check for check in checks if check not in targets and not exists(check)] == []


def test_the_tables_of_settings_are_those_of_the_code():
    page, container = Page("docs/reference/settings.md").text, Page("docker/README.md").text
    assert settings_tables.with_tables(page) == page, "run make openapi"
    assert settings_tables.with_container_rows(container) == container, "run make openapi"
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", page, re.MULTILINE)) == {
        name.upper() for name in Settings.model_fields
    }


@pytest.mark.parametrize("page", reference_tables.TABLES)
def test_the_tables_of_the_reference_are_those_of_the_code(page):
    text = Page(f"docs/reference/{page}").text
    assert reference_tables.with_tables(page, text) == text, "run make openapi"


def test_a_stale_table_is_rewritten():
    text = Page("docs/reference/errors.md").text
    assert reference_tables.with_tables("errors.md", text.replace("| 404 | no |", "| 410 | yes |")) == text
