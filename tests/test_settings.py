"""Where settings come from, which place wins, and what is said when they are wrong."""

import re
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import ValidationError

from dialer import shipped
from dialer.domain.errors import ConfigError
from dialer.settings import Agent, Mistakes, Settings, SignatureForm, Target, load, unknown_environment
from dialer.settings.environment import known_environment, table
from dialer.settings.lines import line_of

AGENT = """
[agents.sales]
agent_id = "agent-1"
api_key = "key-from-toml"
webhook_secrets = ["hush"]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def mistakes(path: Path | None, environ: Mapping[str, str]) -> list[str]:
    with pytest.raises(Mistakes) as caught:
        load(path, environ)
    return list(caught.value.sentences)


# -- precedence


def test_each_place_overrides_the_one_below_it_key_by_key(tmp_path: Path) -> None:
    path = written(tmp_path, AGENT)
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    file = tmp_path / "key"
    file.write_text("key-from-file\n")
    environ: dict[str, str] = {}

    def key() -> str:
        agent = load(path, environ).agents["sales"]
        assert agent.agent_id == "agent-1", "the other keys stay as they were"
        return agent.api_key.get_secret_value()

    assert key() == "key-from-toml"
    (secrets / "agents__sales__api_key").write_text("key-from-folder\n")
    environ["DIALER_SECRETS_DIR"] = str(secrets)
    assert key() == "key-from-folder"
    environ["DIALER_AGENTS__SALES__API_KEY_FILE"] = str(file)
    assert key() == "key-from-file"
    environ["DIALER_AGENTS__SALES__API_KEY"] = "key-from-environment"
    assert key() == "key-from-environment"


def test_an_own_secrets_folder_wins_over_that_of_systemd(tmp_path: Path) -> None:
    for name in ("systemd", "own"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "console__token").write_text(f"token of {name}")
    (tmp_path / "systemd" / "correlation__secret").write_text("of systemd")
    (tmp_path / "systemd" / "tls.pem").write_text("a credential of something else")
    environ = {
        "CREDENTIALS_DIRECTORY": str(tmp_path / "systemd"),
        "DIALER_SECRETS_DIR": str(tmp_path / "own"),
    }
    settings = load(None, environ)
    assert settings.console.token.get_secret_value() == "token of own"
    assert settings.correlation.secret.get_secret_value() == "of systemd"


def test_arguments_alone_make_settings_and_the_environment_is_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DIALER_LOG__LEVEL", "error")
    assert Settings().log.level == "info"


def test_the_file_is_the_argument_or_else_dialer_config_or_else_config_toml_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, level in (("argument", "debug"), ("variable", "warning"), ("here", "error")):
        (tmp_path / name).mkdir()
        written(tmp_path / name, f'[log]\nlevel = "{level}"\n')
    environ = {"DIALER_CONFIG": str(tmp_path / "variable/config.toml")}
    monkeypatch.chdir(tmp_path / "here")
    assert load(tmp_path / "argument/config.toml", environ).log.level == "debug"
    assert load(None, environ).log.level == "warning"
    assert load(None, {}).log.level == "error"
    monkeypatch.chdir(tmp_path)
    assert load(None, {}).log.level == "info"


@pytest.mark.parametrize("named_by", ["--config", "DIALER_CONFIG"])
def test_a_file_that_was_named_must_exist(tmp_path: Path, named_by: str) -> None:
    gone = tmp_path / "gone.toml"
    with pytest.raises(ConfigError, match=rf"gone\.toml: there is no such file \({named_by}\)"):
        load(gone, {}) if named_by == "--config" else load(None, {"DIALER_CONFIG": str(gone)})


def test_relative_folders_count_from_the_file_that_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "etc").mkdir()
    path = written(tmp_path / "etc", 'campaigns_dir = "lists"\nstate_dir = "~/state"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/someone")
    settings = load(path, {})
    assert settings.campaigns_dir == tmp_path / "etc/lists"
    assert settings.state_dir == Path("/home/someone/state")
    assert load(path, {"DIALER_CAMPAIGNS_DIR": "lists"}).campaigns_dir == tmp_path / "lists"
    path.write_text("")
    assert load(path, {}).campaigns_dir == tmp_path / "etc/campaigns"
    assert load(None, {}).campaigns_dir == tmp_path / "campaigns"


# -- values


def test_values_are_read_from_text_as_from_toml(tmp_path: Path) -> None:
    path = written(tmp_path, AGENT + "calls_per_second = 0.1\n")
    assert load(path, {}).agents["sales"].calls_per_second == Decimal("0.1")
    settings = load(
        path,
        {
            "DIALER_AGENTS__SALES__CALLS_PER_SECOND": "2.50",
            "DIALER_AGENTS__SALES__MAX_LIVE_CALLS": "7",
            "DIALER_AGENTS__SALES__SIGNATURE_FORMS": "node, raw",
            "DIALER_AGENTS__SALES__WEBHOOK_SECRETS": "with, comma\nsecond\n",
            "DIALER_WEBHOOK__BODY_LIMIT": "2MiB",
            "DIALER_SHUTDOWN__GRACE": "1m30s",
            "DIALER_LOG": '{"level": "debug"}',
        },
    )
    agent = settings.agents["sales"]
    assert agent.calls_per_second == Decimal("2.50")
    assert agent.max_live_calls == 7
    assert agent.signature_forms == (SignatureForm.NODE, SignatureForm.RAW)
    assert [secret.get_secret_value() for secret in agent.webhook_secrets] == ["with, comma", "second"]
    assert settings.webhook.body_limit == 2 * 1024 * 1024
    assert settings.shutdown.grace == timedelta(seconds=90)
    assert settings.log.level == "debug"


def test_settings_cannot_be_changed_after_they_were_checked() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().webhook.port = 1


# -- mistakes


def test_all_mistakes_are_named_at_once_with_line_key_and_mend(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """state_dir = "here"
[webhook]
prot = 8080
path = "webhook"
[calldock]
timeout = 30
[agents.sales]
agent_id = "a"
calls_per_second = 0
""",
    )
    timeout, *others = mistakes(path, {"DIALER_LOG__LEVEL": "loud"})
    assert timeout.startswith(f"{path}:6: calldock.timeout: 30 has no unit")
    assert others == [
        f'{path}:7: agents.sales.api_key: is missing; add api_key = "…" under [agents.sales]',
        f"{path}:7: agents.sales.webhook_secrets: is missing; copy the secret of the agent's webhook: "
        'webhook_secrets = ["…"]',
        f"{path}:9: agents.sales.calls_per_second: input should be greater than 0",
        f"""{path}:4: webhook.path: 'webhook' cannot be the path; write such as "/webhook", not "/healthz\"""",
        f"{path}:3: webhook.prot: unknown key; did you mean port?",
        "DIALER_LOG__LEVEL: log.level: input should be 'debug', 'info', 'warning' or 'error'",
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[webhok]\nport = 1\n", "1: webhok: unknown key; did you mean webhook?"),
        (AGENT.replace("sales", "Sales"), "2: agents.Sales: is no name"),
        (
            AGENT + AGENT.replace("sales", "more"),
            "8: agents.more.agent_id: is the agent_id of [agents.sales] too",
        ),
        (AGENT + "allow_unsigned = true\n", "6: agents.sales.allow_unsigned: is for development"),
        (AGENT.replace('"hush"', ""), "5: agents.sales.webhook_secrets: is missing"),
        (AGENT.replace('"hush"', '""'), "5: agents.sales.webhook_secrets.0: must not be empty"),
        (AGENT.replace('"hush"', "'1','2','3','4','5'"), "5: agents.sales.webhook_secrets: "),
        (AGENT.replace("key-from-toml", "key\\n"), "4: agents.sales.api_key: must be printable ASCII"),
        (AGENT + "calls_per_second = 10001\n", "6: agents.sales.calls_per_second: input should be less"),
        (AGENT + "calls_per_second = nan\n", "6: agents.sales.calls_per_second: input should be a finite"),
        (AGENT + "max_live_calls = 0\n", "6: agents.sales.max_live_calls: input should be greater"),
        (AGENT + 'signature_forms = ["ruby"]\n', "6: agents.sales.signature_forms.0: input should be 'raw'"),
        ("agents.sales.api = 1\n", "1: agents.sales.api: unknown key; did you mean api_key?"),
        (
            'database = { url = "mysql://root:hunter2@db" }\n',
            "1: database.url: must begin with postgresql://",
        ),
        ("[database]\npool_min = 9\npool_max = 3\n", "2: database.pool_min: must not be above pool_max"),
        ("[webhook]\nport = 8081\n", "config.toml: console.port: is the port of [webhook] too"),
        ('[console]\nhost = "0.0.0.0"\n', "1: console.token: is missing"),
        ('[calldock]\nbase_url = "api.calldock.co"\n', "2: calldock.base_url: is not an address"),
        ('[calldock]\nbase_url = "https://me:hunter2@api"\n', "2: calldock.base_url: must hold no user"),
        ('[shutdown]\ngrace = "0s"\n', "2: shutdown.grace: must be longer than 0s"),
        ("webhook = 8080\n", "1: webhook: is a section; write [webhook] and its keys below"),
    ],
)
def test_a_mistake_in_the_file_is_found_at_its_line(tmp_path: Path, text: str, sentence: str) -> None:
    found = mistakes(written(tmp_path, text), {})
    assert any(sentence in each for each in found), found
    assert "hunter2" not in str(found)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"[log]\nlevel = info\n", r"config\.toml: not TOML: .*line 2"),
        (b'[log]\nlevel = "\xff"\n', r"config\.toml: is not UTF-8"),
    ],
)
def test_a_file_that_is_not_toml_is_named_with_the_line(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=says):
        load(path, {})


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b'\xef\xbb\xbf[log]\nlevel = "debug"\n')
    assert load(path, {}).log.level == "debug"


def test_a_missing_secret_file_or_folder_is_named_with_its_variable(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    with pytest.raises(ConfigError, match=r"^DIALER_CONSOLE__TOKEN_FILE: .*gone: no such file"):
        load(None, {"DIALER_CONSOLE__TOKEN_FILE": gone})
    with pytest.raises(ConfigError, match=r"^DIALER_SECRETS_DIR: .*gone: no such file"):
        load(None, {"DIALER_SECRETS_DIR": gone})


def test_a_mistake_in_a_secrets_folder_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "agents__sales__apikey").write_text("hunter2")
    found = mistakes(None, {"DIALER_SECRETS_DIR": str(tmp_path)})
    assert (
        f"{tmp_path}/agents__sales__apikey: agents.sales.apikey: unknown key; did you mean api_key?" in found
    )


def test_a_section_that_is_not_json_names_its_variable_only() -> None:
    environ = {"DIALER_LOG__LEVEL": "info", "DIALER_DATABASE": "postgresql://u:hunter2@db/x"}
    assert mistakes(None, environ) == [
        'DIALER_DATABASE: not JSON; a section as a whole is written {"key": "value"}'
    ]


SECRET_PLACES = {
    "DIALER_DATABASE__URL": "database.url",
    "DIALER_CONSOLE__TOKEN": "console.token",
    "DIALER_CORRELATION__SECRET": "correlation.secret",
    "DIALER_AGENTS__SALES__API_KEY": "agents.sales.api_key",
    "DIALER_AGENTS__SALES__WEBHOOK_SECRETS": "agents.sales.webhook_secrets",
    "DIALER_SOURCES__STRIPE__SECRETS": "sources.stripe.secrets",
    "DIALER_SOURCES__HUBSPOT__TOKENS": "sources.hubspot.tokens",
    "DIALER_TARGETS__HUBSPOT__TOKEN": "targets.hubspot.token",
    "DIALER_TARGETS__SLACK__URL": "targets.slack.url",
    "DIALER_DATABASES__CRM": "databases.crm",
}


@hypothesis_settings(max_examples=50)
@given(
    value=st.text(
        alphabet=st.characters(min_codepoint=33, max_codepoint=0x17F, exclude_categories=("Z", "C")),
        min_size=6,
        max_size=30,
    )
)
def test_no_text_about_settings_holds_a_secret(value: str) -> None:
    secret = f"Zq7{value}"
    # A number where texts are wanted, and every secret wrong in some way or at least near something wrong.
    environ = dict.fromkeys(SECRET_PLACES, secret) | {
        "DIALER_AGENTS__SALES__AGENT_ID": "a",
        "DIALER_LOGS": secret,
    }
    wrong = environ | {"DIALER_LOG__LEVEL": "loud", "DIALER_AGENTS__SALES__API_KEYS": secret}
    with pytest.raises(ConfigError) as caught:
        load(None, wrong)
    assert "Zq7" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert "Zq7" not in str(unknown_environment(wrong))
    fine = environ | {
        "DIALER_DATABASES__CRM": f"postgresql://u:{secret}@h/d",
        "DIALER_TARGETS__SLACK__URL": f"https://hooks.slack.example/{secret}",
        "DIALER_DATABASE__URL": f"postgresql://u:{secret}@h/d",
        "DIALER_AGENTS__SALES__API_KEY": "Zq7k",
    }
    assert "Zq7" not in repr(load(None, fine))


# -- mistyped names of the environment

GIVEN = frozenset({("agents", "SALES"), ("sources", "TYPEFORM"), ("targets", "SLACK"), ("databases", "CRM")})


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("DIALER_DATABASE_URL", "DIALER_DATABASE__URL"),
        ("DIALER_WEBHOK__PORT", "DIALER_WEBHOOK__PORT"),
        ("DIALER_AGENTS__SALES__APIKEY", "DIALER_AGENTS__SALES__API_KEY"),
        ("DIALER_SOURCES__STRIPE__SECRET", "DIALER_SOURCES__STRIPE__SECRETS"),
        ("DIALER_TARGETS__SLACK__UROL", "DIALER_TARGETS__SLACK__URL"),
        ("DIALER_SECRET_DIR", "DIALER_SECRETS_DIR"),
        ("dialer_log_level", "DIALER_LOG__LEVEL"),
    ],
)
def test_a_name_that_nothing_reads_is_told_with_the_nearest_that_is(name: str, near: str) -> None:
    assert unknown_environment({name: "x"}) == [f"{name}: no setting has this name; did you mean {near}?"]


def test_names_that_are_read_and_those_of_others_are_not_told() -> None:
    names = [*known_environment(GIVEN), "DIALER_CONSOLE__TOKEN_FILE", "PATH", "DIAL_X"]
    kubernetes = ["DIALER_SERVICE_HOST", "DIALER_SERVICE_PORT_HTTP", "DIALER_PORT_80_TCP_ADDR", "DIALER_PORT"]
    assert unknown_environment(dict.fromkeys([*names, *kubernetes], "x")) == []


def test_every_known_name_is_really_read() -> None:
    """A value that fits no setting makes each name say so, or be seen in the settings."""
    unread = []
    for name in known_environment(GIVEN):
        if name in ("DIALER_CONFIG", "DIALER_SECRETS_DIR"):
            continue
        try:
            before, after = load(None, {}), load(None, {name: "[ §"})
        except ConfigError as mistake:
            if name not in str(mistake):
                unread.append(name)
        else:
            if repr(before) == repr(after) and before.model_dump() == after.model_dump():
                unread.append(name)
    assert unread == []


# -- config.example.toml

ACTIVE = re.compile(r"^(# )?([a-z_]+ = .+|\[[a-z.]+\])$")
PREFIXES = {"agents": "agents.sales", "sources": "sources.NAME", "targets": "targets.NAME"}


def example(*, uncommented: bool = False) -> dict[str, Any]:
    text = shipped.file("config.example.toml").read_text(encoding="utf-8")
    if uncommented:
        text = "\n".join(
            m[0].removeprefix("# ") if (m := ACTIVE.match(line)) else line for line in text.splitlines()
        )
    return tomllib.loads(text, parse_float=Decimal)


def keys(data: Mapping[str, Any]) -> set[str]:
    found = set()
    for key, value in data.items():
        found |= {f"{key}.{inner}" for inner in keys(value)} if isinstance(value, dict) else {key}
    return {re.sub(r"^(sources|targets)\.[a-z]+\.", r"\1.NAME.", each) for each in found}


def keys_of_the_model() -> set[str]:
    found = set()
    for name, field in Settings.model_fields.items():
        section = table(field.annotation)
        prefix = PREFIXES.get(name, name)
        found |= {f"{prefix}.{key}" for key in section.model_fields} if section else {name}
    return found - {"databases"} | {"databases.crm"}


def test_the_example_has_every_key_and_no_other() -> None:
    assert keys(example(uncommented=True)) == keys_of_the_model()


def test_the_example_shows_the_defaults_and_comments_out_only_what_has_none() -> None:
    shown = example()
    required = {"agents.sales.agent_id", "agents.sales.api_key", "agents.sales.webhook_secrets"}
    linked = re.compile(r"(sources|targets|databases)\.")
    commented = {key for key in keys_of_the_model() - keys(shown) if not linked.match(key)}
    assert not any(linked.match(key) for key in keys(shown)), "without them nothing is sent or taken"
    assert commented == {
        "agents.sales.max_live_calls",
        "agents.sales.credits_per_day",
        "budget.credits_per_day",
        "breakers.credits_per_hour",
    }
    assert Agent.model_fields["max_live_calls"].default is None
    agent = shown.pop("agents")["sales"]
    assert Settings(**shown) == Settings()
    least = {key: agent[key] for key in ("agent_id", "api_key", "webhook_secrets")}
    assert {f"agents.sales.{key}" for key in least} == required
    assert Agent(**agent) == Agent(**least)


def test_the_example_of_sources_and_targets_is_right_once_its_secrets_are_filled_in(tmp_path: Path) -> None:
    text = shipped.file("config.example.toml").read_text(encoding="utf-8")
    lines = [m[0].removeprefix("# ") if (m := ACTIVE.match(line)) else line for line in text.splitlines()]
    settings = load(written(tmp_path, "\n".join(lines)), {})
    assert set(settings.sources) == {"typeform", "stripe", "hubspot", "zapier"}
    assert set(settings.targets) == {"slack", "hubspot", "warehouse"}
    shown = {**example(uncommented=True)["targets"]["slack"]}
    assert Target(**shown) == Target(url=shown["url"]), "what it shows is the default"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "[sources.crm]\ntokens = ['t']",
            'sources.crm: needs a kind, for its name is none: kind = "generic"',
        ),
        ("[sources.stripe]\ntokens = ['t']", "sources.stripe: needs secrets: stripe signs"),
        ("[sources.typeform]\nsecrets = ['s']\ntokens = ['t']", "sources.typeform: takes secrets only"),
        ("[sources.typeform]\nkind = 'typeform'", "sources.typeform: has no secret, and anybody could send"),
        ("[sources.generic]\nsecrets = ['s']", "sources.generic: has a secret that is none of Standard"),
        ("[sources.generic]\nbasic = ['s']", "sources.generic.basic.0: is a name and a password"),
        ("[sources.generic]\ntoken = ['s']", "sources.generic.token: unknown key; did you mean tokens?"),
        ("[targets.slack]", "targets.slack: needs a url that begins with https://"),
        ("[targets.slack]\nurl = 'http://hooks.slack.com/x'", "targets.slack: needs a url that begins"),
        ("[targets.hubspot]", "targets.hubspot: needs a token"),
        ("[targets.crm]\nurl = 'https://a.example/'", "targets.crm: needs a kind, for its name is none"),
        ("[targets.webhook]\nurl = 'https://a.example/'\nsecret = 'x'", "targets.webhook: has a secret that"),
        ("[databases]\ncrm = 'mysql://a/b'", "databases.crm: must begin with postgresql://"),
    ],
)
def test_what_is_wrong_with_a_source_or_target_is_told(tmp_path: Path, text: str, told: str) -> None:
    (sentence,) = mistakes(written(tmp_path, text), {})
    assert told in sentence


def test_the_example_loads_as_it_is() -> None:
    settings = load(shipped.file("config.example.toml"), {})
    assert settings.agents["sales"].webhook_secrets[0].get_secret_value().startswith("replace-with-")


# -- lines


def test_lines_are_found_through_headers_dotted_keys_and_quotes() -> None:
    text = '# a = 1\n[ a . "b" ] # x\nc = 1\n[[d]]\n"e" = 2\nf.g = 3\n'
    assert line_of(text, ["a", "b", "c"]) == 3
    assert line_of(text, ["a", "b", "missing"]) == 2
    assert line_of(text, ["d", "e"]) == 5
    assert line_of(text, ["d", "f", "g"]) == 6
    assert line_of(text, ["z"]) is None
